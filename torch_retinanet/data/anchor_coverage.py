"""How well the anchors of a model cover the boxes of pictures, at the size in which the network sees them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from torch_retinanet.anchors import half_sides, smallest_side
from torch_retinanet.boxes import box_iou
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
    """The IoU (T,) of each box with the anchor of the config that fits it best.

    Of all anchors of one shape on one level that is the one whose centre is nearest to the box's along both axes.
    """
    best = seen.boxes_xyxy.new_zeros(len(seen.boxes_xyxy))
    for level in config.levels:
        centres = _nearest_centres(seen, level, config)
        for half in half_sides(config, smallest_side(config, level)).to(centres):
            anchors = torch.cat([centres - half, centres + half], dim=1)
            if config.clip_anchors:
                anchors = torch.minimum(anchors.clamp(min=0), seen.sizes[:, [1, 0, 1, 0]])
            overlaps = box_iou(seen.boxes_xyxy.unsqueeze(1), anchors.unsqueeze(1))  # of each box with its own anchor
            best = torch.maximum(best, overlaps.flatten())
    return best


def _nearest_centres(seen: SeenBoxes, level: int, config: RetinaNetConfig) -> Tensor:
    """For each box the x and y (T,2) of the cell of a level whose centre is nearest to its own."""
    counts = (seen.sizes / 2**level).ceil()
    steps = torch.full_like(counts, 2**level) if config.anchor_stride == "power_of_2" else seen.sizes // counts
    offset = 0.5 if config.anchor_centre == "half_cell" else 0.0
    wanted = ((seen.boxes_xyxy[:, :2] + seen.boxes_xyxy[:, 2:]) / 2).flip(1)  # y and x, as the sizes
    cell = torch.minimum((wanted / steps - offset).round().clamp(min=0), counts - 1)
    return ((cell + offset) * steps).flip(1)


def _resizing(size: tuple[int, int], config: RetinaNetConfig) -> tuple[Sequence[float], tuple[int, int]]:
    """What boxes of a picture are multiplied by, xyxy, and the height and width that it is padded to."""
    new = resized_size(size, config)
    height, width = new.followed
    return [width / size[1], height / size[0]] * 2, padded_size([new], config)
