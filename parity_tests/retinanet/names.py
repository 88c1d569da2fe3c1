"""What the names of taps and variables stand for, and which convolution makes which tap. Needs numpy alone."""

import re
from collections.abc import Mapping
from typing import TypeVar

from parity_tests.rule.record import Tag
from parity_tests.sides.names import fan_in

T = TypeVar("T")

STATISTICS = "/moving_"
"""What the names of BatchNorm's statistics have in them."""

MODULES = (
    (r"stem|c\d+", ("backbone",)),
    (r"(conv\d+)_block\d+", ("backbone", r"\1")),
    (r"lateral\d+|merged\d+|p\d+", ("pyramid",)),
    (r"(cls|box)\.(p\d+)\.\d+", ("heads", r"\1", r"\2")),
    (r"logits|deltas|outputs", ("outputs",)),
)
"""The taps of the network, and the modules that they lie in."""

TAPS_OF_LAYERS = {
    r"fpn/backbone/conv1_conv": ["stem"],
    r"fpn/backbone/(conv\d_block\d+)_\d_conv": [r"\1"],
    r"fpn/conv_c(\d)_1x1": [r"lateral\1"],
    r"fpn/conv_c(\d)_3x3": [r"p\1"],
    r"(cls|box)_head/(\d)": [rf"\1.p{level}.\2" for level in range(2, 8)],
}
"""Convolutions by Keras name, and the taps that they make, alone or with others."""


def tag_of(name: str) -> Tag:
    """A tap of the network, the layers of a head at one level together; or a variable, by its Keras name."""
    if "/" in name:
        return Tag("variable")
    for pattern, path in MODULES:
        if match := re.fullmatch(pattern, name):
            group = tuple(match.expand(module) for module in path)
            return Tag("tap", ".".join(group[1:]) if group[0] == "heads" else name, group)
    return Tag()


def weights_of(values: Mapping[str, T]) -> dict[str, T]:
    """Values by variable name without those of BatchNorm's statistics."""
    return {name: value for name, value in values.items() if STATISTICS not in name}


def statistics_of(values: Mapping[str, T]) -> dict[str, T]:
    """Those of BatchNorm's statistics alone."""
    return {name: value for name, value in values.items() if STATISTICS in name}


def longest_sums(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The products in the longest sum of each tap that convolutions make, by the shapes of variables by Keras name."""
    longest: dict[str, int] = {}
    absent = re.compile(r"(cls|box)\.p2\..*" if "fpn/conv_c2_3x3/kernel" not in shapes else r"(?!)")
    for name, shape in shapes.items():
        layer, _, variable = name.rpartition("/")
        made = taps_of(layer) if variable == "kernel" else []
        for tap in (tap for tap in made if not absent.fullmatch(tap)):
            longest[tap] = max(longest.get(tap, 0), fan_in(name, shape))
    return longest


def taps_of(layer: str) -> list[str]:
    """The taps that a convolution makes; none where the layer is no convolution of the network."""
    for pattern, taps in TAPS_OF_LAYERS.items():
        if match := re.fullmatch(pattern, layer):
            return [match.expand(tap) for tap in taps]
    return []
