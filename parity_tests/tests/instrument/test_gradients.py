"""What BatchNorm in training mode magnifies on either side is no difference; a gradient that is off is one."""

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.inputs import Scene
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.budgets import BATCHNORM_LIMIT, GRADIENT
from parity_tests.rule.record import Array
from parity_tests.rule.sampled import sample
from parity_tests.tests.support.planted import with_port

gradients: Any = importlib.import_module("parity_tests.retinanet.rungs.gradients")

KERNEL = "fpn/conv_c6_3x3/kernel"


class Off:
    """A port whose gradient by a kernel is a share too large."""

    def __init__(self, port: DetectorSide, share: float) -> None:
        self.port, self.share, self.asked = port, share, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    def gradients(self, scene: Scene, *, training: bool) -> Any:
        self.asked += 1
        found = dict(self.port.gradients(scene, training=training))
        return found | {KERNEL: found[KERNEL] * (1 + self.share)}


class Recorded:
    """A reference as a bundle has it: samples, whatever its weights are said to be."""

    def __init__(self, reference: DetectorSide) -> None:
        self.reference, self.asked = reference, 0

    def assign(self, variables: Mapping[str, Array]) -> None:
        """What was recorded stays."""

    def gradients(self, scene: Scene, *, training: bool) -> Any:
        self.asked += 1
        return {name: sample(value) for name, value in self.reference.gradients(scene, training=training).items()}


def compared(run: DetectorComparison, mode: str, share: float = 0.0) -> tuple[list[Any], int]:
    """The records of a mode, and how often the port was asked for gradients."""
    port = Off(run.sides.port("float64"), share)
    [case] = [case for case in gradients.gradients(with_port(run, port)) if case.name == mode]
    return case.compare(), port.asked


def differing(records: list[Any]) -> list[str]:
    return [record.name for record in records if record.verdict != "equal"]


def test_rounding_that_is_magnified_is_held_to_what_it_does_to_the_port_itself(
    run: DetectorComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the reference is a recorded one, which is asked once."""
    monkeypatch.setattr(gradients, "GRADIENT", 1e-13)
    reference, port = run.sides("float64")
    recorded: Any = Recorded(reference)
    held = replace(run, _sides={"float64": (recorded, port)})
    records, asked = compared(held, "training")
    assert (differing(records), asked, recorded.asked) == ([], 4, 1)
    assert max(record.used for record in records) > 0.01
    monkeypatch.setattr(gradients, "PERTURBATION_SEEDS", ())
    assert differing(compared(held, "training")[0]), "rounding alone exceeds such a share"
    reference.assign(run.weights)


def test_what_is_as_near_as_elsewhere_is_not_looked_at_again(run: DetectorComparison) -> None:
    records, asked = compared(run, "training")
    assert (differing(records), asked) == ([], 1)


@pytest.mark.planted
@pytest.mark.parametrize(("share", "asked"), [(3 * GRADIENT, 4), (2 * BATCHNORM_LIMIT, 1)])
def test_a_gradient_that_is_off_by_little_is_named(run: DetectorComparison, share: float, asked: int) -> None:
    records, count = compared(run, "training", share)
    assert (differing(records), count) == ([KERNEL], asked)


def test_no_gradient_is_allowed_more_than_rounding_is_magnified_to(
    run: DetectorComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradients, "GRADIENT", 1e-13)
    monkeypatch.setattr(gradients, "SELF_FACTOR", 1e30)
    records, _ = compared(run, "training")
    scales = {record.name: record.scale for record in records}
    assert all(
        r.budget == pytest.approx(BATCHNORM_LIMIT * scales[r.name]) for r in records if r.name.endswith("kernel")
    )
