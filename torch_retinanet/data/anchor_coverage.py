"""How well the anchors of a model cover the boxes of pictures, at the size in which the network sees them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from torch_retinanet.anchors import half_sides, smallest_side
from torch_retinanet.boxes import box_area, box_iou
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.preprocess import padded_size, resized_size


class SeenBoxes(NamedTuple):
    """Boxes as the network sees them: (T,4) xyxy in its pixels, and height and width (T,2) of the padded pictures."""

    boxes_xyxy: Tensor
    sizes: Tensor


def seen_boxes(annotations: Annotations, config: RetinaNetConfig) -> SeenBoxes:
    """The objects of screened annotations, resized as a model resizes their pictures; what is ignored is none."""
    owners, scales, sizes = torch.from_numpy(annotations.owners()), [], []
    for size in annotations.sizes.tolist():
        scale, padded = _resizing((size[0], size[1]), config)
        scales.append(scale)
        sizes.append(padded)
    objects = torch.from_numpy(~annotations.ignored)
    boxes = torch.from_numpy(annotations.boxes) * torch.tensor(scales, dtype=torch.float64).reshape(-1, 4)[owners]
    return SeenBoxes(boxes[objects], torch.tensor(sizes, dtype=torch.float64).reshape(-1, 2)[owners][objects])


def best_overlaps(boxes_xyxy: Tensor, size: tuple[int, int], config: RetinaNetConfig) -> Tensor:
    """The IoU (G,) of each box with the anchor that fits it best.

    Args:
        boxes_xyxy: (G,4) in pixels of the picture.
        size: height and width of the picture.
        config: says how it is resized and padded, and what anchors it has then.
    """
    scale, padded = _resizing(size, config)
    sizes = boxes_xyxy.new_tensor([padded]).expand(len(boxes_xyxy), 2)
    return coverage(SeenBoxes(boxes_xyxy * boxes_xyxy.new_tensor(scale), sizes), config)


def coverage(seen: SeenBoxes, config: RetinaNetConfig) -> Tensor:
    """The IoU (T,) of each box with the anchor of the config that fits it best."""
    best, of_shape = seen.boxes_xyxy.new_zeros(len(seen.boxes_xyxy)), _best_cut if config.clip_anchors else _best_whole
    for level in config.levels:
        for half in half_sides(config, smallest_side(config, level)).to(best):
            best = torch.maximum(best, of_shape(seen, half, level, config))
    return best


def _best_whole(seen: SeenBoxes, half: Tensor, level: int, config: RetinaNetConfig) -> Tensor:
    """The IoU (T,) of each box with the best anchor of one shape: its centre is nearest to the box's on both axes."""
    axes = [
        _centres(wanted, length, level, config)
        for wanted, length in zip(_middles(seen.boxes_xyxy), _lengths(seen), strict=True)
    ]
    centres = torch.stack(axes, dim=1)
    anchors = torch.cat([centres - half, centres + half], dim=1)
    return box_iou(seen.boxes_xyxy.unsqueeze(1), anchors.unsqueeze(1)).flatten()  # of each box with its own anchor


def _best_cut(seen: SeenBoxes, half: Tensor, level: int, config: RetinaNetConfig) -> Tensor:
    """The same, where anchors end at the picture's border, and one further away may leave less beside the box.

    Along an axis the IoU rises or falls from one place to the next where edges meet: those of anchor and box, or of
    anchor and picture. So the best cell is beside such a place, or the first or last.
    """
    shared, extents = [], []
    for axis, length in enumerate(_lengths(seen)):
        low, high, reach = seen.boxes_xyxy[:, axis], seen.boxes_xyxy[:, axis + 2], half[axis].expand(len(length))
        places = torch.stack([low + reach, high - reach, reach, length - reach])  # (4,T)
        centres = torch.cat([_centres(places, length, level, config, side) for side in (torch.floor, torch.ceil)])
        start, end = (centres - reach).clamp(min=0), torch.minimum(centres + reach, length)
        shared.append((torch.minimum(end, high) - torch.maximum(start, low)).clamp(min=0))
        extents.append(end - start)
    intersection = shared[0][:, None] * shared[1][None]  # (8,8,T)
    union = extents[0][:, None] * extents[1][None] + box_area(seen.boxes_xyxy) - intersection
    return (intersection / union).flatten(0, 1).amax(0)


def _middles(boxes_xyxy: Tensor) -> Tensor:
    """The x of centres, and their y (2,T)."""
    return ((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2).t()


def _lengths(seen: SeenBoxes) -> Tensor:
    """The widths of pictures, and their heights (2,T)."""
    return seen.sizes.flip(1).t()


def _centres(
    wanted: Tensor,
    length: Tensor,
    level: int,
    config: RetinaNetConfig,
    rounded: Callable[[Tensor], Tensor] = torch.round,
) -> Tensor:
    """The centres (...,T) along an axis of length (T,) of the cells of a level that are nearest to what is wanted."""
    count = (length / 2**level).ceil()
    step = torch.full_like(count, 2**level) if config.anchor_stride == "power_of_2" else length // count
    offset = 0.5 if config.anchor_centre == "half_cell" else 0.0
    cell = torch.minimum(rounded(wanted / step - offset).clamp(min=0), count - 1)
    return (cell + offset) * step


def _resizing(size: tuple[int, int], config: RetinaNetConfig) -> tuple[Sequence[float], tuple[int, int]]:
    """What boxes of a picture are multiplied by, xyxy, and the height and width that it is padded to."""
    new = resized_size(size, config)
    height, width = new.followed
    return [width / size[1], height / size[0]] * 2, padded_size([new], config)
