"""The one error that a wrong argument raises."""


class InputError(ValueError):
    """What the caller gave breaks a rule; the message is one sentence: the argument, its value, the rule."""
