"""What Keras and torch call the parameters of the same kinds of layers, where their spellings differ. Needs nothing."""

import re
from collections.abc import Sequence
from typing import NamedTuple


class Kind(NamedTuple):
    """A parameter of a kind of layer, in a spelling that both frameworks share.

    Attributes:
        path: what its path ends in, as a regular expression; `owner` is what stands before.
        parts: what it holds, one or several, below the owner.
        beside: the name of a parameter that its layer has too, where that tells the kind.
    """

    path: str
    parts: tuple[str, ...]
    beside: str = ""


PROJECTIONS = ("query", "key", "value")

RECURRENT = {
    r"cell/cells/(\d+)/": r"_l\2",
    "forward_layer/cell/": "_l0",
    "backward_layer/cell/": "_l0_reverse",
    "cell/": "_l0",
    "": "",
}
"""Where Keras has the parameters of a recurrent layer, and how torch ends their names."""

KINDS = (
    *(
        Kind(f"_{p}_dense/{leaf}", (f"in_proj/{of}/{p}",))
        for p in PROJECTIONS
        for leaf, of in (("kernel", "weight"), ("bias", "bias"))
    ),
    *(
        Kind(f"(?:{p}|{p[0]}|{p[0]}_proj|w{p[0]})/{leaf}", (f"in_proj/{of}/{p}",))
        for p in PROJECTIONS
        for leaf, of in (("weight", "weight"), ("kernel", "weight"), ("bias", "bias"))
    ),
    *(Kind(f"in_proj_{of}", tuple(f"in_proj/{of}/{p}" for p in PROJECTIONS)) for of in ("weight", "bias")),
    *(Kind(f"{p[0]}_proj_weight", (f"in_proj/weight/{p}",)) for p in PROJECTIONS),
    Kind("_output_dense/kernel", ("out_proj/weight",)),
    Kind("_output_dense/bias", ("out_proj/bias",)),
    *(Kind(f"{place}kernel", (f"weight_ih{end}",), "recurrent_kernel") for place, end in RECURRENT.items()),
    *(Kind(f"{place}recurrent_kernel", (f"weight_hh{end}",)) for place, end in RECURRENT.items()),
    *(Kind(f"{place}bias", (f"bias{end}",), "recurrent_kernel") for place, end in RECURRENT.items()),
    Kind(r"bias_(?:ih|hh)(_l\d+(?:_reverse)?|)", (r"bias\2",)),
    *(Kind("depthwise_kernel", (f"{name}/weight",)) for name in ("depthwise", "0")),
    *(Kind("pointwise_kernel", (f"{name}/weight",)) for name in ("pointwise", "1")),
    *(Kind("bias", (f"{name}/bias",), "pointwise_kernel") for name in ("pointwise", "1")),
    *(Kind(leaf, ("weight",)) for leaf in ("alpha", "scale", "layer/kernel")),
    Kind("layer/bias", ("bias",)),
    *(
        Kind(leaf, tuple(f"in_proj/{of}/{p}" for p in PROJECTIONS))
        for leaf, of in (("kernel", "weight"), ("weight", "weight"), ("bias", "bias"))
    ),
)
"""What is called otherwise in Keras and in torch, or lies in other parts; the first that the other side has counts.

The last are of one layer that makes queries, keys and values, beside three.
"""


def slashed(name: str) -> str:
    """A path with slashes, whichever framework spells it."""
    return "/".join(re.split("[./]", name))


def projection_of(name: str) -> str:
    """Whether a parameter makes a query, key or value of attention, by its name; empty for any other."""
    spelled = {p: rf"(?:.*/)?(?:_{p}_dense|{p}|{p[0]}|{p[0]}_proj|w{p[0]})/[^/]+" for p in PROJECTIONS}
    return next((p for p, pattern in spelled.items() if re.fullmatch(pattern, slashed(name))), "")


def in_order_of_projections(names: Sequence[str]) -> list[str]:
    """Parameters of queries, keys and values in this order; none where they are others."""
    ends = [projection_of(name) for name in names]
    return [names[ends.index(p)] for p in PROJECTIONS] if sorted(ends) == sorted(PROJECTIONS) else []
