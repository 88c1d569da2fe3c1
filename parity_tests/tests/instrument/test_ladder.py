"""Every rung can fail: a convention changed in the port is caught on its rung, and named."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from parity_tests.ladder.climb import compared
from parity_tests.retinanet.comparison import DetectorComparison, detector_sides
from parity_tests.retinanet.side import DetectorSide
from parity_tests.retinanet.torch_side import TorchDetectorSide
from parity_tests.rule.record import Array, verdict_of
from parity_tests.rule.result import Result
from parity_tests.tests.support.changed_conventions import CONVENTIONS, KERAS_IO
from parity_tests.tests.support.planted import ANSWERS, cases_on, changed_run, narrow_run, records_on, where_it_starts


@pytest.mark.planted
@pytest.mark.parametrize(
    ("rung", "case", "assignment", "name"),
    [(*place, assignment, name) for place, faults in CONVENTIONS.items() for assignment, name in faults.items()],
)
def test_a_changed_convention_is_named_on_its_rung(
    run: DetectorComparison, rung: str, case: str, assignment: str, name: str
) -> None:
    assert where_it_starts(changed_run(run, assignment), rung, case) == name


@pytest.mark.planted
def test_of_several_rungs_the_first_that_differs_is_named(run: DetectorComparison) -> None:
    changed = replace(changed_run(run, "focal_gamma=1.5"), sizes=[(64, 64)])
    asked = ("anchors", "losses", "gradients", "backward", "detections")
    records = [record for rung in asked for record in records_on(changed, rung)]
    assert {record.rung for record in records if record.verdict == "different"} == {"losses", "gradients", "backward"}
    assert Result(records=records).summary.startswith("different: it starts at loss.classification (losses ")


@pytest.mark.parametrize("rung", ["anchors", "targets", "losses", "forward", "detections"])
def test_a_run_in_float64_builds_nothing_else(run: DetectorComparison, rung: str) -> None:
    changed, asked = changed_run(run), list[str]()

    def noted(build: Callable[[str], DetectorSide], dtype: str) -> DetectorSide:
        asked.append(dtype)
        return build(dtype)

    build = {name: partial(noted, build) for name, build in changed.sides.build.items()}
    alone = replace(changed, sizes=[(32, 64)], sides=detector_sides(build, run.weights))
    assert verdict_of([r for case in cases_on(alone, rung) for r in compared(case, alone.sides)]) == "equal"
    assert asked == ["float64", "float64"]


def test_the_port_is_left_as_it_was(run: DetectorComparison, variables: Mapping[str, Array]) -> None:
    port = run.sides.port("float64")
    assert isinstance(port, TorchDetectorSide)
    after = port.parameters()
    assert all(np.array_equal(after[name], value.astype(np.float64)) for name, value in variables.items())


@pytest.fixture(scope="module")
def keras_io_run() -> Iterator[DetectorComparison]:
    """The default run of the preset keras_io, in float64."""
    ANSWERS.clear()  # those of the other preset are not asked for any more
    run = replace(narrow_run("keras_io"), dtypes=("float64",))
    yield run
    run.sides.release()


@pytest.mark.planted
@pytest.mark.parametrize(("rung", "case"), KERAS_IO)
def test_the_rungs_can_fail_on_the_other_preset(keras_io_run: DetectorComparison, rung: str, case: str) -> None:
    assignment, name = KERAS_IO[rung, case]
    assert where_it_starts(keras_io_run, rung, case) == "equal"
    assert where_it_starts(changed_run(keras_io_run, assignment), rung, case) == name
