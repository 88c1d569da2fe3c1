"""RetinaNet in Keras 3, as the teaching notebook has it: the reference that the PyTorch model is held against."""

import contextlib
import importlib
import sys

# Loaded after tensorflow, triton takes its LLVM for its own and ends the interpreter in a segmentation fault, as soon
# as someone imports torchvision (tensorflow 2.21.0, triton 3.8.0); loaded before, both find their own.
if "tensorflow" not in sys.modules:
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")

from keras_reference.backbone import get_backbone
from keras_reference.errors import InputError
from keras_reference.fpn import FeaturePyramidNetwork
from keras_reference.heads import build_head
from keras_reference.model import RetinaNet

__all__ = ["FeaturePyramidNetwork", "InputError", "RetinaNet", "build_head", "get_backbone"]
