"""What is done to a photo before the network, in two conventions: at which sizes of photos they differ."""

import numpy as np
import torch

from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.torch_surroundings import Config
from parity_tests.rule.budgets import CASCADED, ISOLATED, largest, largest_difference, rounding_budget
from parity_tests.rule.record import Array
from torch_retinanet.preprocess import Prepared, prepare

PHOTOS: tuple[Size, ...] = ((334, 500), (375, 500), (480, 640), (800, 800), (800, 1333), (1080, 1920))
"""Sizes of photos: two of Pascal VOC, one of COCO, two that keep their size, one that is made smaller."""


def photo_effect(config: Config, changed: Config, size: Size, *, seed: int = 0) -> float:
    """How far what the network is fed differs: a value, beside the largest one; or a side or a scale, beside itself.

    In float64: in float32 the position of a pixel that is resized is rounded by as much as some conventions do.
    """
    pixels = torch.from_numpy(np.random.default_rng([seed, *size]).random((3, *size)))
    fed, other = (prepare([pixels], each) for each in (config, changed))
    return max(_lengths_apart(fed, other), _values_apart(fed, other))


def _lengths_apart(fed: Prepared, other: Prepared) -> float:
    """As float32, in which one of the conventions computes them."""
    lengths = [[*p.images.shape[2:], *p.sizes[0], *p.scales[0]] for p in (fed, other)]
    pairs = np.array(lengths, np.float32).T[..., None]
    return max(_apart(left, right, ISOLATED) for left, right in pairs)


def _values_apart(fed: Prepared, other: Prepared) -> float:
    """Within what both have; a picture of another size has other values, which says nothing more.

    Resizing rounds where a pixel lies and then its value: 421 units of float64 were seen between two ways to the same.
    """
    if fed.sizes != other.sizes:
        return 0.0
    height, width = (min(sides) for sides in zip(fed.images.shape[2:], other.images.shape[2:], strict=True))
    left, right = (p.images[..., :height, :width].numpy() for p in (fed, other))
    return _apart(left, right, CASCADED)


def _apart(left: Array, right: Array, units: int) -> float:
    """The largest difference beside the largest value; 0 within `units` of rounding."""
    apart = largest_difference(left, right)
    return apart / largest(left) if apart > rounding_budget(left, units) else 0.0
