"""Detections in another order of near-equal scores are told from wrong ones, of a network that is hardly trained."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from parity_tests.tests.support.exported import loud_detector, program
from torch_retinanet import RetinaNetDetector
from torch_retinanet.engines import export as exporting
from torch_retinanet.engines.comparison import FoundObjects, distance
from torch_retinanet.engines.ties import share_by_ties

CONVENTIONS: dict[str, dict[str, Any]] = {
    "best of each level": {"topk_per_level": 60},
    "all above the threshold": {"topk_per_level": 0, "detections_per_picture": 0},
    "few": {"detections_per_picture": 20},
    "one class drops another": {"nms_classes": "all"},
    "clipped at the end": {"clip_boxes": False, "clip_detections": True},
}


def tied_detector(**changes: Any) -> RetinaNetDetector:
    """A detector whose scores all lie within a hundredth."""
    detector = loud_detector(**{"score_threshold": 0.04, **changes})
    last = cast("nn.Conv2d", detector.model.cls_head[-1])
    with torch.no_grad():
        last.weight *= 3e-3
        cast("Tensor", last.bias).fill_(-3)
    return detector


def picture(seed: int) -> Tensor:
    return torch.rand(3, 64, 90, generator=torch.Generator().manual_seed(seed))


def rounding_otherwise(detector: RetinaNetDetector, seed: int) -> RetinaNetDetector:
    """As it computes in a runtime whose logits are some hundreds of roundings off."""
    random = torch.Generator().manual_seed(seed)

    def network(images: Tensor, *, above: float | None = None) -> tuple[Tensor, Tensor]:
        deltas, logits = detector.model(images, apart=True)
        return deltas, logits + 1e-4 * (torch.rand(logits.shape, generator=random) - 0.5)

    return detector.with_network(network)


@torch.no_grad()
def rounded_otherwise(detector: RetinaNetDetector, seed: int) -> FoundObjects:
    return as_objects(rounding_otherwise(detector, seed)([picture(seed)])[0])


def as_objects(found: dict[str, Tensor]) -> FoundObjects:
    return FoundObjects(*(found[name].detach().numpy() for name in ("boxes", "scores", "labels")))


@pytest.mark.parametrize("name", CONVENTIONS)
def test_another_order_of_near_equal_scores_is_right(name: str) -> None:
    detector, orders = tied_detector(**CONVENTIONS[name]), 0
    for seed in range(3):
        expected, found = as_objects(detector([picture(seed)])[0]), rounded_otherwise(detector, seed)
        orders += bool(distance(expected, found).reason)
        share = share_by_ties(detector, picture(seed), found)
        assert share is not None
        assert 0 < share < 1
    assert orders > 0


@pytest.mark.planted
@pytest.mark.parametrize(
    "wrong", [{"nms_iou": 0.45}, {"score_threshold": 0.0477}, {"topk_per_level": 55}, {"detections_per_picture": 40}]
)
def test_a_file_of_other_conventions_is_wrong_in_any_order(wrong: dict[str, Any]) -> None:
    right, other = tied_detector(topk_per_level=60), tied_detector(**{"topk_per_level": 60, **wrong})
    assert share_by_ties(right, picture(0), rounded_otherwise(right, 0)) is not None
    assert share_by_ties(right, picture(0), rounded_otherwise(other, 0)) is None


@pytest.mark.planted
def test_a_detection_that_is_missing_moved_or_out_of_order_is_wrong() -> None:
    detector = tied_detector(topk_per_level=60)
    boxes, scores, labels = rounded_otherwise(detector, 0)
    moved, higher = boxes.copy(), scores.copy()
    moved[3, 2] += 0.1
    higher[0] *= 1.001
    for wrong in (
        FoundObjects(boxes[1:], scores[1:], labels[1:]),
        FoundObjects(boxes[:0], scores[:0], labels[:0]),
        FoundObjects(moved, scores, labels),
        FoundObjects(boxes, higher, labels),
        FoundObjects(boxes, scores, (labels + 1) % 3),
        FoundObjects(boxes[::-1], scores[::-1], labels[::-1]),
    ):
        assert share_by_ties(detector, picture(0), wrong) is None


def test_a_certificate_says_on_which_pictures_an_order_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = tied_detector(topk_per_level=60)
    monkeypatch.setattr(exporting, "open_program", lambda path, outputs, bf16: program(rounding_otherwise(detector, 0)))
    (tmp_path / "model.onnx").touch()
    certificate = exporting.certify(detector, tmp_path / "model.onnx")
    assert 0 < sum(len(look.tied) for look in certificate.looks) < 7
    assert 0 < certificate.largest_share < 1
