"""Gradients by weights in float32, with every ReLU held alike on both sides.

A ReLU whose input is within rounding of 0 lets a gradient pass in one run and not in another. Of some ten million units
1 to 5 do so, and each can move a sum of gradients by more than all other rounding. Ours are held as in our float64 run;
those that the peer's float32 run has otherwise are given, and must be within rounding of 0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from parity_tests.peers.comparison import DTYPES, answers, inputs
from parity_tests.peers.recorded import Recorded
from parity_tests.rule.record import Record, Where
from torch_retinanet import RetinaNetDetector

RELUS = (F.relu, torch.relu, torch.relu_)
"""What a module may call for a ReLU."""


class Unit(NamedTuple):
    """One unit of a ReLU: which ReLU, in the order in which they run, and its place in the map (B,C,H,W)."""

    relu: int
    place: tuple[int, int, int, int]


class HeldReLUs(TorchFunctionMode):
    """Runs every ReLU as a product with its mask: what is above 0, or the `masks` given, in the order of ReLUs.

    Attributes:
        inputs: what the ReLUs were given.
    """

    def __init__(self, masks: Sequence[Tensor] | None = None) -> None:
        super().__init__()
        self.masks = masks
        self.inputs: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func not in RELUS:
            return func(*args, **(kwargs or {}))
        given: Tensor = args[0]
        mask = given > 0 if self.masks is None else self.masks[len(self.inputs)]
        self.inputs.append(given.detach())
        return given * mask


def relu_inputs(recorded: Recorded, detector: RetinaNetDetector, size: tuple[int, int], dtype: str) -> list[Tensor]:
    """What each ReLU is given on the pictures of a size."""
    run = HeldReLUs()
    with run, torch.no_grad():
        detector.to(DTYPES[dtype]).model(inputs(recorded, size, dtype))
    return run.inputs


def compare_gradients(
    recorded: Recorded, detector: RetinaNetDetector, size: tuple[int, int], *, switched: Sequence[Unit] = ()
) -> list[Record]:
    """Records of the gradients by weights of one size in float32, with our ReLUs held as they are in float64.

    Args:
        recorded: the peer's answers.
        detector: loaded from the peer's file, in evaluation mode; it is left in float32.
        size: height and width, one at which gradients are recorded.
        switched: the units that the peer's run in float32 has on the other side of 0.

    Raises:
        ValueError: for a unit whose input is farther from 0 than float32 rounds it.
    """
    exact = relu_inputs(recorded, detector, size, "float64")
    masks = [given > 0 for given in exact]
    for unit in switched:
        masks[unit.relu][unit.place] ^= True
    held = HeldReLUs(masks)
    with held:
        ours, _ = answers(recorded, detector.float(), size, "float32", weights=True)
    for unit in switched:
        _check_rounding(unit, exact[unit.relu], held.inputs[unit.relu])
    where = recorded.path(f"{size[0]}x{size[1]}", "float32")
    place = Where(size=size, dtype="float32", mode="cascaded", subject=recorded.variant)
    names = [name for name in recorded.names(where) if name.startswith("grad_sum/")]
    return [recorded.judge(where, name, ours.get(name), place) for name in names]


def _check_rounding(unit: Unit, exact: Tensor, rounded: Tensor) -> None:
    value, error = exact[unit.place].item(), (rounded - exact).abs().max().item()
    if abs(value) > error:
        raise ValueError(f"{unit}: its input is {value:.1e}, and in float32 off by {error:.1e} at most; leave it out")
