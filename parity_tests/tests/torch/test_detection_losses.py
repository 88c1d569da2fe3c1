"""The detector's losses: torchvision's in its preset, values by hand, and finite wherever training may go."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from torch_retinanet import RetinaNetConfig
from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.losses import RetinaNetBoxLoss, RetinaNetClassificationLoss, RetinaNetLoss, in_parts
from torch_retinanet.targets import BACKGROUND, IGNORED, LabelEncoder, Targets

KERAS_IO = RetinaNetConfig.keras_io(num_classes=3)
ANCHORS = AnchorGenerator(KERAS_IO).get_anchors(64, 64, dtype=torch.float64)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def random_targets(positives: list[int], seed: int = 0) -> Targets:
    """Targets with so many positive anchors in each picture, a few ignored."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.full((len(positives), len(ANCHORS)), BACKGROUND)
    for row, count in zip(classes, positives, strict=True):
        row[:count] = torch.randint(3, (count,), generator=generator)
        row[count : count + 7] = IGNORED
    deltas = torch.randn(*classes.shape, 4, dtype=torch.float64, generator=generator)
    return Targets(classes, deltas)


def test_the_focal_loss_is_that_of_torchvision() -> None:
    logits, classes = noise(50, 3) * 5, torch.arange(50) % 4 - 1
    one_hot = (classes.unsqueeze(-1) == torch.arange(3)).double()
    theirs = sigmoid_focal_loss(logits, one_hot, alpha=0.25, gamma=2).sum(-1)
    torch.testing.assert_close(RetinaNetClassificationLoss(0.25, 2)(logits, classes), theirs)


def test_the_focal_loss_by_hand() -> None:
    """At a logit of 0 each class costs a quarter of log 2, times alpha for the true one and 1 - alpha for the rest."""
    loss = RetinaNetClassificationLoss(alpha=0.25, gamma=2)
    quarter = math.log(2) / 4
    assert loss(torch.zeros(3), torch.tensor(1)).item() == pytest.approx(quarter * (0.25 + 0.75 + 0.75))
    assert loss(torch.zeros(3), torch.tensor(BACKGROUND)).item() == pytest.approx(quarter * 3 * 0.75)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_any_logit_gives_a_finite_loss_and_gradient(dtype: torch.dtype, gamma: float) -> None:
    logits = torch.tensor([[-1e4, -100, 0], [100, 1e4, -1e4]], dtype=dtype, requires_grad=True)
    loss = RetinaNetClassificationLoss(0.25, gamma)(logits, torch.tensor([0, 2]))
    loss.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(loss).all()
    assert torch.isfinite(logits.grad).all()
    assert loss[0].item() == pytest.approx(0.25 * 1e4 + 0.75 * 0.5**gamma * math.log(2), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 2.0, 5.0])
def test_value_and_gradient_of_the_focal_loss_are_exact_to_rounding(gamma: float) -> None:
    """Of logits from right without doubt to wrong without doubt, against the formula differentiated by torch."""
    logits = torch.linspace(-60, 60, 2401)[:, None]
    classes = torch.zeros(len(logits), dtype=torch.int64)
    single, double = logits.clone().requires_grad_(), logits.double().requires_grad_()
    found = RetinaNetClassificationLoss(None, gamma)(single, classes)
    expected = -((gamma * F.logsigmoid(-double)).exp() * F.logsigmoid(double)).squeeze(1)
    gradients = [torch.autograd.grad(values.sum(), x)[0] for values, x in ((found, single), (expected, double))]
    eps = torch.finfo(torch.float32).eps
    for values, right in ((found, expected), (gradients[0], gradients[1])):
        assert ((values - right).abs() <= (4 + 10 * gamma) * eps * right.abs() + 1e-37).all()


