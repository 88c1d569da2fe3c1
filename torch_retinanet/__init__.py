"""RetinaNet in PyTorch, in the conventions of the published ones, proven equal to its Keras reference."""

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from torch_retinanet.errors import InputError, install_hint

# Where tensorflow was imported first, triton takes its LLVM for its own and ends the interpreter in a segmentation
# fault as soon as torchvision imports it (tensorflow 2.21.0, triton 3.8.0), unless it is bound to its own symbols.
if "tensorflow" in sys.modules and "triton" not in sys.modules and hasattr(os, "RTLD_DEEPBIND"):
    _flags = sys.getdlopenflags()
    sys.setdlopenflags(_flags | os.RTLD_DEEPBIND)
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")
    sys.setdlopenflags(_flags)

HAS_TORCH = find_spec("torch") is not None
"""Where there is no torch, as on a server, `retinanet verify` is all that there is."""


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """No search for garbage: modules stay, and to look through torch's again and again is a fifth of an import."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


if HAS_TORCH:
    with _no_collection():
        from torch_retinanet.anchors import AnchorGenerator
        from torch_retinanet.backbone import BackboneWeights
        from torch_retinanet.config import RetinaNetConfig, register_backbone
        from torch_retinanet.detector import RetinaNetDetector
        from torch_retinanet.factories import retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2
        from torch_retinanet.losses import (
            BinaryFocalLoss,
            RetinaNetBoxLoss,
            RetinaNetClassificationLoss,
            RetinaNetLoss,
            SparseCategoricalFocalLoss,
        )
        from torch_retinanet.model import RetinaNet
        from torch_retinanet.postprocess import DecodePredictions
        from torch_retinanet.preprocess import preprocess_data, resize_and_pad_image
        from torch_retinanet.targets import LabelEncoder
        from torch_retinanet.weights import load_model, load_weights, read_backbone, save_weights

    AnchorBox = AnchorGenerator
    """The name that the keras.io example has for it."""

if TYPE_CHECKING:
    from torch_retinanet.data.dataset import PictureDataset  # noqa: F401
    from torch_retinanet.data.formats import read_annotations as read_dataset  # noqa: F401
    from torch_retinanet.train import TrainConfig, Trainer  # noqa: F401

try:
    __version__ = version("torch-retinanet")
except PackageNotFoundError:  # the sources alone, as torch.hub has them
    __version__ = "0+unknown"

LATER = {
    "PictureDataset": ("torch_retinanet.data.dataset", "PictureDataset"),
    "TrainConfig": ("torch_retinanet.train", "TrainConfig"),
    "Trainer": ("torch_retinanet.train", "Trainer"),
    "read_dataset": ("torch_retinanet.data.formats", "read_annotations"),
}
"""What is imported where it is used: it needs the extra `train`."""


def __getattr__(name: str) -> Any:
    if name in __all__ and not HAS_TORCH:
        raise ModuleNotFoundError(f"{name} needs torch; pip install torch torchvision brings it", name="torch")
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = LATER[name]
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{name} needs {error.name}; {install_hint('train')} brings it") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *LATER})


__all__ = [
    "AnchorBox",
    "AnchorGenerator",
    "BackboneWeights",
    "BinaryFocalLoss",
    "DecodePredictions",
    "InputError",
    "LabelEncoder",
    "RetinaNet",
    "RetinaNetBoxLoss",
    "RetinaNetClassificationLoss",
    "RetinaNetConfig",
    "RetinaNetDetector",
    "RetinaNetLoss",
    "SparseCategoricalFocalLoss",
    "load_model",
    "load_weights",
    "preprocess_data",
    "read_backbone",
    "register_backbone",
    "resize_and_pad_image",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "save_weights",
]
