"""How well the anchors of a model cover the boxes of a picture, at the size in which the network sees it."""

import torch
from torch import Tensor

from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.boxes import box_iou
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.preprocess import padded_size, resized_size

CHUNK = 16
"""Boxes that are compared with all anchors at once."""


def best_overlaps(boxes_xyxy: Tensor, size: tuple[int, int], config: RetinaNetConfig) -> Tensor:
    """The IoU (G,) of each box with the anchor that fits it best.

    Args:
        boxes_xyxy: (G,4) in pixels of the picture.
        size: height and width of the picture.
        config: says how it is resized and padded, and what anchors it has then.
    """
    new = resized_size(size, config)
    height, width = new.followed
    scales = boxes_xyxy.new_tensor([width / size[1], height / size[0]] * 2)
    anchors = AnchorGenerator(config).get_anchors(*padded_size([new], config), dtype=boxes_xyxy.dtype)
    resized = boxes_xyxy * scales
    best = [box_iou(resized[i : i + CHUNK], anchors).amax(-1) for i in range(0, len(resized), CHUNK)]
    return torch.cat([boxes_xyxy.new_zeros(0), *best])
