"""The one error that a wrong argument to the instrument raises, those that other packages raise, and any in words."""

import sys


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
    return ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split()))))


__all__ = ["UsageError", "in_one_line", "refusals"]
