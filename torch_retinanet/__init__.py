"""RetinaNet in PyTorch, in the conventions of the published ones, proven equal to its Keras reference."""

import contextlib
import importlib
import os
import sys

# Where tensorflow was imported first, triton takes its LLVM for its own and ends the interpreter in a segmentation
# fault as soon as torchvision imports it (tensorflow 2.21.0, triton 3.8.0), unless it is bound to its own symbols.
if "tensorflow" in sys.modules and "triton" not in sys.modules and hasattr(os, "RTLD_DEEPBIND"):
    _flags = sys.getdlopenflags()
    sys.setdlopenflags(_flags | os.RTLD_DEEPBIND)
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")
    sys.setdlopenflags(_flags)

from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.backbone import BackboneWeights
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.errors import InputError
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

__all__ = [
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
    "resize_and_pad_image",
    "save_weights",
]
