"""How many products the longest sum of each module adds up, from the shapes of its kernels."""

import re
from collections.abc import Mapping

from parity_tests.retinanet.inputs import fan_in

TAPS_OF_LAYERS = {
    r"fpn/backbone/conv1_conv": ["stem"],
    r"fpn/backbone/(conv\d_block\d+)_\d_conv": [r"\1"],
    r"fpn/conv_c(\d)_1x1": [r"lateral\1"],
    r"fpn/conv_c(\d)_3x3": [r"p\1"],
    r"(cls|box)_head/(\d)": [rf"\1.p{level}.\2" for level in range(3, 8)],
}
"""Convolutions by Keras name, and the taps that they make, alone or with others."""


def longest_sums(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The products in the longest sum of each tap that convolutions make, by the shapes of variables by Keras name."""
    longest: dict[str, int] = {}
    for name, shape in shapes.items():
        layer, _, variable = name.rpartition("/")
        for tap in taps_of(layer) if variable == "kernel" else ():
            longest[tap] = max(longest.get(tap, 0), fan_in(shape))
    return longest


def taps_of(layer: str) -> list[str]:
    """The taps that a convolution makes; none where the layer is no convolution of the network."""
    for pattern, taps in TAPS_OF_LAYERS.items():
        if match := re.fullmatch(pattern, layer):
            return [match.expand(tap) for tap in taps]
    return []
