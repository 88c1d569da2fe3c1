"""The one error that a wrong argument to the instrument raises, those that other packages raise, and any in words."""

import re
import sys
from pathlib import Path

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
"""What Keras puts into its messages to have a terminal write bold."""


class UsageError(ValueError):
    """What the caller gave breaks a rule; the message is one sentence: the argument, its value, the rule."""


def refusals(*packages: str) -> tuple[type[Exception], ...]:
    """What the instrument raises for wrong input, and these packages with an `InputError`, as far as they are loaded.

    Args:
        packages: their names; they are not imported for it.
    """
    loaded = [sys.modules[name] for name in packages if name in sys.modules]
    return (UsageError, *(package.InputError for package in loaded))


def in_one_line(error: Exception) -> str:
    """The kind of an error, and what it says where it says something."""
    said = " ".join(ESCAPES.sub("", str(error)).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def install_hint(extra: str) -> str:
    """The command that installs an extra: from the clone that runs, or by the package's name."""
    is_clone = (Path(__file__).parents[2] / "pyproject.toml").is_file()
    return f"pip install '{'.' if is_clone else 'torch-retinanet'}[{extra}]'"


__all__ = ["UsageError", "in_one_line", "install_hint", "refusals"]
