"""The instrument that holds the PyTorch RetinaNet against its Keras reference, and the tests of all three packages.

Any other two models are held against each other by `compare_models`; what is named here is loaded when it is used.
"""

import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity_tests.bundle.models import check_model, record_model
    from parity_tests.ladder.compare_models import compare_models
    from parity_tests.ladder.model_pair import ModelPair
    from parity_tests.rule.result import Result
    from parity_tests.sides.adapters import Function, JaxFunction, KerasModel, OnnxModel, TorchModule
    from parity_tests.sides.own_taps import OwnTaps
    from parity_tests.sides.randomise import randomise

# Loaded after tensorflow, triton takes its LLVM for its own and ends the interpreter in a segmentation fault, as soon
# as someone imports torchvision (tensorflow 2.21.0, triton 3.8.0), unless it is bound to its own symbols.
if "triton" not in sys.modules and hasattr(os, "RTLD_DEEPBIND"):
    _flags = sys.getdlopenflags()
    sys.setdlopenflags(_flags | (os.RTLD_DEEPBIND if "tensorflow" in sys.modules else 0))
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")
    sys.setdlopenflags(_flags)

PLACES = {
    **dict.fromkeys(("Function", "JaxFunction", "KerasModel", "OnnxModel", "TorchModule"), "sides.adapters"),
    **dict.fromkeys(("check_model", "record_model"), "bundle.models"),
    "ModelPair": "ladder.model_pair",
    "OwnTaps": "sides.own_taps",
    "Result": "rule.result",
    "compare_models": "ladder.compare_models",
    "randomise": "sides.randomise",
}
"""The module of each public name."""

__all__ = [
    "Function",
    "JaxFunction",
    "KerasModel",
    "ModelPair",
    "OnnxModel",
    "OwnTaps",
    "Result",
    "TorchModule",
    "check_model",
    "compare_models",
    "randomise",
    "record_model",
]


def __getattr__(name: str) -> Any:
    if name in PLACES:
        return getattr(importlib.import_module(f"parity_tests.{PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
