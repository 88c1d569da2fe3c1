"""Pictures with boxes to train on."""

from torch_retinanet.data.digits import Digits

__all__ = ["Digits"]
