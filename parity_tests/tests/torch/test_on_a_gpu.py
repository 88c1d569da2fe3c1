"""The detector on a CUDA device has the losses, the detections and the training step that it has on the CPU."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from parity_tests.tests.support.detectors import BOXES, LABELS, SMALL, detector, noise
from parity_tests.tests.support.lively import lively_detector
from torch_retinanet import RetinaNetDetector
from torch_retinanet.boxes import box_iou
from torch_retinanet.engines.registry import build_engine

pytestmark = pytest.mark.gpu

DEVICE = torch.device("cuda")

TOLERANCE = 1e-4
"""How far losses, scores and overlaps may part. On the CPU, float32 parts from float64 by 2e-6 at most."""

COMPARED = 50
"""Detections of a picture, the best first; of the last ones, rounding decides which are among so many."""

PICTURES = [noise(3, 70, 90), noise(3, 120, 64, seed=1), noise(3, 50, 200, seed=2)]
TARGETS: list[dict[str, Any]] = [
    {"boxes": BOXES, "labels": LABELS},
    {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)},
    {"boxes": BOXES / 2, "labels": LABELS - 1},
]


@pytest.fixture(autouse=True)
def float32_alone() -> Iterator[None]:
    """No convolutions in TF32, which has a thousandth of float32's precision."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


def losses(model: RetinaNetDetector) -> dict[str, Tensor]:
    """Those of the pictures and targets, on the device of the model."""
    device = next(model.parameters()).device
    targets = [{name: value.to(device) for name, value in target.items()} for target in TARGETS]
    found: dict[str, Tensor] = model.train()([picture.to(device) for picture in PICTURES], targets)
    return found


def without_partner(found: dict[str, Tensor], others: dict[str, Tensor]) -> int:
    """How many of the best detections are not among others, of the same class and nearly the same box and score."""
    best = {name: values[:COMPARED].cpu() for name, values in found.items()}
    others = {name: values.cpu() for name, values in others.items()}
    same = best["labels"][:, None] == others["labels"]
    same &= (best["scores"][:, None] - others["scores"]).abs() < TOLERANCE
    same &= box_iou(best["boxes"], others["boxes"]) > 1 - TOLERANCE
    return int((~same.any(dim=1)).sum())


@torch.no_grad()
def test_detections_are_those_of_the_cpu() -> None:
    on_cpu = detector().float()
    on_gpu = copy.deepcopy(on_cpu).to(DEVICE)
    all_found = on_gpu([picture.to(DEVICE) for picture in PICTURES])
    for expected, found in zip(on_cpu(PICTURES), all_found, strict=True):
        assert {values.device.type for values in found.values()} == {DEVICE.type}
        assert len(expected["boxes"]) > COMPARED
        assert without_partner(found, expected) == without_partner(expected, found) == 0


def test_losses_are_those_of_the_cpu() -> None:
    on_cpu = detector().float()
    expected, found = losses(on_cpu), losses(copy.deepcopy(on_cpu).to(DEVICE))
    assert found.keys() == expected.keys()
    for name, loss in expected.items():
        assert found[name].device.type == DEVICE.type
        torch.testing.assert_close(found[name].cpu(), loss, rtol=TOLERANCE, atol=0)


def test_a_training_step_lowers_the_loss_as_on_the_cpu() -> None:
    on_cpu = RetinaNetDetector(SMALL)
    on_gpu = copy.deepcopy(on_cpu).to(DEVICE)
    before, after = losses_around_a_step(on_gpu)
    assert after < before
    assert (before, after) == pytest.approx(losses_around_a_step(on_cpu), rel=TOLERANCE)
    assert {tensor.device.type for tensor in on_gpu.state_dict().values()} == {DEVICE.type}


def losses_around_a_step(model: RetinaNetDetector) -> tuple[float, float]:
    """The whole loss before a step of SGD, and after it."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = torch.stack([*losses(model).values()]).sum()
    torch.autograd.backward(before)
    optimizer.step()
    with torch.no_grad():
        after = torch.stack([*losses(model).values()]).sum()
    return before.item(), after.item()


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("engine", ["eager", "packed", "compiled"])
def test_each_engine_finds_what_the_detector_finds(engine: str, precision: Any) -> None:
    made = lively_detector(SMALL).to("cuda")
    built = build_engine(engine, made, precision)
    for _ in range(3):  # compiled, recorded, replayed
        for height, width in ((64, 96), (96, 64)):
            picture = (noise(3, height, width) * 255).byte()
            (found,), (plain,) = built.predict([picture]), made.predict([picture])
            assert abs(len(found["labels"]) - len(plain["labels"])) <= 0.1 * len(plain["labels"])
            if precision == "fp32":
                assert torch.equal(found["labels"], plain["labels"])
