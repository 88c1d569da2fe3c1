"""A side that answers what it was asked before from memory: all turns are held against the same one. Needs nothing."""

from collections.abc import Callable
from typing import Any

from parity_tests.bridge.side import Side

REMEMBERED = ("forward", "anchors", "targets", "losses", "detections", "variables")
"""What is asked again for each turn; whether what it is given is the same follows from the case."""


class Remembering:
    """A side whose answers are kept by case, method, and how often the case has asked it."""

    def __init__(self, side: Side) -> None:
        self.side, self.sources = side, side.sources
        self.case, self.asked = "", dict[str, int]()
        self.answers: dict[tuple[str, str, int], Any] = {}

    def begin(self, case: str) -> None:
        self.case, self.asked = case, {}

    def __getattr__(self, name: str) -> Any:
        own = getattr(self.side, name)
        return self._remembering(name, own) if name in REMEMBERED else own

    def _remembering(self, name: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*arguments: Any, **settings: Any) -> Any:
            self.asked[name] = self.asked.get(name, 0) + 1
            key = self.case, name, self.asked[name]
            if key not in self.answers:
                self.answers[key] = ask(*arguments, **settings)
            return self.answers[key]

        return answer
