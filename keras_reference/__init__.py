"""RetinaNet in Keras 3, as the teaching notebook and the keras.io example have it.

The reference that the PyTorch model is held against.
"""

import contextlib
import importlib
import os
import sys

# Loaded after tensorflow, triton takes its LLVM for its own and ends the interpreter in a segmentation fault, as soon
# as someone imports torchvision (tensorflow 2.21.0, triton 3.8.0), unless it is bound to its own symbols.
if "triton" not in sys.modules and hasattr(os, "RTLD_DEEPBIND"):
    _flags = sys.getdlopenflags()
    sys.setdlopenflags(_flags | (os.RTLD_DEEPBIND if "tensorflow" in sys.modules else 0))
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")
    sys.setdlopenflags(_flags)

from keras_reference.anchors import AnchorGenerator
from keras_reference.backbone import get_backbone
from keras_reference.boxes import compute_iou, convert_to_corners, convert_to_xywh, swap_xy
from keras_reference.config import RetinaNetConfig
from keras_reference.errors import InputError
from keras_reference.fpn import FeaturePyramidNetwork
from keras_reference.heads import build_head
from keras_reference.losses import (
    BinaryFocalLoss,
    RetinaNetBoxLoss,
    RetinaNetClassificationLoss,
    RetinaNetLoss,
    SparseCategoricalFocalLoss,
)
from keras_reference.model import RetinaNet
from keras_reference.pictures import read_picture
from keras_reference.postprocess import DecodePredictions
from keras_reference.preprocess import prepare_image, preprocess_data, random_flip_horizontal, resize_and_pad_image
from keras_reference.targets import LabelEncoder

AnchorBox = AnchorGenerator
"""The name that the keras.io example has for it."""

__all__ = [
    "AnchorBox",
    "AnchorGenerator",
    "BinaryFocalLoss",
    "DecodePredictions",
    "FeaturePyramidNetwork",
    "InputError",
    "LabelEncoder",
    "RetinaNet",
    "RetinaNetBoxLoss",
    "RetinaNetClassificationLoss",
    "RetinaNetConfig",
    "RetinaNetLoss",
    "SparseCategoricalFocalLoss",
    "build_head",
    "compute_iou",
    "convert_to_corners",
    "convert_to_xywh",
    "get_backbone",
    "prepare_image",
    "preprocess_data",
    "random_flip_horizontal",
    "read_picture",
    "resize_and_pad_image",
    "swap_xy",
]
