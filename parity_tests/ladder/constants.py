"""Constants that a side keeps among its parameters and the other side has in its code. Needs numpy alone."""

from collections.abc import Mapping, Sequence

from parity_tests.rule.record import SIDES
from parity_tests.sides.model_side import ModelSide
from parity_tests.sides.names import canonical
from parity_tests.sides.side import Side

STATISTICS = ("running_mean", "running_var")
"""What training moves without a gradient."""

REASON = "a constant that the other side has in its code; what it does is compared where it arrives"


def constants_alone(missing: Mapping[str, Sequence[str]], sides: Sequence[Side]) -> dict[str, str]:
    """By name why a parameter without a partner needs none: nothing trains it, and the other side lacks no partner.

    A mask of attention is often such a buffer.
    """
    lacking = [i for i, side in enumerate(SIDES) if missing[side]]
    if len(lacking) != 1:
        return {}
    side = sides[lacking[0]]
    trained = {*side.trainable(None)} if isinstance(side, ModelSide) else {*side.parameters()}
    names = [name for name in missing[SIDES[lacking[0]]] if name not in trained]
    return {name: REASON for name in names if canonical(name)[-1] not in STATISTICS}
