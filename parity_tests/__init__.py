"""The instrument that holds the PyTorch RetinaNet against its Keras reference, and the tests of all three packages.

Any other two models are held against each other by `compare_models`; what is named here is loaded when it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity_tests.ladder.compare_models import compare_models
    from parity_tests.sides.adapters import Function, KerasModel, OnnxModel, TorchModule
    from parity_tests.sides.own_taps import OwnTaps
    from parity_tests.sides.randomise import randomise

PLACES = {
    "Function": "sides.adapters",
    "KerasModel": "sides.adapters",
    "OnnxModel": "sides.adapters",
    "OwnTaps": "sides.own_taps",
    "TorchModule": "sides.adapters",
    "compare_models": "ladder.compare_models",
    "randomise": "sides.randomise",
}
"""The module of each public name."""

__all__ = ["Function", "KerasModel", "OnnxModel", "OwnTaps", "TorchModule", "compare_models", "randomise"]


def __getattr__(name: str) -> Any:
    if name in PLACES:
        return getattr(importlib.import_module(f"parity_tests.{PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