@pytest.mark.parametrize("gamma", [1.5, 2.0])
def test_the_focal_loss_does_not_depend_on_its_parts(gamma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, classes = RetinaNetClassificationLoss(0.25, gamma), (torch.arange(60) % 4 - 1).view(2, 30)
    answers = []
    for size in (10**6, 1, 7):
        monkeypatch.setattr(in_parts, "PART", {"cpu": size})
        logits = noise(2, 30, 3).float().requires_grad_()
        losses = loss(logits, classes)
        answers.append((losses, *torch.autograd.grad(losses.square().sum(), logits)))
    for answer in answers[1:]:  # vectors and what is left of them round differently
        torch.testing.assert_close(answer, answers[0], rtol=1e-6, atol=1e-7)


def test_losses_of_half_logits_are_those_of_single_ones() -> None:
    loss, classes = RetinaNetClassificationLoss(0.25, 2), torch.arange(30) % 4 - 1
    half = noise(30, 3).bfloat16().requires_grad_()
    single = half.detach().float().requires_grad_()
    for logits in (half, single):
        loss(logits, classes).sum().backward()
    assert torch.equal(loss(half, classes), loss(single, classes))
    assert half.grad is not None
    assert single.grad is not None
    assert torch.equal(half.grad, single.grad.bfloat16())


@pytest.mark.parametrize(("kind", "expected"), [("smooth_l1", 0.5 * 0.25 + 1.5), ("l1", 0.5 + 2)])
def test_box_losses_by_hand(kind: str, expected: float) -> None:
    config = KERAS_IO.with_convention(f"box_loss={kind}")
    loss = RetinaNetBoxLoss(config)(torch.tensor([0.5, -2, 0, 0]), torch.zeros(4), torch.tensor([0.0, 0, 8, 8]))
    assert loss.item() == pytest.approx(expected)


def test_giou_is_nothing_for_the_true_box_and_up_to_two_for_a_far_one() -> None:
    loss = RetinaNetBoxLoss(replace(KERAS_IO, box_loss="giou"))
    anchor, far = torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([[1000.0, 0, 0, 0]])
    assert loss(torch.zeros(1, 4), torch.zeros(1, 4), anchor).item() == pytest.approx(0, abs=1e-5)
    assert 1.9 < loss(far, torch.zeros(1, 4), anchor).item() < 2


def test_each_picture_is_divided_by_its_own_positives_or_all_by_those_of_the_batch() -> None:
    logits, deltas, targets = noise(2, len(ANCHORS), 3), noise(2, len(ANCHORS), 4), random_targets([4, 12])
    terms = RetinaNetLoss(KERAS_IO).sums(logits, deltas, targets, ANCHORS)
    assert terms.normaliser.tolist() == [4, 12]
    for config, share in (
        (KERAS_IO, (terms.box / torch.tensor([4, 12])).mean()),
        (replace(KERAS_IO, loss_normaliser="batch"), terms.box.sum() / 16),
    ):
        losses = RetinaNetLoss(config)(logits, deltas, targets, ANCHORS)
        torch.testing.assert_close(losses["bbox_regression"], share)


@pytest.mark.parametrize("positives", [[4, 12], [0, 5], [0, 0]])
def test_the_mean_over_all_anchors_that_are_not_ignored_is_binary_cross_entropy(positives: list[int]) -> None:
    """As MONAI computes it: `BCEWithLogitsLoss` and `SmoothL1Loss`, each the mean of a batch."""
    logits, deltas, targets = noise(2, len(ANCHORS), 3), noise(2, len(ANCHORS), 4), random_targets(positives)
    losses = RetinaNetLoss(RetinaNetConfig.monai(3))(logits, deltas, targets, ANCHORS)
    counted, positive = targets.classes != IGNORED, targets.positive
    true = F.one_hot(targets.classes.clamp(min=0), 3).to(logits) * positive.unsqueeze(-1)
    expected = F.binary_cross_entropy_with_logits(logits[counted], true[counted])
    torch.testing.assert_close(losses["classification"], expected)
    box = F.smooth_l1_loss(deltas[positive], targets.deltas[positive], beta=1 / 9) if positive.any() else 0.0
    assert losses["bbox_regression"].item() == pytest.approx(float(box), rel=1e-12)


def test_ignored_anchors_cost_nothing() -> None:
    logits, deltas, targets = noise(1, len(ANCHORS), 3), noise(1, len(ANCHORS), 4), random_targets([5])
    before = RetinaNetLoss(KERAS_IO)(logits, deltas, targets, ANCHORS)
    logits[targets.classes == IGNORED] = 50
    deltas[targets.classes < 0] = 50
    after = RetinaNetLoss(KERAS_IO)(logits, deltas, targets, ANCHORS)
    assert before == after


@pytest.mark.parametrize("empty", ["zero", "sum"])
@pytest.mark.parametrize("normaliser", ["picture", "batch"])
@pytest.mark.parametrize("box_loss", ["smooth_l1", "l1", "giou"])
def test_pictures_without_boxes_have_finite_losses_and_gradients(empty: str, normaliser: str, box_loss: str) -> None:
    config = KERAS_IO
    for changed in (f"empty_loss={empty}", f"loss_normaliser={normaliser}", f"box_loss={box_loss}"):
        config = config.with_convention(changed)
    for positives in ([0], [0, 0], [0, 5]):
        logits = noise(len(positives), len(ANCHORS), 3).requires_grad_()
        deltas = noise(len(positives), len(ANCHORS), 4).requires_grad_()
        losses = RetinaNetLoss(config)(logits, deltas, random_targets(positives), ANCHORS)
        sum(losses.values(), torch.zeros(())).backward()
        assert all(torch.isfinite(loss) for loss in losses.values())
        assert logits.grad is not None and torch.isfinite(logits.grad).all()  # noqa: PT018
        assert deltas.grad is not None and torch.isfinite(deltas.grad).all()  # noqa: PT018
        if sum(positives) == 0:
            assert (losses["classification"] == 0) == (empty == "zero")
            assert losses["bbox_regression"] == 0


def test_an_empty_batch_has_finite_losses() -> None:
    targets = LabelEncoder(KERAS_IO).encode_batch(ANCHORS, [], [])
    losses = RetinaNetLoss(KERAS_IO)(noise(0, len(ANCHORS), 3), noise(0, len(ANCHORS), 4), targets, ANCHORS)
    assert all(loss == 0 for loss in losses.values())


def test_a_thousand_boxes_have_a_finite_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(1000, 2, dtype=torch.float64, generator=generator) * 60
    boxes = torch.cat([corners, corners + 1 + torch.rand(1000, 2, dtype=torch.float64, generator=generator) * 30], 1)
    targets = LabelEncoder(KERAS_IO).encode_batch(ANCHORS, [boxes], [torch.zeros(1000, dtype=torch.int64)])
    losses = RetinaNetLoss(KERAS_IO)(noise(1, len(ANCHORS), 3), noise(1, len(ANCHORS), 4), targets, ANCHORS)
    assert all(torch.isfinite(loss) and loss > 0 for loss in losses.values())


def test_half_precision_is_summed_in_single() -> None:
    logits, deltas, targets = noise(1, len(ANCHORS), 3), noise(1, len(ANCHORS), 4), random_targets([5])
    targets = targets._replace(deltas=targets.deltas.float())
    losses = RetinaNetLoss(KERAS_IO)(logits.bfloat16(), deltas.bfloat16(), targets, ANCHORS.float())
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
