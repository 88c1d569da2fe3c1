"""Naming the intermediate results of a forward pass; mirrors `torch_retinanet/taps.py`."""

from collections import UserDict
from typing import Any


class Taps(UserDict[str, Any]):
    """Intermediate results by name, channels last.

    A class of its own because Keras copies the dicts that are passed to a layer, and with them what is written there.
    """


def tap(taps: Taps | None, name: str, value: Any) -> Any:
    """Write `value` down as `name` and go on with what then stands there.

    Plain `Taps` hand back what was written. A subclass that hands back something else feeds every module with it:
    that is how a module is run on another model's input.
    """
    if taps is None:
        return value
    taps[name] = value
    return taps[name]
