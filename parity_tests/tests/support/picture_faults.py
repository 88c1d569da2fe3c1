"""Faults on the way from a picture file to boxes, and the rung, case and name at which each of them shows."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision import tv_tensors
from torchvision.transforms import v2

from parity_tests.tests.support.port_faults import Fault, patch, result
from torch_retinanet import pictures

TURNS = pictures.UPRIGHT


def turns(changed: dict[int, Any]) -> Fault:
    """Orientations that are taken for others; `None` for one that is not seen."""
    known = {value: turn for value, turn in (TURNS | changed).items() if turn is not None}
    return lambda monkeypatch: monkeypatch.setattr(pictures, "UPRIGHT", known)


def on(colour: str) -> Fault:
    """Transparent pictures that lie on another colour than white."""

    def composed(picture: Image.Image) -> Image.Image:
        if picture.has_transparency_data:
            ground = Image.new("RGBA", picture.size, colour)
            picture = Image.alpha_composite(ground, picture.convert("RGBA"))
        return picture.convert("RGB")

    return lambda monkeypatch: monkeypatch.setattr(pictures, "_on_white", composed)


def read(change: Any) -> Fault:
    """Pixels that are changed once they are read."""
    return patch("torch_retinanet.pictures._channels_first", result(change))


def interpolated(**settings: Any) -> Fault:
    """Pictures that are resized in another way."""

    def resize(image: torch.Tensor, size: tuple[int, int], config: Any, **_: Any) -> torch.Tensor:
        return F.interpolate(image[None], size, **settings)[0]

    return lambda monkeypatch: monkeypatch.setattr("torch_retinanet.preprocess.resize", resize)


def returned(change: Any) -> Fault:
    """A detector that gives boxes back by other factors."""
    return patch("torch_retinanet.detector.prepare", result(lambda p: p._replace(returns=change(p.returns))))


def by_padded_size(make: Any) -> Any:
    """Detections of pictures in the order of their groups."""

    def detect(self: Any, images: Any) -> Any:
        found = make(self, images)
        wide = [image.shape[-1] > 2 * image.shape[-2] for image in images]
        return [found[i] for i in sorted(range(len(found)), key=lambda i: (wide[i] != wide[0], i))]

    return detect


def cut_off(picture: Image.Image, name: str) -> Any:
    """Deep gray of which all above 255 is cut off."""
    return np.asarray(picture).clip(0, 255).astype(np.uint8)


def turned_twice(picture: Image.Image, upright: bool) -> Image.Transpose | None:
    """A TIFF that Pillow has rotated is rotated again."""
    turn = TURNS.get(pictures.orientation_of(picture))
    picture.load()
    return turn


def in_turn(make: Any) -> Any:
    """Detections of a group of pictures in the wrong order."""
    return lambda self, images: make(self, images)[::-1]


def flipped(change: Any) -> Fault:
    """A picture that is mirrored with boxes that are mirrored otherwise."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "torch_retinanet.preprocess.flip_horizontal",
            lambda image, boxes: (image.flip(-1), change(boxes, image.shape[-1])),
        )

    return plant


def mirrored(boxes: torch.Tensor, width: int) -> torch.Tensor:
    """Boxes as they are right in a picture of some width."""
    left, top, right, bottom = boxes.unbind(-1)
    return torch.stack([width - right, top, width - left, bottom], dim=-1)


