"""The rungs that train can fail: wrong gradients, steps and statistics are caught, and named."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from parity_tests.bridge.side import ReadWhenAsked, Side
from parity_tests.compare import Array
from parity_tests.rungs import Run
from parity_tests.test_ladder import turned_network, turned_run, where_it_starts, with_port

STEM = "fpn/backbone/conv1_conv/kernel"

Change = Callable[[Array], Array]


class WrongSide:
    """A side of which one method gives one wrong value."""

    def __init__(self, side: Side, method: str, name: str, change: Change) -> None:
        self.side, self.method, self.name, self.change = side, method, name, change

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(self.side, attribute)
        return partial(self._wrong, found) if attribute == self.method else found

    def _wrong(self, method: Callable[..., Mapping[str, Array]], *args: Any, **settings: Any) -> Mapping[str, Array]:
        values = method(*args, **settings)
        readers: dict[str, Callable[[], Array]] = {name: partial(values.__getitem__, name) for name in values}
        return ReadWhenAsked(readers | {self.name: lambda: self.change(values[self.name])})


def wrong_run(run: Run, method: str, name: str, change: Change) -> Run:
    return with_port(run, WrongSide(run.sides("float64")[1], method, name, change))


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
def test_a_wrong_gradient_is_named(run: Run, name: str, change: Change) -> None:
    assert where_it_starts(wrong_run(run, "gradients", name, change), "gradients", "inference") == name


@pytest.mark.planted
def test_a_wrong_gradient_is_named_in_training_mode_too(run: Run) -> None:
    """The bias before a BatchNorm has a gradient of rounding alone, and is still held to its kernel's scale."""
    name = "fpn/backbone/conv1_conv/bias"
    wrong = wrong_run(run, "gradients", name, lambda gradient: gradient + 1e-3)
    assert where_it_starts(wrong, "gradients", "training") == name


STEPS = {
    ("SGD with momentum", "momentum_rate=when_used"): STEM,
    ("SGD with momentum", "boundary=changes"): STEM,
    ("Adam", "eps_root=corrected"): STEM,
}
"""Optimisers, a convention of theirs the wrong way, and the variable that tells."""


@pytest.mark.planted
@pytest.mark.parametrize(("optimizer", "assignment"), STEPS)
def test_a_turned_convention_of_an_optimizer_is_named(run: Run, optimizer: str, assignment: str) -> None:
    assert where_it_starts(turned_run(run, assignment), "step", optimizer) == STEPS[optimizer, assignment]


@pytest.mark.planted
def test_an_unclipped_gradient_is_caught(run: Run) -> None:
    unclipped = turned_run(run, clip_norm=None)
    assert where_it_starts(unclipped, "step", "SGD") == STEM


@pytest.mark.planted
@pytest.mark.parametrize(
    ("optimizer", "name", "change"),
    [
        ("SGD with momentum", "box_head/4/bias@momentum", np.negative),
        ("SGD with momentum", "fpn/conv_c3_3x3/kernel", swapped),
        ("SGD with momentum", "cls_head/0/kernel", lambda kernel: kernel * (1 + 1e-11)),
        ("AdamW", "fpn/conv_c3_3x3/kernel@m", swapped),
        ("AdamW", "fpn/backbone/conv1_bn/gamma@v", lambda slot: np.roll(slot, 1)),
    ],
    ids=["sign of a slot", "swapped axes", "a hundred-billionth", "swapped axes of a slot", "off by one"],
)
def test_a_wrong_step_is_named(run: Run, optimizer: str, name: str, change: Change) -> None:
    assert where_it_starts(wrong_run(run, "apply", name, change), "step", optimizer) == name


@pytest.mark.planted
@pytest.mark.parametrize(
    ("assignment", "statistic"), [("bn_momentum=0.1", "moving_mean"), ("bn_running_var=sample", "moving_variance")]
)
def test_a_turned_convention_of_batchnorm_is_named_in_its_statistics(run: Run, assignment: str, statistic: str) -> None:
    assert (
        where_it_starts(turned_network(run, assignment), "step", "statistics") == f"fpn/backbone/conv1_bn/{statistic}"
    )


@pytest.mark.planted
def test_a_wrong_statistic_is_named(run: Run) -> None:
    name = "fpn/backbone/conv4_block1_0_bn/moving_mean"
    wrong = wrong_run(run, "gradients", name, lambda mean: mean + 1e-6)
    assert where_it_starts(wrong, "step", "statistics") == name


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "statistics"])
def test_a_step_without_a_fault_is_equal(run: Run, optimizer: str) -> None:
    """All five cases: two begin with SGD, and two with Adam."""
    assert where_it_starts(turned_run(run), "step", optimizer) == "equal"
