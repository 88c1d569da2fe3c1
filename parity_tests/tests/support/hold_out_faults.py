"""Faults that hold-outs brought up: the command did not see them, and rungs have become sharper by them."""

import math

import torch
from torch import Tensor
from torchvision.transforms import v2

from parity_tests.tests.support.picture_faults import MIRRORED
from parity_tests.tests.support.port_faults import Fault, patch
from torch_retinanet.targets import with_last_pixel

EDGES = ("detections", "edges")


def with_sides_limited(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Boxes that are a 60th of their anchors wide and high at least, as some libraries clamp them."""
    centres, least = (boxes[..., :2] + boxes[..., 2:]) / 2, (anchors[..., 2:] - anchors[..., :2]) / 60
    half = torch.maximum(boxes[..., 2:] - boxes[..., :2], least) / 2
    small = (boxes[..., 2:] - boxes[..., :2] < least).any(-1, keepdim=True)
    return torch.where(small, torch.cat([centres - half, centres + half], dim=-1), boxes)


HOLD_OUT_FAULTS: dict[str, tuple[str, str, Fault, str]] = {
    "logits above the logit of the threshold": (
        *EDGES,
        patch(
            "torch_retinanet.DecodePredictions._candidates",
            lambda make: (
                lambda self, logits, per_level: make(
                    self, torch.where(logits > 0, logits.clamp(min=2.0**-51), logits), per_level
                )
            ),
        ),
        "det.set",
    ),
    "small boxes made larger": (
        *EDGES,
        patch(
            "torch_retinanet.postprocess.decode",
            lambda make: (
                lambda deltas, anchors, *how, **settings: with_sides_limited(
                    make(deltas, anchors, *how, **settings), anchors
                )
            ),
        ),
        "det.set",
    ),
    "an overlap at the threshold drops where several classes have a few boxes": (
        *EDGES,
        patch(
            "torch_retinanet.postprocess.nms_in_rounds",
            lambda make: lambda boxes, counts, iou: make(boxes, counts, math.nextafter(iou, 0)),
        ),
        "det.set",
    ),
    "boxes a pixel larger where several classes have a few": (
        *EDGES,
        patch(
            "torch_retinanet.postprocess.nms_in_rounds",
            lambda make: lambda boxes, counts, iou: make(with_last_pixel(boxes), counts, iou),
        ),
        "det.set",
    ),
    "training pictures turned upside down left to right": (
        *MIRRORED,
        lambda monkeypatch: monkeypatch.setattr(
            "torch_retinanet.data.transforms.v2.RandomVerticalFlip", v2.RandomHorizontalFlip
        ),
        "upside_down.picture",
    ),
    "batches without pictures in the mean of gradients": (
        *("training", "SGD, step"),
        patch(
            "torch_retinanet.train.train_step.TrainStep._add_gradients",
            lambda make: lambda self, batch, batches: make(self, batch, self.config.accumulate),
        ),
        "gradient_norm",
    ),
    "the backbone's own rate forgotten": (
        *("training", "SGD, cosine"),
        patch(
            "torch_retinanet.train.train_step._groups",
            lambda make: lambda model, config: [{**group, "share": 1.0} for group in make(model, config)],
        ),
        "fpn/backbone/conv3_block1_1_conv/kernel",
    ),
}
"""Faults by what they are: rung, case, how they are planted, and the name where they show."""
