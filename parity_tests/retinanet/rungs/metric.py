"""The rung *metric*: COCO's numbers of both sides on the same pictures."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from parity_tests.retinanet.inputs import Size, size_name
from parity_tests.retinanet.run import Case, Run
from parity_tests.retinanet.rungs.annotated import numbers_on_pictures
from parity_tests.retinanet.rungs.detections import outputs_near_the_truth
from parity_tests.rule.compare import Record, compare_taps

METRIC_SIZE: Size = (128, 128)
"""Picture size of the rung, where none is given."""

PICTURES = 24
"""Pictures that are evaluated together."""

SIX_DECIMALS = 5e-7
"""What a number may differ to be equal to six decimals."""


def metric(run: Run) -> list[Case]:
    """The metric on digits, with outputs near the truth, and on a user's pictures."""
    cases = [Case("metric", size_name(size), partial(_metric_at, run, size)) for size in run.sizes or [METRIC_SIZE]]
    return [*cases, Case("metric", "pictures", partial(_metric_on_pictures, run))] if run.scenes else cases


def _metric_at(run: Run, size: Size) -> list[Record]:
    scene, sides = run.inputs.digits(size, PICTURES), run.sides("float64")
    near = outputs_near_the_truth(sides[0], scene, run.config.num_classes)
    numbers = [run.metric(side.detections(near, size), scene.boxes, scene.labels) for side in sides]
    return _compare(f"{size_name(size)} float64", numbers)


def _metric_on_pictures(run: Run) -> list[Record]:
    return _compare("pictures float64", numbers_on_pictures(run))


def _compare(case: str, numbers: Sequence[Mapping[str, float]]) -> list[Record]:
    """The numbers of the reference and those of the port."""
    expected, found = ({name: np.array([value]) for name, value in of_side.items()} for of_side in numbers)
    budgets = dict.fromkeys(expected, SIX_DECIMALS)
    return compare_taps("metric", case, expected, found, budgets=budgets)
