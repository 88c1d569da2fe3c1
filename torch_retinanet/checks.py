"""What a detector is given, checked picture by picture: each sentence names the index in the batch and the value.

Shapes and types are checked in every step. Values of pictures, and of targets on a device, would cost a pass over them
and a synchronisation: they are checked where asked for, as in the first batch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as v2

from torch_retinanet.errors import InputError
from torch_retinanet.pictures import COLOURS

OVERSHOOT = 1e-3
"""How far beyond 0 and 1 rounding may take a value, as in resizing."""


UPRIGHT = (
    tv_tensors.BoundingBoxFormat.XYXY,
    tv_tensors.BoundingBoxFormat.XYWH,
    tv_tensors.BoundingBoxFormat.CXCYWH,
)
"""Formats of boxes that are not rotated."""

NARROW = 64
"""Pixels of width up to which P6 is one pixel wide."""


def check_pictures(images: Sequence[Tensor], channels: int = 3, *, values: bool = True) -> list[Tensor]:
    """Pictures (C,H,W), by default RGB, of bytes or floating from 0 to 1.

    Floating ones get single precision at least: pixels of a large picture cannot be told apart in half precision.

    Raises:
        InputError: for an empty batch, another shape or dtype, a side of no pixels; with `values`, for floating ones
            outside 0 to 1.
    """
    if isinstance(images, Tensor) and images.ndim != 4:
        raise InputError(f"images: a tensor of shape {tuple(images.shape)} must be a list of pictures ({channels},H,W)")
    if not len(images):
        raise InputError("images: the list is empty; pass at least one picture")
    return [_checked_picture(f"images[{i}]", image, channels, values) for i, image in enumerate(images)]


def check_targets(
    targets: Sequence[dict[str, Any]], images: Sequence[Tensor], num_classes: int, *, values: bool = True
) -> list[dict[str, Any]]:
    """Targets that fit their pictures, with boxes xyxy: `BoundingBoxes` of torchvision in another format are converted.

    Values on the CPU are always checked: that waits for no device.

    Raises:
        InputError: for a target too few or too many, one without `boxes` or `labels`, boxes that are not (G,4), and
            labels that are not (G,) whole numbers; with `values`, for boxes that are not finite or without extent, and
            labels outside 0 to K - 1.
    """
    if isinstance(targets, Mapping):
        raise InputError("targets: a dict must be a list with one dict a picture")
    if len(targets) != len(images):
        raise InputError(f"targets: {len(targets)} of them must be as many as the {len(images)} pictures")
    for i, target in enumerate(targets):
        if not isinstance(target, Mapping):
            raise InputError(f"targets[{i}]: {type(target).__name__} must be a dict with boxes and labels")
    checked = [{name: in_xyxy(value) for name, value in target.items()} for target in targets]
    for i, target in enumerate(checked):
        for name in ("boxes", "labels"):
            if not isinstance(target.get(name), Tensor):
                raise InputError(f"targets[{i}]: {name} is {target.get(name)!r} and must be a tensor")
        _check_boxes(f"targets[{i}]", target["boxes"], values)
        _check_labels(f"targets[{i}]", target["labels"], len(target["boxes"]), num_classes, values)
        if "ignored" in target:
            _check_boxes(f"targets[{i}]: ignored", target["ignored"], values)
    return checked


def check_batch(images: Sequence[Tensor], targets: Sequence[dict[str, Any]], num_classes: int) -> None:
    """Refuse wrong values of a batch where it is put together; pictures of bytes can have none.

    Raises:
        InputError: as `check_pictures` and `check_targets`.
    """
    for i, image in enumerate(images):
        if not (isinstance(image, Tensor) and image.dtype == torch.uint8):
            channels = image.shape[0] if isinstance(image, Tensor) and image.ndim == 3 else COLOURS
            _checked_picture(f"images[{i}]", image, channels, values=True)  # the detector knows how many it takes
    check_targets(targets, images, num_classes)


def check_kernels(images: Tensor, dtype: torch.dtype) -> None:
    """Refuse a batch (B,3,H,W) for whose gradients torch's CPU has no right kernel in the type of the network.

    In bfloat16 torch 2.14.1 leaves memory as it was in the weights' gradient of a convolution with stride 2 on a map
    one pixel wide: `conv = nn.Conv2d(16, 16, 3, stride=2, padding=1).bfloat16()`,
    `conv(torch.ones(1, 16, 1, 1).bfloat16()).sum().backward()`. P6 is so where pictures are narrow.

    Raises:
        InputError: naming the width; shapes are looked at alone.
    """
    width = images.shape[-1]
    if width > NARROW or images.device.type != "cpu" or not torch.is_grad_enabled():
        return
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
    if dtype == torch.bfloat16:
        rule = f"must be wider than {NARROW} to train in bfloat16 on a CPU, whose gradients torch gets wrong there"
        raise InputError(f"images: padded to {width} pixels of width, and {rule}; train in float32")


def in_xyxy(value: Any) -> Any:
    """`BoundingBoxes` of torchvision as boxes xyxy; anything else as it is.

    Raises:
        InputError: for rotated ones.
    """
    if not isinstance(value, tv_tensors.BoundingBoxes):
        return value
    if value.format not in UPRIGHT:
        rule = f"must be one of {', '.join(f.value for f in UPRIGHT)}; take the upright boxes around them"
        raise InputError(f"boxes: format {value.format.value} {rule}")
    if value.format is not tv_tensors.BoundingBoxFormat.XYXY:
        value = v2.convert_bounding_box_format(value, new_format=tv_tensors.BoundingBoxFormat.XYXY)
    return value.as_subclass(Tensor)


def _checked_picture(name: str, image: Tensor, channels: int, values: bool) -> Tensor:
    if not isinstance(image, Tensor):
        raise InputError(f"{name}: {type(image).__name__} must be a tensor; predict() reads other pictures")
    if isinstance(image, tv_tensors.Video):
        raise InputError(f"{name}: a video of shape {tuple(image.shape)} must be given as its frames, as list(video)")
    if image.ndim != 3 or image.shape[0] != channels or 0 in image.shape:
        raise InputError(f"{name}: shape {tuple(image.shape)} must be ({channels},H,W), with sides of a pixel or more")
    if not torch.compiler.is_compiling():  # a tracer's tensors have classes of their own
        image = image.as_subclass(Tensor)
    if image.dtype == torch.uint8:
        return image
    if not image.is_floating_point():
        raise InputError(f"{name}: dtype {image.dtype} must be a floating type or uint8")
    if values:
        _check_unit(name, image)
    return image.float() if image.dtype in (torch.float16, torch.bfloat16) else image


def _check_unit(name: str, image: Tensor) -> None:
    if not torch.isfinite(image).all():
        count = int((~torch.isfinite(image)).sum())
        raise InputError(f"{name}: {count} values are NaN or infinite, and all must be finite")
    low, high = image.min().item(), image.max().item()
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise InputError(f"{name}: floating values from {low:.6g} to {high:.6g} must be from 0 to 1")


def _check_boxes(name: str, boxes: Tensor, values: bool) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"{name}: boxes have shape {tuple(boxes.shape)} and must be (G,4)")
    if not values and boxes.device.type != "cpu":
        return
    finite = torch.isfinite(boxes).all(dim=1)
    if not finite.all():
        row = int((~finite).nonzero()[0])
        raise InputError(f"{name}: box {row} is {boxes[row].tolist()}, and all numbers must be finite")
    proper = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    if not proper.all():
        row = int((~proper).nonzero()[0])
        raise InputError(f"{name}: box {row} is {boxes[row].tolist()}, and x1 < x2 and y1 < y2 must hold")


def _check_labels(name: str, labels: Tensor, boxes: int, num_classes: int, values: bool) -> None:
    if labels.shape != (boxes,):
        raise InputError(f"{name}: labels have shape {tuple(labels.shape)} and must be ({boxes},), one for each box")
    if labels.is_floating_point() or labels.dtype == torch.bool:
        raise InputError(f"{name}: labels have dtype {labels.dtype} and must be whole numbers")
    looked_at = values or labels.device.type == "cpu"
    if looked_at and not (known := (labels >= 0) & (labels.long() < num_classes)).all():
        row = int((~known).nonzero()[0])
        raise InputError(f"{name}: label {row} is {int(labels[row])} and must be from 0 to {num_classes - 1}")
