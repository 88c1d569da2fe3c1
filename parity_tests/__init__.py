"""The instrument that holds the PyTorch RetinaNet against its Keras reference, and the tests of all three packages.

Any other two models are held against each other by `compare_models`; what is named here is loaded when it is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity_tests.library import Function, KerasModel, TorchModule, compare_models, randomise

__all__ = ["Function", "KerasModel", "TorchModule", "compare_models", "randomise"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from parity_tests import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
