"""How training pictures are changed, by torchvision's transforms v2: every picture ends in the size the network sees.

A picture and its boxes are mirrored, cut, coloured, resized by the short side with a limit for the long one, and scaled
about within that size. What is drawn at random depends on the generator of torch at the time of the call.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.preprocess import resized_size

LEAST_SIDE = 1.0
"""Pixels of a side below which a box that is left of an object is no object."""

LEAST_SHARE = 0.2
"""The share of an object that must be left of it when a picture is cut."""


def training_transforms(
    config: RetinaNetConfig,
    *,
    flip: float = 0.5,
    vertical_flip: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    crop: float = 0.0,
    colour: float = 0.0,
) -> nn.Module:
    """What is done to a `tv_tensors.Image` (3,H,W) and a target with `boxes` and `labels`.

    Args:
        config: the sides of the pictures.
        flip: how often a picture is mirrored left to right.
        vertical_flip: how often it is mirrored top to bottom.
        scale: between which factors it is scaled about.
        crop: how often a part is cut out that keeps enough of some box (Liu et al. 2016, SSD).
        colour: how far brightness, contrast and saturation are drawn from 1.
    """
    steps: list[nn.Module] = []
    if crop:
        steps.append(v2.RandomApply([v2.RandomIoUCrop(min_scale=0.5)], p=crop))
    if flip:
        steps.append(v2.RandomHorizontalFlip(flip))
    if vertical_flip:
        steps.append(v2.RandomVerticalFlip(vertical_flip))
    if colour:
        steps.append(v2.ColorJitter(brightness=colour, contrast=colour, saturation=colour))
    steps.append(ResizeShortSide(config))
    if scale != (1.0, 1.0):
        steps.append(ScaleAbout(scale, fill=[round(value) for value in config.pixel_mean]))
    return v2.Compose([*steps, v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes(min_size=LEAST_SIDE)])
