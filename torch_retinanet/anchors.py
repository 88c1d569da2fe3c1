"""The anchors in the conventions of a config; mirrors `keras_reference/anchors.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4: on each level three scales times
three ratios, or those of a config.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from torch_retinanet.boxes import clip
from torch_retinanet.config import RetinaNetConfig


class AnchorGenerator:
    """The anchors of pictures of any size, in the order of the network's outputs."""

    def __init__(self, config: RetinaNetConfig) -> None:
        self.config = config

    def get_anchors(
        self, height: int, width: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
    ) -> Tensor:
        """Anchors (N,4) xyxy of a picture of `height` by `width`, in its pixels."""
        return self.kept_anchors(height, width, dtype=dtype, device=device).clone()

    def kept_anchors(self, height: int, width: int, *, dtype: torch.dtype, device: torch.device | str) -> Tensor:
        """The same, kept on its device for the next picture of this size: they must not be written to."""
        return _placed(self.config, height, width, dtype, torch.device(device))

    def anchors_per_level(self, height: int, width: int) -> list[int]:
        """How many of the N anchors belong to each level, P3 to P7 by default."""
        return [self.config.anchors_per_cell * math.prod(cells(height, width, 2**i)) for i in self.config.levels]


def cells(height: int, width: int, stride: int) -> tuple[int, int]:
    """Rows and columns of a level on a picture of `height` by `width`."""
    return math.ceil(height / stride), math.ceil(width / stride)


@lru_cache(maxsize=16)
def _placed(config: RetinaNetConfig, height: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        anchors = torch.cat([_level_anchors(config, height, width, i) for i in config.levels])
        return (clip(anchors, height, width) if config.clip_anchors else anchors).to(device, dtype)


def _level_anchors(config: RetinaNetConfig, height: int, width: int, level: int) -> Tensor:
    """Anchors (cells x A, 4) of one level, computed in double precision."""
    stride: int = 2**level
    rows, columns = cells(height, width, stride)
    steps = (stride, stride) if config.anchor_stride == "power_of_2" else (height // rows, width // columns)
    y, x = (
        torch.arange(count, dtype=torch.float64) * step + _offset(step, config.anchor_centre)
        for count, step in zip((rows, columns), steps, strict=True)
    )
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).unsqueeze(-2)  # (rows, columns, 1, 2)
    half = half_sides(config, smallest_side(config, level))
    boxes = torch.cat([centres - half, centres + half], dim=-1)
    if config.output_order == "anchor_row_column":
        boxes = boxes.permute(2, 0, 1, 3)
    return boxes.reshape(-1, 4)


def smallest_side(config: RetinaNetConfig, level: int) -> float:
    """The side in pixels of the smallest square anchor of a level."""
    return config.anchor_sizes[level - config.min_level] if config.anchor_sizes else config.anchor_scale * 2**level


def _offset(step: int, centre: str) -> float:
    """Pixels from the top left corner of a cell to the centre of its anchors, in either direction."""
    if centre == "half_cell_down":
        return step // 2
    return step / 2 if centre == "half_cell" else 0.0


def half_sides(config: RetinaNetConfig, smallest: float) -> Tensor:
    """Half the widths and heights (A,2) of the anchors of a cell, from the side of its smallest square one."""
    sizes = [smallest * scale for scale in config.anchor_scales]
    if config.anchor_rounding == "torchvision":
        sizes = [float(int(size)) for size in sizes]
    if config.anchor_order == "ratio_scale":
        pairs = [(ratio, size) for ratio in config.anchor_ratios for size in sizes]
    else:
        pairs = [(ratio, size) for size in sizes for ratio in config.anchor_ratios]
    half = torch.tensor([_sides(ratio, size, config.anchor_ratio) for ratio, size in pairs], dtype=torch.float64) / 2
    return half.round() if config.anchor_rounding == "torchvision" else half


def _sides(ratio: float, size: float, meaning: str) -> tuple[float, float]:
    """Width and height of the anchor with the area of a square of `size`."""
    wide = math.sqrt(ratio if meaning == "w/h" else 1 / ratio)
    return size * wide, size / wide
