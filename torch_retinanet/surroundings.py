"""What of a detector follows from which conventions: what is built into the network, and what stands around it."""

from collections.abc import Callable
from typing import Any

from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.config.boxes import AnchorConventions, BoxConventions, LossConventions, TargetConventions
from torch_retinanet.config.network import BackboneConventions, HeadConventions, PyramidConventions
from torch_retinanet.config.pictures import PostprocessingConventions
from torch_retinanet.losses import RetinaNetLoss
from torch_retinanet.postprocess import DecodePredictions
from torch_retinanet.targets import LabelEncoder

BUILT_IN = {
    *("num_classes", "backbone", "width", "head_depth", "in_channels", "anchors_per_cell"),
    *(name for group in (BackboneConventions, PyramidConventions, HeadConventions) for name in group.__annotations__),
}
"""The fields of a config that cannot change once the network is built."""


SURROUNDINGS: dict[str, tuple[Callable[[RetinaNetConfig], Any], tuple[type, ...]]] = {
    "anchors": (AnchorGenerator, (AnchorConventions,)),
    "label_encoder": (LabelEncoder, (TargetConventions, BoxConventions)),
    "loss": (RetinaNetLoss, (LossConventions, BoxConventions)),
    "decode_predictions": (DecodePredictions, (PostprocessingConventions, BoxConventions)),
}
"""What stands around the network: what makes it, and the conventions that it reads."""
