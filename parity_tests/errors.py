"""The one error that a wrong argument to the instrument raises."""


class InputError(ValueError):
    """What the caller gave breaks a rule; the message is one sentence: the argument, its value, the rule."""
