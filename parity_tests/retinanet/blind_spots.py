"""What a run cannot see because of the sizes and values it was given. Needs numpy alone.

Conventions that make no difference at some sizes are declared here with the sizes at which they do; tests measure each.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from parity_tests.retinanet.assignments import crowd_in
from parity_tests.retinanet.inputs import Size, size_name
from parity_tests.rule.divergence import PASSES
from parity_tests.rule.record import Array, Record

STRIDES = (8, 16, 32, 64, 128)


class BlindSpot(NamedTuple):
    """A convention that cannot be seen at some sizes.

    Attributes:
        what: it, in words.
        override: how it would be changed; empty where it is no convention.
        rung: the rung on which it shows.
        shows: whether it shows at a size.
        remedy: which size to add.
    """

    what: str
    override: str
    rung: str
    shows: Callable[[Size], bool]
    remedy: str


def _has_even_level(size: Size) -> bool:
    """Whether C5, or P6, which it is halved to, has an even side."""
    sides = [side // 32 for side in size]
    return any(side % 2 == 0 for side in sides) or any(-(-side // 2) % 2 == 0 for side in sides)


def _has_broken_stride(size: Size) -> bool:
    return any(side // math.ceil(side / stride) != stride for side in size for stride in STRIDES)


BLIND_SPOTS = (
    BlindSpot(
        "P6/P7 padding",
        "stride2_padding=symmetric",
        "forward",
        _has_even_level,
        "an even P5 side, as 128x128",
    ),
    BlindSpot(
        "the strides of anchors (powers of 2, or picture over cells)",
        "anchor_stride=picture_over_cells",
        "anchors",
        _has_broken_stride,
        "a side that 128 does not divide, as 96x160",
    ),
    BlindSpot(
        "height taken for width",
        "",
        "forward",
        lambda size: size[0] != size[1],
        "a size that is not square, as 96x160",
    ),
    BlindSpot(
        "upsampling to size instead of times 2",
        "upsample=nearest_to_size",
        "shapes",
        lambda size: any(side % 32 for side in size),
        "sizes that do not divide by 32, which the rung shapes has where no sizes are given",
    ),
    BlindSpot(
        "how many of a level's scores go on to decoding (all, or the best 1000)",
        "topk_per_level=1000",
        "detections",
        lambda size: crowd_in(size) > 1000,
        "a larger one, as 128x128",
    ),
)


def warnings(records: Sequence[Record], variables: Mapping[str, Array]) -> list[str]:
    """A sentence for each thing that a run with these records and weights cannot see."""
    has_values = any(record.difference is not None for record in records)
    return [*unseen_at(records), *unseen_zeros(records), *(unseen_in(variables) if has_values else ())]


def unseen_at(records: Sequence[Record]) -> list[str]:
    """A sentence for each convention that no size of its rung tells from another."""
    sentences = []
    for spot in BLIND_SPOTS:
        tested = _sizes_of(spot.rung, records)
        if tested and not any(spot.shows(size) for size in tested):
            names = ", ".join(size_name(size) for size in tested)
            sentences.append(f"{spot.what} is invisible at all sizes tested ({names}): add {spot.remedy}")
    return sentences


def unseen_overrides(overrides: Sequence[str], records: Sequence[Record]) -> list[str]:
    """A sentence on conventions of the port that were changed, where nothing that was compared shows it."""
    if not overrides or any(record.verdict == "different" for record in records):
        return []
    changed = f"{' and '.join(overrides)} {'is' if len(overrides) == 1 else 'are'} changed in the port"
    return [f"{changed}, and no comparison shows it: `retinanet-parity ablate` says where a convention does"]


def _sizes_of(rung: str, records: Sequence[Record]) -> list[Size]:
    wheres = dict.fromkeys(record.where for record in records if record.rung == rung)
    whole = [where for where in wheres if not where.subject and where.mode in ("", "isolated", "cascaded")]
    return list(dict.fromkeys(where.size for where in whole if where.size))


def unseen_in(variables: Mapping[str, Array]) -> list[str]:
    """A sentence for variables of which all values are one number: a mistake there may change nothing."""
    plain = [name for name, values in variables.items() if values.size > 1 and np.ptp(values) == 0]
    if not plain:
        return []
    listed = f"{plain[0]} and {len(plain) - 1} more" if len(plain) > 1 else plain[0]
    return [f"a mistake in variables that hold one number throughout ({listed}) may be invisible: train first"]


def unseen_zeros(records: Sequence[Record]) -> list[str]:
    """A sentence for taps, and for gradients, that were all zeros wherever they were compared."""
    scales: dict[str, float] = {}
    for record in records:
        if record.rung in PASSES and record.where.mode and record.scale is not None:
            name = f"the gradient by {record.name}" if record.rung == "backward" else record.name
            scales[name] = max(scales.get(name, 0.0), record.scale)
    zeros = [name for name, scale in scales.items() if scale == 0]
    return [f"{name} is zero everywhere, and whatever makes zeros would pass" for name in zeros]
