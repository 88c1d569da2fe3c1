"""What a finding about an original is, and what those of several packages are measured with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

RECORDINGS = Path(__file__).parents[1] / "tests" / "peers" / "recordings"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something in an original that its documents do not say, or that differs from the other RetinaNets.

    Attributes:
        name: of the finding, and of the argument of the command.
        package: the environment in which it is measured; a finding of a recording needs none.
        says: the sentence.
        figure: what the command prints.
        measure: gives the figure.
        recorded: whether it is read from a recording.
    """

    name: str
    package: str
    says: str
    figure: str
    measure: Callable[[], str]
    recorded: bool = False

    @property
    def command(self) -> str:
        """As it is typed in a checkout."""
        python = ".venv" if self.recorded else f".peers/{self.package}"
        return f"{python}/bin/python -m parity_tests.peers.findings {self.name}"


def error_of(work: Callable[[], Any]) -> str:
    """The kind of error that work ends with."""
    try:
        work()
    except Exception as error:  # whatever the package raises is the finding
        return type(error).__name__
    return "none"


def recorded(peer: str) -> dict[str, np.ndarray]:
    """All that is recorded of a package, by name."""
    from safetensors.numpy import load_file

    found: dict[str, np.ndarray] = load_file(RECORDINGS / peer / "answers.safetensors")
    return found
