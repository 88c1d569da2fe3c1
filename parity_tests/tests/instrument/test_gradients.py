"""What BatchNorm in training mode magnifies on either side is no difference; a gradient that is off is one."""

from dataclasses import replace
from typing import Any

import pytest

from parity_tests.ladder import gradients
from parity_tests.ladder.case import Answer
from parity_tests.ladder.climb import answer_of_reference, compared
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.budgets import BATCHNORM_LIMIT, GRADIENT
from parity_tests.rule.record import Record
from parity_tests.rule.sampled import Sampled, sample
from parity_tests.sides.side import Backward
from parity_tests.tests.support.planted import cases_on, with_port

KERNEL = "fpn/conv_c6_3x3/kernel"


class Off:
    """A port whose gradient by a kernel is a share too large."""

    def __init__(self, port: DetectorSide, share: float) -> None:
        self.port, self.share, self.asked = port, share, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    def backward(self, *arguments: Any, **settings: Any) -> Backward:
        self.asked += 1
        found = self.port.backward(*arguments, **settings)
        return replace(found, gradients={**found.gradients, KERNEL: found.gradients[KERNEL] * (1 + self.share)})


@pytest.fixture(scope="module")
def answers(run: DetectorComparison) -> dict[str, Answer]:
    """What the reference answers in training mode, asked once."""
    kept = dict[str, Answer]()
    answer_of_reference(training_case(run), run.sides, kept)
    run.sides.restore()
    return kept


@pytest.fixture(scope="module")
def recorded(answers: dict[str, Answer]) -> dict[str, Answer]:
    """The same as a bundle has it: gradients as samples."""
    return {
        case: {**answer, "gradients": {name: sample(value) for name, value in answer["gradients"].items()}}
        for case, answer in answers.items()
    }


def training_case(run: DetectorComparison) -> DetectorCase:
    [case] = cases_on(run, "gradients", "training")
    return case


def compared_with(answers: dict[str, Answer], run: DetectorComparison, share: float = 0.0) -> tuple[list[Record], int]:
    """The records in training mode, and how often the port was asked for gradients."""
    port = Off(run.sides.port("float64"), share)
    off = with_port(run, port)
    return compared(training_case(off), off.sides, answers), port.asked


def differing(records: list[Record]) -> list[str]:
    return [record.name for record in records if record.verdict != "equal"]


def test_rounding_that_is_magnified_is_held_to_what_it_does_to_the_port_itself(
    run: DetectorComparison, recorded: dict[str, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the reference is a recorded one, which cannot be asked again."""
    monkeypatch.setattr(gradients, "GRADIENT", 1e-13)
    assert isinstance(recorded[training_case(run).name]["gradients"][KERNEL], Sampled)
    records, asked = compared_with(recorded, run)
    assert (differing(records), asked) == ([], 4)
    assert max(record.used or 0.0 for record in records) > 0.01
    monkeypatch.setattr(gradients, "PERTURBATION_SEEDS", ())
    assert differing(compared_with(recorded, run)[0]), "rounding alone exceeds such a share"


def test_what_is_as_near_as_elsewhere_is_not_looked_at_again(
    run: DetectorComparison, answers: dict[str, Answer]
) -> None:
    records, asked = compared_with(answers, run)
    assert (differing(records), asked) == ([], 1)


@pytest.mark.planted
@pytest.mark.parametrize(("share", "asked"), [(3 * GRADIENT, 4), (2 * BATCHNORM_LIMIT, 1)])
def test_a_gradient_that_is_off_by_little_is_named(
    run: DetectorComparison, answers: dict[str, Answer], share: float, asked: int
) -> None:
    records, count = compared_with(answers, run, share)
    assert (differing(records), count) == ([KERNEL], asked)


def test_no_gradient_is_allowed_more_than_rounding_is_magnified_to(
    run: DetectorComparison, answers: dict[str, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradients, "GRADIENT", 1e-13)
    monkeypatch.setattr(gradients, "SELF_FACTOR", 1e30)
    records, _ = compared_with(answers, run)
    kernels = [(r.budget, BATCHNORM_LIMIT * (r.scale or 0.0)) for r in records if r.name.endswith("kernel")]
    assert kernels
    assert all(budget == pytest.approx(most) for budget, most in kernels)
