"""ReLUs run with given masks: a unit within rounding of 0 passes a gradient where its mask says so, on either side."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from parity_tests.peers.relus import HeldReLUs

GIVEN = torch.tensor([[-2.0, -1e-9, 1e-9, 3.0]])


@pytest.mark.parametrize("relu", [nn.ReLU(), nn.ReLU(inplace=True), F.relu, torch.relu, torch.relu_])
def test_without_masks_every_relu_runs_as_it_does_and_its_input_is_kept(relu: Callable[[Tensor], Tensor]) -> None:
    with (run := HeldReLUs()):
        found = relu(GIVEN.clone())
    assert torch.equal(found, torch.tensor([[0.0, 0.0, 1e-9, 3.0]]))
    assert torch.equal(run.inputs[0], GIVEN)


def test_a_mask_decides_which_units_pass_their_value_and_their_gradient() -> None:
    x, mask = GIVEN.clone().requires_grad_(), torch.tensor([[False, True, False, True]])
    with HeldReLUs([mask]):
        [gradient] = torch.autograd.grad(F.relu(x).sum(), [x])
    assert torch.equal(gradient, torch.tensor([[0.0, 1.0, 0.0, 1.0]]))


def test_masks_are_taken_in_the_order_of_relus_and_nothing_else_is_changed() -> None:
    masks = [torch.tensor([[True, True, True, True]]), torch.tensor([[False, False, False, True]])]
    with (run := HeldReLUs(masks)):
        found = F.relu(F.relu(GIVEN) + 1).sigmoid()
    assert torch.equal(run.inputs[1], GIVEN + 1)
    assert torch.equal(found, torch.tensor([[0.0, 0.0, 0.0, 4.0]]).sigmoid())
