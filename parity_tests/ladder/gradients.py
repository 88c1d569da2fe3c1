"""Gradients by parameters: how far two sides may be apart, and what BatchNorm in training mode may magnify.

In training mode BatchNorm divides by the deviation of a batch, which may be that of few values. Where those happen to
be nearly alike, rounding is magnified, on either side as much. Gradients that are further apart than elsewhere are
therefore held to how far the port's own are from themselves once its weights are moved by what sums of them round.
Needs numpy alone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from parity_tests.ladder.coarse import coarse_budget
from parity_tests.ladder.perturbation import PERTURBATION_SEEDS, moved_by_rounding
from parity_tests.rule.budgets import BATCHNORM_LIMIT, GRADIENT, SELF_FACTOR, largest, largest_difference
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Tag, Where
from parity_tests.sides.kinds import projection_of, slashed
from parity_tests.sides.names import is_within

VARIABLE = Tag("variable")
Gradients = Mapping[str, Array]


def scales_of(reference: Gradients, coarse: Collection[str] = ()) -> dict[str, float]:
    """The largest gradient by each parameter.

    A bias whose layer is followed by what takes it away again, as BatchNorm in training does, the softmax of attention
    that of its keys, or the difference of two calls, has a gradient of nothing but rounding: it is judged beside the
    kernel of its layer. So have queries and keys of attention whose values are all alike, as in the first layer of a
    decoder that starts from zeros: they are judged beside the rest of that attention.
    """
    scales = {name: largest(values) for name, values in reference.items()}
    beside = {name: max((scales.get(kernel, 0.0) for kernel in _kernels(name)), default=0.0) for name in scales}
    of_attention = {attention_of(name): 0.0 for name in scales if attention_of(name)}
    for name, scale in scales.items():
        owners = [owner for owner in of_attention if is_within(name, owner)]
        of_attention |= {owner: max(of_attention[owner], scale) for owner in owners}
    beside |= {name: max(beside[name], of_attention.get(attention_of(name), 0.0)) for name in scales}
    shares = {name: coarse_budget(1) if name in coarse else GRADIENT for name in scales}
    return {name: beside[name] if scale <= shares[name] * beside[name] else scale for name, scale in scales.items()}


def _kernels(name: str) -> list[str]:
    """What the kernel of a bias may be called, or the scale of an offset; none where the name is neither's."""
    for bias, kernels in (("bias", ("kernel", "weight")), ("beta", ("gamma",))):
        if name.endswith(bias):
            return [name.removesuffix(bias) + kernel for kernel in kernels]
    return []


def attention_of(name: str) -> str:
    """The path of the attention whose queries or keys a parameter makes; empty for any other, and in a model's root."""
    owner = "/".join(slashed(name).split("/")[:-2])
    return owner if projection_of(name) in ("query", "key") else ""


def compare_gradients(
    where: Where,
    reference: Gradients,
    port: Gradients,
    own: Mapping[str, float] | None = None,
    coarse: Sequence[str] = (),
) -> list[Record]:
    """Within 1e-10 of the scale; where the port's own differences are known, ten times those, and 1e-8 at most.

    Where sides computed a part in float32, within the roundings of a whole model in that.
    """
    scales = scales_of(reference, reference if coarse else ())
    budgets = {name: coarse_budget(scale) if coarse else GRADIENT * scale for name, scale in scales.items()}
    for name in () if coarse else budgets.keys() & (own or {}).keys():
        least, most = budgets[name], BATCHNORM_LIMIT * scales[name]
        budgets[name] = float(np.clip(SELF_FACTOR * (own or {})[name], least, most))
    seen = dict.fromkeys(reference, coarse) if coarse else {}
    return compare_taps("gradients", where, reference, port, budgets=budgets, tag_of=lambda name: VARIABLE, coarse=seen)


def may_be_magnified(records: Sequence[Record], reference: Gradients) -> bool:
    """Whether some gradients differ, and none by more than rounding can be magnified to."""
    apart, scales = [record for record in records if record.verdict != "equal"], scales_of(reference)
    few = (r.difference is not None and r.difference <= BATCHNORM_LIMIT * scales.get(r.name, 0.0) for r in apart)
    return bool(apart) and all(few)


def self_differences(from_weights: Callable[[Gradients], Gradients], weights: Gradients, found: Gradients) -> Gradients:
    """The most that gradients differ from those found once the weights are moved by rounding, by parameter."""
    own = dict.fromkeys(found, 0.0)
    for seed in PERTURBATION_SEEDS:
        moved = from_weights(moved_by_rounding(weights, seed=seed))
        own = {name: max(most, largest_difference(found[name], moved[name])) for name, most in own.items()}
    return {name: np.array(most) for name, most in own.items()}
