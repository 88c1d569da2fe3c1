"""The backward rung can fail, and names the module whose gradient is wrong, where the forward pass is right."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.rungs.gradients import training_scenes
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.budgets import GRADIENT
from parity_tests.rule.divergence import divergence
from parity_tests.tests.support.planted import records_on, taps_made_by

STEM = "fpn/backbone/conv1_conv/kernel"


class WrongBackward(torch.autograd.Function):
    """The identity, whose gradient is wrong by a hundredth."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 1.01


@pytest.fixture
def plant(run: DetectorComparison) -> Iterator[Callable[[str], None]]:
    """Makes the gradient by the input of a module of the port wrong."""
    port: Any = run.sides.port("float64")
    hooks = []

    def plant(name: str) -> None:
        module: nn.Module = port.model.get_submodule(name)
        hooks.append(module.register_forward_pre_hook(lambda _, inputs: (WrongBackward.apply(inputs[0]),)))

    yield plant
    for hook in hooks:
        hook.remove()


def test_every_tap_and_every_weight_is_compared(
    run: DetectorComparison, sides: tuple[DetectorSide, DetectorSide]
) -> None:
    records = records_on(run, "backward")
    isolated = {record.name for record in records if record.where.mode == "isolated"}
    weights = {name for name in sides[0].parameters() if "/moving_" not in name}
    assert isolated == weights | {*taps_made_by(sides[0], training_scenes(run)[0].images)}
    assert {record.verdict for record in records} == {"equal"}


def test_a_side_goes_back_from_gradients_that_it_is_given_too(run: DetectorComparison) -> None:
    both = run.sides.reference("float64"), run.sides.port("float64")
    images = training_scenes(run)[0].images
    level = both[0].forward([images])["p3"].outputs[""]
    seeds = {"p3": np.random.default_rng(0).normal(size=level.shape)}
    reference, port = (side.backward([images], seeds).gradients for side in both)
    scale = np.abs(reference[STEM]).max()
    assert scale > 0
    assert np.abs(reference[STEM] - port[STEM]).max() <= GRADIENT * scale


def test_steps_of_an_optimiser_are_lost_afterwards(run: DetectorComparison) -> None:
    side: Any = run.sides.reference("float64")
    before = side.parameters()[STEM]
    after = side.apply([{STEM: np.ones_like(before)}], lambda variables: keras.optimizers.SGD(0.5))
    assert np.allclose(after[STEM], before - 0.5)
    assert np.array_equal(side.parameters()[STEM], before)


@pytest.mark.planted
@pytest.mark.parametrize(
    ("module", "starts_at"),
    [
        ("fpn.conv_c7_3x3", ["p6"]),
        ("fpn.conv_c4_3x3", ["merged4"]),
        ("fpn.backbone.layer3.2", ["conv4_block2"]),
        ("box_head.2", ["box.p7.1", "box.p6.1", "box.p5.1", "box.p4.1", "box.p3.1"]),
    ],
)
def test_a_module_whose_gradient_is_wrong_is_named_by_the_tap_that_enters_it(
    run: DetectorComparison, plant: Callable[[str], None], module: str, starts_at: list[str]
) -> None:
    plant(module)
    parting = divergence(records_on(run, "backward"))
    assert parting is not None
    assert {record.name for record in parting.origins} == {*starts_at}
    assert "conv2_block1" in {record.name for record in parting.inherited}