def padded_above(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Black above and at the left of a picture, in place of below and at the right."""
    return F.pad(image, (size[1] - image.shape[-1], 0, size[0] - image.shape[-2], 0))


def norm_in_training(make: Any) -> Any:
    """Evaluation mode for all but BatchNorm."""

    def evaluated(self: Any) -> Any:
        made = make(self)
        for module in made.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.train()
        return made

    return evaluated


def pictures_alone(make: Any) -> Any:
    """Mirrors a picture, and leaves its boxes."""
    return lambda self, inpt, params: inpt if isinstance(inpt, tv_tensors.BoundingBoxes) else make(self, inpt, params)


FILES, STEPS, WHOLE, MIRRORED = (
    *(("pictures", "files"), ("pictures", "steps")),
    *(("detector", "pictures to boxes"), ("detector", "mirrored")),
)

PICTURE_FAULTS: dict[str, tuple[str, str, Fault, str]] = {
    "EXIF 6 taken for 8": (*FILES, turns({6: TURNS[8], 8: TURNS[6]}), "picture"),
    "EXIF 5 taken for 7": (*FILES, turns({5: TURNS[7], 7: TURNS[5]}), "picture"),
    "EXIF 2 not seen": (*FILES, turns({2: None}), "picture"),
    "EXIF 3 mirrored alone": (*FILES, turns({3: TURNS[2]}), "picture"),
    "no EXIF seen": (*FILES, turns(dict.fromkeys(TURNS)), "picture"),
    "transparent pictures on black": (*FILES, on("black"), "picture"),
    "alpha dropped": (
        *FILES,
        lambda monkeypatch: monkeypatch.setattr(pictures, "_on_white", lambda picture: picture.convert("RGB")),
        "picture",
    ),
    "16 bits divided by 256": (
        *FILES,
        lambda monkeypatch: monkeypatch.setattr(
            pictures, "_deep_gray", lambda picture, name, white: (np.asarray(picture) // 256).astype("uint8")
        ),
        "picture",
    ),
    "gray from 0 to 1 read as from 0 to 255": (
        *FILES,
        patch(
            "torch_retinanet.pictures._deep_gray",
            lambda make: lambda p, name, white: np.asarray(p).clip(0, 255).astype("uint8"),
        ),
        "picture",
    ),
    "arrays cut to bytes": (
        *FILES,
        lambda monkeypatch: monkeypatch.setattr(
            pictures, "_unit_to_bytes", lambda v: (v.float() * 255).to(torch.uint8)
        ),
        "picture",
    ),
    "blue read first": (
        *FILES,
        patch("torch_retinanet.pictures._in_bands", result(lambda t: t.flip(0))),
        "picture",
    ),
    "a row less": (*FILES, patch("torch_retinanet.pictures._in_bands", result(lambda t: t[:, 1:])), "picture"),
    "corners aligned": (*STEPS, interpolated(mode="bilinear", align_corners=True), "resized"),
    "resized with smoothing": (*STEPS, interpolated(mode="bilinear", antialias=True), "resized"),
    "the nearest pixel": (*STEPS, interpolated(mode="nearest"), "resized"),
    "bicubic": (*STEPS, interpolated(mode="bicubic"), "resized"),
    "height for width": (
        *STEPS,
        patch(
            "torch_retinanet.preprocess.resized_size",
            lambda make: (
                lambda size, config, **k: make(size, config, **k)._replace(pixels=make(size[::-1], config, **k).pixels)
            ),
        ),
        "sizes",
    ),
    "values divided twice": (
        *STEPS,
        patch("torch_retinanet.preprocess.normalise", lambda make: lambda image, config: make(image / 255, config)),
        "normalised",
    ),
    "a stride more where none is needed": (
        *STEPS,
        patch(
            "torch_retinanet.preprocess.padded_size",
            result(lambda size: tuple(side + 128 * (side == 1024) for side in size)),
        ),
        "sizes",
    ),
    "training pictures resized with smoothing": (
        *STEPS,
        patch(
            "torch_retinanet.data.transforms.F.resize",
            lambda make: lambda image, size, antialias: make(image, size, antialias=True),
        ),
        "trained",
    ),
    "padded above and at the left": (
        *STEPS,
        lambda monkeypatch: monkeypatch.setattr("torch_retinanet.preprocess._pad", padded_above),
        "padded",
    ),
    "boxes given back with height for width": (
        *WHOLE,
        patch(
            "torch_retinanet.detector.RetinaNetDetector._detect_batch",
            result(lambda found: [d | {"boxes": d["boxes"][:, [1, 0, 3, 2]]} for d in found]),
        ),
        "det.set",
    ),
    "boxes given back by twice the factor in height": (
        *WHOLE,
        returned(lambda all_: [(h * 2, w) for h, w in all_]),
        "det.set",
    ),
    "detections worst first": (
        *WHOLE,
        patch(
            "torch_retinanet.detector.RetinaNetDetector._detect_batch",
            result(lambda found: [{name: value.flip(0) for name, value in d.items()} for d in found]),
        ),
        "det.order",
    ),
    "TIFF rotated twice": (
        *FILES,
        lambda monkeypatch: monkeypatch.setattr(pictures, "_load", turned_twice),
        "picture",
    ),
    "pictures in the order of their padded sizes": (
        *WHOLE,
        patch("torch_retinanet.RetinaNetDetector._detect", by_padded_size),
        "det.set",
    ),
    "boxes not given back": (*WHOLE, returned(lambda all_: [(1.0, 1.0)] * len(all_)), "det.set"),
    "all boxes by the first picture's factor": (*WHOLE, returned(lambda all_: [all_[0]] * len(all_)), "det.set"),
    "pictures of one size in the wrong order": (
        *WHOLE,
        patch("torch_retinanet.detector.RetinaNetDetector._detect_batch", in_turn),
        "det.set",
    ),
    "BatchNorm that stays in training": (
        *WHOLE,
        patch("torch_retinanet.RetinaNetDetector.eval", norm_in_training),
        "det.set",
    ),
    "a picture read for the one before": (
        *WHOLE,
        patch(
            "torch_retinanet.RetinaNetDetector._read",
            lambda make: lambda self, pictures, index: make(self, pictures, max(0, index - 1)),
        ),
        "det.set",
    ),
    "boxes cut to the padded picture": (
        *WHOLE,
        patch("torch_retinanet.postprocess.decode", result(lambda boxes: boxes.clamp(min=0))),
        "det.set",
    ),
    "boxes that stay where they were": (*MIRRORED, flipped(lambda boxes, width: boxes), "mirrored.boxes"),
    "boxes mirrored a pixel off": (
        *MIRRORED,
        flipped(
            lambda boxes, width: torch.stack(
                [width - 1 - boxes[:, 2], boxes[:, 1], width - 1 - boxes[:, 0], boxes[:, 3]], 1
            )
        ),
        "mirrored.boxes",
    ),
    "left and right not exchanged": (
        *MIRRORED,
        flipped(
            lambda boxes, width: torch.stack([width - boxes[:, 0], boxes[:, 1], width - boxes[:, 2], boxes[:, 3]], 1)
        ),
        "mirrored.boxes",
    ),
    "training pictures mirrored without their boxes": (
        *MIRRORED,
        patch("torch_retinanet.data.transforms.v2.RandomHorizontalFlip.transform", pictures_alone),
        "trained.boxes",
    ),
    "training pictures mirrored top to bottom": (
        *MIRRORED,
        lambda monkeypatch: monkeypatch.setattr(
            "torch_retinanet.data.transforms.v2.RandomHorizontalFlip", v2.RandomVerticalFlip
        ),
        "trained.picture",
    ),
}
"""Faults by what they are: rung, case, how they are planted, and the name where they show."""

PICTURE_CONVENTIONS = {
    "channel_order=rgb": "normalised",
    "pixel_mean=103.939,116.779,123.68": "normalised",
    "pixel_mean=123.675,116.28,103.53": "normalised",
    "pixel_std=58.395,57.12,57.375": "normalised",
    "padding_value=mean": "padded",
    "resize_antialias=True": "resized",
    "min_side=600": "sizes",
    "max_side=1024": "sizes",
    "resize_rounding=double": "sizes",
    "pad_multiple=32": "sizes",
    "resized_to=bytes": "resized",
    "resize_library=pil": "resized",
    "resize_edges=mirror": "resized",
}
"""Conventions of pictures the wrong way, and the name of the step where each shows."""
