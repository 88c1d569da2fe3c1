"""Two models of one's own, held against each other by the same rule as the RetinaNets. Needs numpy alone."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from parity_tests.ladder import rungs as of_models
from parity_tests.ladder import training
from parity_tests.ladder.blind_spots import blind_spots
from parity_tests.ladder.case import Answer
from parity_tests.ladder.checks import (
    check_batches,
    check_folder,
    check_tables,
    check_two_functions,
    check_words,
    lists,
)
from parity_tests.ladder.climb import climb
from parity_tests.ladder.coarse import in_words
from parity_tests.ladder.comparison import Comparison
from parity_tests.ladder.pairing import comparison
from parity_tests.ladder.proposals import misfits, with_proposals
from parity_tests.ladder.provenance import peak_memory, provenance
from parity_tests.ladder.repro import write_repro
from parity_tests.ladder.uncarried import judged
from parity_tests.rule.errors import UsageError
from parity_tests.rule.result import Coverage, Result
from parity_tests.rule.vacuous import silent_parts, silent_rungs
from parity_tests.sides.adapters import adapted
from parity_tests.sides.names import Pairs
from parity_tests.sides.side import Loss

RUNGS = {**of_models.RUNGS, **training.RUNGS}
DTYPES = ("float64", "float32")
NEEDS = {"parameters": "has_parameters", "backward": "goes_back_alike", "gradients": "has_start_of_gradients"}
NEEDS |= {"training": "has_start_of_gradients", "step": "has_gradients", "trajectory": "has_gradients"}
"""What both sides must have for a rung."""

Optimizers = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def compare_models(
    reference: Any,
    port: Any,
    inputs: NDArray[Any] | Sequence[NDArray[Any]],
    *,
    names: Mapping[str, str] | None = None,
    layouts: Mapping[str, Sequence[int]] | None = None,
    loss: tuple[Loss, Loss] | None = None,
    skip: Mapping[str, str] | None = None,
    transfer: bool = True,
    dtypes: Sequence[str] = DTYPES,
    rungs: Sequence[str] = (),
    optimizers: Optimizers | None = None,
    batches: Sequence[Any] = (),
    repro: Path | str | None = None,
) -> Result:
    """Hold a port against its reference: parameters, activations and gradients, module by module.

    Both run in inference mode but for the rungs of training; neither is changed.

    Args:
        reference, port: each a `TorchModule`, `KerasModel`, `JaxFunction`, `OnnxModel` or `Function`; or a torch
            module, a Keras model or layer, or a function itself.
        inputs: the array, or arrays, that the model is called with, in the reference's layout. Floating-point numbers
            are rounded to float32, so that both precisions start from the same. The outputs are compared once more
            for other examples of the same shapes, so that no side can answer from a cache.
        names: the reference's name by the port's, of parameters, taps or modules whose parameters have the usual names
            (`{"stem.0": "conv1"}`); a name that is spelled alike needs no entry, `conv1.weight` and `conv1/kernel` are.
            Without it modules are matched by values, order and shape; a warning has the table that was found, and
            names what can be meant otherwise.
        layouts: permutations by the reference's name of a tap, of its input (`conv1.input`) or of a parameter: the
            port's axes in the reference's order, where they do not follow from the sides.
        loss: for each side what makes a scalar of its outputs; without it their sum, weighted by random numbers.
        skip: what is not to be compared and why, by name. `conv1.input` lets a module have the input that arrives.
        transfer: whether the port gets the reference's parameters before anything else is compared.
        dtypes: `float64` and `float32`; gradients are compared in float64 alone.
        rungs: steps of the ladder: by default `parameters`, `forward`, `backward` and `gradients`, as far as both sides
            can climb them; and `training` (BatchNorm in training mode), `step` (of an optimiser) and `trajectory` (a
            training run), which are to be asked for.
        optimizers: for each side what makes an optimiser of its parameters, for `step` and `trajectory`.
        batches: the inputs of each step of `trajectory`.
        repro: a folder for the first module that differs by itself: a script that runs it alone, and what it is given.

    Returns:
        What every report is made from. A name without partner or reason makes it incomplete, and so does a side that
        does not run.

    Raises:
        UsageError: for an argument that breaks a rule.
    """
    check_words("dtypes", dtypes, DTYPES)
    check_tables(names=names, layouts=layouts, skip=skip)
    check_two_functions("loss", loss)
    check_two_functions("optimizers", optimizers)
    check_folder("repro", repro)
    two = comparison(
        adapted("reference", reference),
        adapted("port", port),
        inputs,
        names=names,
        layouts=layouts or {},
        skip=dict(skip or {}),
        losses=loss,
        transfer=transfer,
        dtypes=dtypes,
        optimizers=optimizers,
        batches=check_batches(batches),
    )
    result = compared_models(two, rungs, {"names": dict(two.names), "layouts": lists(layouts or {})})
    if repro is None or result.verdict != "different":
        return result
    return replace(result, warnings=[*result.warnings, write_repro(two, result, Path(repro))])


def compared_models(
    two: Comparison, rungs: Sequence[str], settings: Mapping[str, Any], answers: Mapping[str, Answer] | None = None
) -> Result:
    """The result of a comparison on some rungs; of a reference that was recorded from its answers."""
    started = time.perf_counter()
    climbed = rungs_for(two, rungs)
    check_training(two, climbed)
    cases = [case for rung in climbed for case in RUNGS[rung](two)]
    records = judged(two, with_proposals(two, climb(cases, two.sides, answers=answers)))
    return Result(
        records=records,
        reference=two.reference.words,
        port=two.port.words,
        settings={
            "inputs": two.where.extent,
            "weights": "the reference's" if two.transfer else "each side's own",
            **settings,
            "skip": dict(two.skip),
            "dtypes": list(two.dtypes),
            "rungs": climbed,
        },
        provenance=provenance(),
        cost={"seconds": time.perf_counter() - started, "peak_gib": peak_memory() / 2**30},
        warnings=[
            *blind_spots(two, climbed),
            *two.said_of_names,
            *two.said_of_inputs,
            *in_words(records),
            *silent_rungs(records),
            *silent_parts(records),
            *_left_out(two, rungs, climbed),
            *([] if "parameters" in climbed else [f"{name}: {words}" for name, words in misfits(two).items()]),
        ],
        coverage=_coverage(two, climbed),
        sources=_sources(two),
    )


def _left_out(two: Comparison, asked: Sequence[str], climbed: Sequence[str]) -> list[str]:
    """A sentence for rungs that are climbed elsewhere and not here, where nobody asked for others."""
    left = [rung for rung in of_models.RUNGS if rung not in climbed]
    if asked or not left or not two.has_parameters:
        return []
    return [f"rungs: {' and '.join(left)} not climbed, since the two sides do not both give what is compared there"]


def check_training(two: Comparison, rungs: Sequence[str]) -> None:
    """Refuse rungs of training without what they need.

    Raises:
        UsageError: naming what there is none of.
    """
    if {"step", "trajectory"} & {*rungs} and not two.optimizers:
        raise UsageError("optimizers: there are none, and the rungs step and trajectory need one for each side")
    if "trajectory" in rungs and not (two.losses and two.batches):
        lacks = "batches" if two.losses else "loss"
        raise UsageError(f"{lacks}: there is none, and the rung trajectory needs a loss for each side and batches")


def rungs_for(two: Comparison, rungs: Sequence[str]) -> list[str]:
    """The rungs that are asked for, in their order; where none are, those of inference that both sides can climb.

    Raises:
        UsageError: for one that a side cannot climb.
    """
    able = [rung for rung in RUNGS if rung not in NEEDS or getattr(two, NEEDS[rung])]
    if not rungs:
        return [rung for rung in able if rung in of_models.RUNGS]
    check_words("rungs", rungs, RUNGS)
    if lacking := next((rung for rung in rungs if rung not in able), None):
        words = f"{two.reference.words} and {two.port.words}"
        raise UsageError(f"rungs: {lacking!r} needs parameters and gradients that {words} have not both; leave it out")
    return [rung for rung in able if rung in rungs]


def _coverage(two: Comparison, rungs: Sequence[str]) -> list[Coverage]:
    """How much of each side was compared."""
    compared = {"parameters": two.parameters} if {"parameters", "gradients", *training.RUNGS} & set(rungs) else {}
    if {"forward", "backward"} & set(rungs):
        compared["taps"] = two.taps
    return [_covered(two, kind, side, pairs) for kind, pairs in compared.items() for side in ("reference", "port")]


def _covered(two: Comparison, kind: str, side: str, pairs: Pairs) -> Coverage:
    """The names of one kind; a tap that neither side has run was not compared."""
    uncalled = two.uncalled if kind == "taps" else {}
    idle = [tap for tap in pairs.port if kind == "taps" and tap not in two.called and tap not in uncalled]
    own = {tap if side == "reference" else pairs.port[tap]: why for tap, why in uncalled.items()}
    inputs = {name: reason for name, reason in two.skip.items() if kind == "taps" and name.endswith(".input")}
    return Coverage(
        preset="",
        side=side,
        kind=kind,
        compared=len(pairs.port) - len(idle) - len(own),
        skipped={**pairs.skipped[side], **own, **(inputs if side == "reference" else {})},
        missing=[*pairs.missing[side], *(tap if side == "reference" else pairs.port[tap] for tap in idle)],
    )


def _sources(two: Comparison) -> dict[str, dict[str, str]]:
    about = two.sides.about()
    taps = {tap: {side: a.sources[tap] for side, a in about.items() if tap in a.sources} for tap in two.taps.port}
    return {tap: places for tap, places in taps.items() if places}
