"""The one error that a wrong argument to the instrument raises, and any error in words."""


class InputError(ValueError):
    """What the caller gave breaks a rule; the message is one sentence: the argument, its value, the rule."""


def in_one_line(error: Exception) -> str:
    """The kind of an error, and what it says where it says something."""
    return ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split()))))
