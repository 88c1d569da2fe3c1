"""What a comparison cannot see, in sentences. Needs numpy alone."""

from collections.abc import Iterator, Mapping, Sequence

from parity_tests.ladder.asked_again import moved_up
from parity_tests.ladder.comparison import Comparison
from parity_tests.rule.record import Array
from parity_tests.sides.layouts import FIRST
from parity_tests.sides.names import canonical
from parity_tests.sides.side import ROOT


def blind_spots(pair: Comparison, rungs: Sequence[str]) -> list[str]:
    """A sentence for each mistake that could go unseen: from weights, inputs, what the sides are, and the rungs."""
    parameters = pair.weights
    of_pair = [*_of_weights(parameters), *_of_inputs(pair.inputs, pair.reference.layout), *_of_sides(pair)]
    if "forward" in rungs and moved_up(pair.inputs) is None:
        words = "the models were asked once, and a port that answers from a cache can go unseen"
        of_pair.append(f"inputs: {pair.where.extent} have no examples that could be exchanged; {words}")
    if "training" not in rungs and any(canonical(name)[-1] == "running_var" for name in parameters):
        words = "momentum, and what a batch does to statistics, was not compared"
        return [*of_pair, f"mode: models ran in inference mode; {words}"]
    return of_pair


def _of_weights(parameters: Mapping[str, Array]) -> Iterator[str]:
    constant = [name for name, values in parameters.items() if values.size > 1 and values.min() == values.max()]
    if constant:
        value = f"{parameters[constant[0]].flat[0]:g}"
        yield (
            f"weights: {len(constant)} of the reference's {len(parameters)} have one value throughout, first "
            f"{constant[0]} ({value}); a mistake there can go unseen, and randomise(model) gives others"
        )


def _of_inputs(inputs: Sequence[Array], layout: str) -> Iterator[str]:
    for values in inputs:
        shape = "x".join(map(str, values.shape))
        sides = values.shape[2:] if layout == FIRST else values.shape[1:-1]
        if values.ndim >= 4 and len(set(sides)) == 1:
            yield f"inputs: {shape} has sides of one length; rows taken for columns can go unseen"
        if values.ndim > 1 and values.shape[0] == 1:
            yield f"inputs: {shape} is a batch of 1; samples that are mixed can go unseen"
        if values.dtype.kind == "f" and values.size and values.min() >= 0:
            yield f"inputs: {shape} has no negative number; a missing activation can go unseen"


def _of_sides(pair: Comparison) -> Iterator[str]:
    if not pair.has_modules:
        which = " and ".join(
            name for name, side in (("reference", pair.reference), ("port", pair.port)) if not side.has_modules
        )
        seen = "only the output was compared" if [*pair.taps.port] == [ROOT] else "nothing was isolated"
        more = "" if pair.has_parameters else ", and parameters and gradients were not compared"
        yield f"functions: what happens within the {which} cannot be seen; {seen}{more}"
    elif not pair.has_taps:
        yield "taps: there are none; nothing was isolated, and a difference cannot be placed"
