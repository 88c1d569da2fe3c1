"""All overrides of a preset measured, in as many processes as there are cores, after one model was trained for them."""

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np

from parity_tests.ablation.effects import in_words
from parity_tests.ablation.override import ROUNDING, Override
from parity_tests.ladder.climb import ClimbProgress
from parity_tests.ladder.processes import started_with, threads
from parity_tests.rule.errors import UsageError

Weights = Mapping[str, np.ndarray]
Report = Callable[[ClimbProgress], None]

_BENCHES: list[Any] = []
"""That of a process, which is made when the process starts."""


def ablate(preset: str, conventions: Sequence[str], *, steps: int, seed: int, report: Report) -> dict[str, Any]:
    """What changing each convention of a preset changes, as reports have it.

    Args:
        preset: the conventions that are changed, one at a time.
        conventions: names of those that are; all of them without any.
        steps: of the training of the model on digits.
        seed: of its weights and of all pictures.
        report: hears how far it has come.

    Raises:
        UsageError: for a convention that there is not, and without any step.
    """
    from parity_tests.ablation.conventions import overrides

    if steps < 1:
        raise UsageError(f"--steps: {steps} must be at least 1")
    every = overrides(preset)
    known = dict.fromkeys(override.convention for override in every)
    if wrong := next((name for name in conventions if name not in known), None):
        raise UsageError(f"--conventions: {wrong!r} must be of {', '.join(known)}")
    asked = [override for override in every if not conventions or override.convention in conventions]
    weights = _train(preset, steps, seed, report)
    chosen = [ROUNDING, *(override for override in asked if not override.left_out)]
    measured, about = _measure(preset, weights, chosen, seed, report)
    return {
        "preset": preset,
        "summary": in_words(measured),
        "model": {"network": "ResNet-50, 64 channels", "trained": f"{steps} steps on digits", **about},
        "left_out": {override.assignment: override.left_out for override in asked if override.left_out},
        "rows": measured,
    }


def _train(preset: str, steps: int, seed: int, report: Report) -> Weights:
    from parity_tests.ablation.digits_model import digits_config, train_digits
    from parity_tests.retinanet.torch_surroundings import Config

    config = digits_config(Config.preset(preset))
    return train_digits(
        config, steps, seed=seed, report=lambda step: report(ClimbProgress("training", f"step {step}", step, steps))
    )


def _measure(
    preset: str, weights: Weights, overrides: Sequence[Override], seed: int, report: Report
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row for each override, in order, and what the model does as it is."""
    workers, rows = os.cpu_count() or 1, dict[Override, dict[str, Any]]()
    spawn = multiprocessing.get_context("spawn")
    with (
        started_with(threads(1)),
        ProcessPoolExecutor(workers, mp_context=spawn, initializer=_begin, initargs=(preset, weights, seed)) as pool,
    ):
        about = pool.submit(_baseline)
        waiting = {pool.submit(_row, override): override for override in overrides}
        for done in as_completed(waiting):
            rows[waiting[done]] = done.result()
            report(ClimbProgress("changing", waiting[done].assignment, len(rows), len(overrides)))
        return [rows[override] for override in overrides], about.result()


def _begin(preset: str, weights: Weights, seed: int) -> None:
    from parity_tests.ablation.bench import Bench

    _BENCHES.append(Bench(preset, weights, seed=seed))


def _row(override: Override) -> dict[str, Any]:
    row: dict[str, Any] = _BENCHES[-1].row(override)
    return row


def _baseline() -> dict[str, Any]:
    about: dict[str, Any] = _BENCHES[-1].baseline()
    return about
