"""Naming the intermediate results of a forward pass; mirrors `keras_reference/taps.py`."""

from collections.abc import MutableMapping

from torch import Tensor

Taps = MutableMapping[str, Tensor]
"""Intermediate results by name; a plain dict will do."""


def tap(taps: Taps | None, name: str, value: Tensor) -> Tensor:
    """Write `value` down as `name` and go on with what then stands there.

    A dict hands back what was written. A mapping that hands back something else feeds every module with it: that is how
    a module is run on another model's input.
    """
    if taps is None:
        return value
    taps[name] = value
    return taps[name]
