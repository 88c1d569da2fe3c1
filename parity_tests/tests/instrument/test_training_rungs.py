"""The rungs that train can fail: wrong gradients, steps and statistics are caught, and named."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.record import Array
from parity_tests.sides.side import Backward
from parity_tests.tests.support.planted import changed_network, changed_run, where_it_starts, with_port

STEM = "fpn/backbone/conv1_conv/kernel"

Change = Callable[[Array], Array]

FaultyRun = Callable[[DetectorComparison], DetectorComparison]
"""The run with a fault, or without one."""


class WrongSide:
    """A side of which one method gives one wrong value: by a parameter, in what `backward` finds its gradient."""

    def __init__(self, side: DetectorSide, method: str, name: str, change: Change) -> None:
        self.side, self.method, self.name, self.change = side, method, name, change

    @property
    def narrow(self) -> "WrongSide":
        return WrongSide(self.side.narrow, self.method, self.name, self.change)

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self.side, attribute)
        return partial(self._wrong, found) if attribute == self.method else found

    def _wrong(self, method: Callable[..., Any], *args: Any, **settings: Any) -> Any:
        found = method(*args, **settings)
        if isinstance(found, Backward):
            return replace(found, gradients=self._changed(found.gradients))
        return self._changed(found)

    def _changed(self, values: Mapping[str, Array]) -> Mapping[str, Array]:
        return {**values, self.name: self.change(values[self.name])}


def wrong_run(run: DetectorComparison, method: str, name: str, change: Change) -> DetectorComparison:
    return with_port(run, WrongSide(run.sides.port("float64"), method, name, change))


def swapped(kernel: Array) -> Array:
    return np.swapaxes(kernel, 0, 1)


@pytest.mark.planted
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("box_head/4/bias", np.negative),
        ("fpn/conv_c3_3x3/kernel", swapped),
        (STEM, lambda kernel: kernel[:, :, ::-1]),
        ("cls_head/0/kernel", lambda kernel: kernel * (1 + 1e-9)),
        ("fpn/backbone/conv1_bn/beta", np.zeros_like),
    ],
    ids=["sign", "swapped axes", "reversed channels", "a billionth", "nothing"],
)
def test_a_wrong_gradient_is_named(run: DetectorComparison, name: str, change: Change) -> None:
    assert where_it_starts(wrong_run(run, "backward", name, change), "gradients", "inference") == name


@pytest.mark.planted
def test_a_wrong_gradient_is_named_in_training_mode_too(run: DetectorComparison) -> None:
    """The bias before a BatchNorm has a gradient of rounding alone, and is still held to its kernel's scale."""
    name = "fpn/backbone/conv1_conv/bias"
    wrong = wrong_run(run, "backward", name, lambda gradient: gradient + 1e-3)
    assert where_it_starts(wrong, "gradients", "training") == name


def changed(assignment: str) -> FaultyRun:
    return lambda run: changed_run(run, assignment)


def unclipped(run: DetectorComparison) -> DetectorComparison:
    return changed_run(run, clip_norm=None)


def wrong_step(name: str, change: Change) -> FaultyRun:
    return lambda run: wrong_run(run, "take_steps", name, change)


def planted(optimizer: str, fault: FaultyRun, name: str, *, of: str) -> Any:
    return pytest.param(optimizer, fault, name, id=f"{optimizer}, {of}", marks=pytest.mark.planted)


HEAD, LATERAL, NORM = "cls_head/0/kernel", "fpn/conv_c3_3x3/kernel", "fpn/backbone/conv1_bn/gamma"
SLOTS = {"momentum": "box_head/4/bias@momentum", "m": f"{LATERAL}@m", "v": f"{NORM}@v"}

STEPS = [
    pytest.param("SGD with momentum", changed_run, "equal", id="SGD with momentum"),
    planted("SGD with momentum", changed("momentum_rate=when_used"), STEM, of="momentum of the rate when used"),
    planted("SGD with momentum", changed("boundary=changes"), STEM, of="a rate that changes a step early"),
    planted("SGD with momentum", wrong_step(SLOTS["momentum"], np.negative), SLOTS["momentum"], of="sign of a slot"),
    planted("SGD with momentum", wrong_step(LATERAL, swapped), LATERAL, of="swapped axes"),
    planted("SGD with momentum", wrong_step(HEAD, lambda k: k * (1 + 1e-11)), HEAD, of="a hundred-billionth"),
    pytest.param("SGD", changed_run, "equal", id="SGD"),
    planted("SGD", unclipped, STEM, of="an unclipped gradient"),
    pytest.param("Adam", changed_run, "equal", id="Adam"),
    planted("Adam", changed("eps_root=corrected"), STEM, of="eps at the corrected root"),
    pytest.param("AdamW", changed_run, "equal", id="AdamW"),
    planted("AdamW", wrong_step(SLOTS["m"], swapped), SLOTS["m"], of="swapped axes of a slot"),
    planted("AdamW", wrong_step(SLOTS["v"], lambda slot: np.roll(slot, 1)), SLOTS["v"], of="off by one"),
]
"""A case of the rung, a fault of it or none, and the first name that differs or "equal"."""


@pytest.mark.parametrize(("optimizer", "fault", "name"), STEPS)
def test_a_step_differs_where_its_fault_is(
    run: DetectorComparison, optimizer: str, fault: FaultyRun, name: str
) -> None:
    assert where_it_starts(fault(run), "step", optimizer) == name


@pytest.mark.planted
@pytest.mark.parametrize(
    ("assignment", "statistic"), [("bn_momentum=0.1", "moving_mean"), ("bn_running_var=sample", "moving_variance")]
)
def test_a_changed_convention_of_batchnorm_is_named_in_its_statistics(
    run: DetectorComparison, assignment: str, statistic: str
) -> None:
    name = f"fpn/backbone/conv1_bn/{statistic}"
    assert where_it_starts(changed_network(run, assignment), "step", "BatchNorm") == name


@pytest.mark.planted
def test_a_wrong_statistic_is_named(run: DetectorComparison) -> None:
    name = "fpn/backbone/conv4_block1_0_bn/moving_mean"
    wrong = wrong_run(run, "statistics", name, lambda mean: mean + 1e-6)
    assert where_it_starts(wrong, "step", "BatchNorm") == name


def test_statistics_without_a_fault_are_equal(run: DetectorComparison) -> None:
    assert where_it_starts(changed_run(run), "step", "BatchNorm") == "equal"
