"""Faults that hold-outs brought up: the command did not see them, and rungs have become sharper by them."""

import itertools
import math
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from parity_tests.tests.support.picture_faults import FILES, MIRRORED, STEPS
from parity_tests.tests.support.port_faults import Fault, patch, result
from torch_retinanet.resize import resize_as_torch
from torch_retinanet.targets import with_last_pixel

PICTURES = 4
"""Those of the batch of which the loss is computed."""

EDGES, LOST = ("detections", "edges"), ("detector", "pictures to losses")


def with_sides_limited(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Boxes that are a 60th of their anchors wide and high at least, as some libraries clamp them."""
    centres, least = (boxes[..., :2] + boxes[..., 2:]) / 2, (anchors[..., 2:] - anchors[..., :2]) / 60
    half = torch.maximum(boxes[..., 2:] - boxes[..., :2], least) / 2
    small = (boxes[..., 2:] - boxes[..., :2] < least).any(-1, keepdim=True)
    return torch.where(small, torch.cat([centres - half, centres + half], dim=-1), boxes)


def smoothed_where_small(make: Any) -> Any:
    """Pictures that are smoothed where they shrink to less than a fourth."""

    def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
        if 4 * size[0] >= image.shape[-2]:
            return cast("Tensor", make(image, size))
        return resize_as_torch(image, size, antialias=True)

    return resize


def a_row_late(make: Any) -> Any:
    """A large picture whose bands begin a row above where they should."""

    def crop(self: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
        left, top, right, bottom = box
        return cast("Image.Image", make(self, (left, max(0, top - 1), right, bottom - min(1, top))))

    return crop


def zeros_and_ones(make: Any) -> Any:
    """A picture of one bit whose white is 1."""
    return lambda picture: make(
        Image.fromarray(np.asarray(picture).astype(np.uint8)) if picture.mode == "1" else picture
    )


def at_white_255(make: Any) -> Any:
    """Gray whose largest number is 1 taken for one from 0 to 255."""
    return lambda picture, name, white: make(
        Image.fromarray(np.asarray(picture) / 255) if picture.mode == "F" and np.max(picture) == 1 else picture,
        name,
        white,
    )


def clipped_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number of a gradient limited, and not its norm."""
    norm = Accelerator.clip_grad_norm_

    def clip(self: Accelerator, parameters: Any, limit: float) -> Any:
        found = norm(self, parameters := list(parameters), math.inf)
        torch.nn.utils.clip_grad_value_(parameters, limit)
        return found

    monkeypatch.setattr(Accelerator, "clip_grad_norm_", clip)


def without_the_second(make: Any) -> Any:
    """Of the parts that are frozen all but one."""
    return lambda *given: [part for place, part in enumerate(make(*given)) if place != 1]


def unscaled(which: int) -> Fault:
    """Boxes (0) or regions to ignore (1) that training takes where they are in the picture as it was given."""

    def make(right: Any) -> Any:
        calls = itertools.count()

        def scaled(boxes: Tensor, height: float, width: float, like: Tensor) -> Tensor:
            share = (1.0, 1.0) if next(calls) // PICTURES % 2 == which else (height, width)
            return cast("Tensor", right(boxes, *share, like))

        return scaled

    return patch("torch_retinanet.detector.scaled", make)


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
    "real numbers rounded to bytes": (
        *STEPS,
        patch("torch_retinanet.preprocess.from_0_to_255", result(torch.round)),
        "prepared",
    ),
    "smoothed where a picture shrinks much": (
        *STEPS,
        patch("torch_retinanet.resize.resize_as_tensorflow", smoothed_where_small),
        "resized",
    ),
    "bands of a large picture a row late": (*FILES, patch("PIL.Image.Image.crop", a_row_late), "picture"),
    "one bit as 0 and 1": (*FILES, patch("torch_retinanet.pictures._on_white", zeros_and_ones), "picture"),
    "small boxes left out of training": (
        *MIRRORED,
        patch(
            "torch_retinanet.data.transforms.v2.SanitizeBoundingBoxes", lambda make: lambda min_size: make(min_size=8.0)
        ),
        "trained.boxes",
    ),
    "boxes not scaled with their picture": (*LOST, unscaled(0), "loss.classification"),
    "boxes scaled by width down and by height along": (
        *LOST,
        patch("torch_retinanet.detector.scaled", lambda make: lambda boxes, h, w, like: make(boxes, w, h, like)),
        "loss.box",
    ),
    "boxes by centres taken for those by corners": (
        *LOST,
        patch("torch_retinanet.checks.in_xyxy", lambda make: lambda value: value.as_subclass(Tensor)),
        "loss.classification",
    ),
    "an array of 1 bit as 0 and 1": (
        *FILES,
        patch(
            "torch_retinanet.pictures._to_bytes",
            lambda make: lambda array: make(array.astype(np.uint8) if array.dtype == bool else array),
        ),
        "picture",
    ),
    "an array of colours taken for BGR": (
        *FILES,
        patch("torch_retinanet.pictures._from_array", result(lambda picture: picture.flip(0))),
        "picture",
    ),
    "gray whose white is 1 taken for one from 0 to 255": (
        *FILES,
        patch("torch_retinanet.pictures._deep_gray", at_white_255),
        "picture",
    ),
    "processes that all draw the same pictures": (
        *("training", "AdamW, one_cycle"),
        patch(
            "torch_retinanet.train.sampler.EpochSampler.batches",
            lambda make: lambda self, *ends: make(replace(self, process=0), *ends),
        ),
        "shared_out",
    ),
    "gradients clipped by value": (*("training", "AdamW, one_cycle"), clipped_by_value, "clipped_norm"),
    "a frozen stem whose BatchNorm trains": (
        *("training", "SGD, cosine"),
        patch("torch_retinanet.detector.parts_to_freeze", without_the_second),
        "norm_follows",
    ),
    "regions to ignore not scaled with their picture": (*LOST, unscaled(1), "loss.classification"),
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
