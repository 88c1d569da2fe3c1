"""Two models of one's own as a command takes them, `--pair module:name`: each is made where it is needed."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parity_tests.ladder.checks import check_two_functions
from parity_tests.rule.errors import UsageError, in_one_line

SETTINGS = ("names", "layouts", "loss", "skip", "transfer", "dtypes", "rungs", "optimizers", "batches")
"""What of `compare_models` a pair may settle."""

OF_BUNDLES = ("names", "layouts", "skip", "dtypes", "rungs", "batches")
"""What a pair may settle whose sides are recorded and checked."""

OF_EACH_SIDE = ("loss", "optimizers")
"""Settings that have a value for each side."""


@dataclass(frozen=True, kw_only=True)
class ModelPair:
    """A reference, a port, and what both are fed.

    Attributes:
        reference, port: functions that make the models, so that one is recorded where the other cannot be made.
        inputs: as `compare_models` takes them.
        settings: what else `compare_models` takes, as `names`, `layouts`, `loss` and `skip`.
    """

    reference: Callable[[], Any]
    port: Callable[[], Any]
    inputs: Any
    settings: Mapping[str, Any] = field(default_factory=dict)

    def made(self, side: str) -> Any:
        """The model of a side, `reference` or `port`.

        Raises:
            UsageError: where its function fails.
        """
        try:
            return getattr(self, side)()
        except Exception as error:  # whatever a function of the user's raises
            raise UsageError(f"--pair: the function that makes the {side} fails ({in_one_line(error)})") from error

    def only(self, names: Sequence[str]) -> dict[str, Any]:
        """The settings of these names; others are refused.

        Raises:
            UsageError: for a setting that is none of these.
        """
        if wrong := next((name for name in self.settings if name not in (*names, *OF_EACH_SIDE)), None):
            raise UsageError(f"--pair: the setting {wrong!r} must be one of {', '.join((*names, *OF_EACH_SIDE))}")
        return {name: self.settings[name] for name in names if name in self.settings}

    def of_side(self, name: str, side: int) -> Any:
        """A setting that has one value a side, for the side of this place; `None` where there is none."""
        return self.settings[name][side] if self.settings.get(name) else None


def load_pair(text: str) -> ModelPair:
    """The pair that `module:name` stands for, or that the function of that name makes.

    Modules are looked for in the working folder too.

    Raises:
        UsageError: for what is no such name, for what cannot be loaded, and for what is and makes no `ModelPair`.
    """
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise UsageError(f"--pair: {text!r} must be MODULE:NAME, as my_models:pair")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name)
        pair = found() if inspect.isroutine(found) else found
    except Exception as error:  # whatever a module of the user's raises
        raise UsageError(f"--pair: {text!r} cannot be loaded ({in_one_line(error)})") from error
    if not isinstance(pair, ModelPair):
        raise UsageError(f"--pair: {text!r} gives {type(pair).__name__}, and must be, or make, a ModelPair")
    return _checked(pair)


def _checked(pair: ModelPair) -> ModelPair:
    if not isinstance(pair.settings, Mapping):
        raise UsageError(f"--pair: the settings are {pair.settings!r:.40}, and must be a dictionary by name")
    pair.only(SETTINGS)
    for name in OF_EACH_SIDE:
        check_two_functions(f"--pair: the setting {name!r}", pair.settings.get(name))
    return pair
