"""What the buffers in a checkpoint of detectron2 say: colours and anchors, which today's versions leave out.

Source: detectron2 02b5c4e (2026-06-06), modeling/meta_arch/retinanet.py, modeling/anchor_generator.py and
tools/convert-torchvision-to-d2.py.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from torch_retinanet.anchors import half_sides, smallest_side
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.published.published import ANCHORS, Assumption

MEAN, STD, CELL = "pixel_mean", "pixel_std", "anchor_generator.cell_anchors."
IGNORED = rf"{MEAN}|{STD}|{re.escape(CELL)}\d+"
"""The names of these buffers, as a regular expression."""

BLUE_FIRST = (103.53, 116.28, 123.675)
"""The means of ImageNet's colours in detectron2's usual order; those of Caffe differ by less than 1."""

NEARLY = 2.0
"""Levels of 255 within which a mean is that of a colour."""

SAME = 1e-4
"""The share by which sides of anchors may differ, for they are rounded to float32."""


def told(found: TensorFile, config: RetinaNetConfig) -> dict[str, Any]:
    """Colours, their order by their means; and the stride that goes with their deviations.

    Raises:
        InputError: for anchors that are not those of the preset.
    """
    _check_anchors(found, config)
    said: dict[str, Any] = {}
    order = _order(found) or config.channel_order
    if MEAN in found.tensors:
        said = {"channel_order": order, "pixel_mean": _red_first(found.tensors[MEAN], order)}
    if STD in found.tensors:
        said["pixel_std"] = _red_first(found.tensors[STD], order)
        said["stride_in"] = "1x1" if set(said["pixel_std"]) == {1.0} else "3x3"
    return said


def assumed(found: TensorFile, config: RetinaNetConfig) -> tuple[Assumption, ...]:
    """The stride, which no file says; and what is in a buffer that this one does not have."""
    whose = "MSRA's ImageNet weights" if config.stride_in == "1x1" else "torchvision's ImageNet weights"
    stride = f"its file does not say where blocks have their stride: {config.stride_in} is assumed, as in {whose}"
    made = [Assumption(("stride_in",), stride)]
    unsaid = [name for name in (MEAN, STD) if name not in found.tensors]
    if _order(found) is None:
        unsaid.append("channel_order")
    else:
        made.append(Assumption((), f"the numbers of its pixel_mean are in the order {config.channel_order}"))
    unsaid += [] if _cells(found.tensors) else ANCHORS
    if unsaid:
        words = f"nor does it say {_listed(unsaid)}: those of the preset are assumed"
        made.insert(1, Assumption(tuple(unsaid), words))
    return tuple(made)


def _listed(fields: Sequence[str]) -> str:
    """Fields in words, those of anchors together."""
    named = [name for name in fields if name not in ANCHORS]
    return ", ".join(named if len(named) == len(fields) else [*named, "the sizes of anchors"])


def _order(found: TensorFile) -> Literal["bgr", "rgb"] | None:
    """In which order a file has its colours, where their means are those of ImageNet."""
    mean = _numbers(found.tensors[MEAN]) if MEAN in found.tensors else ()
    if _is_near(mean, BLUE_FIRST):
        return "bgr"
    return "rgb" if _is_near(mean, BLUE_FIRST[::-1]) else None


def _is_near(mean: Sequence[float], known: Sequence[float]) -> bool:
    return len(mean) == len(known) and all(abs(a - b) < NEARLY for a, b in zip(mean, known, strict=True))


def _red_first(tensor: Tensor, order: str) -> tuple[float, ...]:
    numbers = _numbers(tensor)
    return numbers[::-1] if order == "bgr" else numbers


def _numbers(tensor: Tensor) -> tuple[float, ...]:
    """The numbers of a buffer, as one wrote them before they became float32."""
    return tuple(float(f"{number:.7g}") for number in tensor.flatten().tolist())


def _cells(tensors: Mapping[str, Tensor]) -> dict[int, Tensor]:
    """The anchors of a cell by level, 0 for the finest."""
    return {int(name.removeprefix(CELL)): cell for name, cell in tensors.items() if re.fullmatch(rf"{CELL}\d+", name)}


def _check_anchors(found: TensorFile, config: RetinaNetConfig) -> None:
    """Refuse other anchors than those of the preset; stride and width are not in a file."""
    for place, cell in sorted(_cells(found.tensors).items()):
        if place >= len(config.levels):
            raise InputError(f"{found.source}: has anchors of {place + 1} levels, and preset detectron2 has 5")
        half = half_sides(config, smallest_side(config, config.levels[place]))
        expected = torch.cat([-half, half], dim=-1)
        own = cell.double()
        if own.shape != expected.shape or not torch.allclose(own, expected, rtol=SAME, atol=SAME):
            level = f"P{config.levels[place]}"
            raise InputError(
                f"{found.source}: anchors of {level} ({_shown(own)}) must be those of preset detectron2 "
                f"({_shown(expected)}); a model with anchors of its own is not read"
            )


def _shown(cell: Tensor) -> str:
    """How many anchors, and the first of them."""
    first = ", ".join(f"{number:.6g}" for number in cell.reshape(-1)[:4].tolist())
    return f"{len(cell.reshape(-1)) // 4}, the first ({first})"
