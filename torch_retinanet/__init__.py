"""RetinaNet in PyTorch, in the conventions of the published ones, proven equal to its Keras reference."""

import importlib.util
import os
import sys


def _load_triton_beside_tensorflow() -> None:
    """Let triton find its own LLVM where TensorFlow, which brings another, was imported first.

    Without it the interpreter ends in a segmentation fault as soon as torchvision imports triton (torch 2.14.1,
    tensorflow 2.21.0).
    """
    if "tensorflow" in sys.modules and "triton" not in sys.modules and importlib.util.find_spec("triton"):
        flags = sys.getdlopenflags()
        sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
        try:
            importlib.import_module("triton")
        finally:
            sys.setdlopenflags(flags)


_load_triton_beside_tensorflow()

from torch_retinanet.config import RetinaNetConfig  # noqa: E402
from torch_retinanet.errors import InputError  # noqa: E402
from torch_retinanet.model import RetinaNet  # noqa: E402

__all__ = ["InputError", "RetinaNet", "RetinaNetConfig"]
