"""Files of detectron2's RetinaNet, loaded, against what detectron2 itself answered (recordings/detectron2)."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.peers.comparison import answers, compare_coder, compare_pictures, compare_size
from parity_tests.peers.recorded import Recorded
from parity_tests.rule.record import Where
from parity_tests.tests.support.peers import (
    LATE,
    RECORDINGS,
    different,
    first_different,
    layout_written,
    loaded,
    mistaken,
)
from torch_retinanet import RetinaNetDetector
from torch_retinanet.losses import RetinaNetLoss
from torch_retinanet.weights.published.detectron2 import detectron2_name

COARSE = ("loss/", "second/loss/", "grad_logits", "grad_sum")
"""Its anchors, its focal loss and what it decodes are float32, whatever its model has."""

NOT_REPRODUCED: dict[str, str] = {}
"""Nothing that is recorded is left out."""

RECORDED = Recorded(
    folder=RECORDINGS / "detectron2",
    losses={"classification": "loss_cls", "bbox_regression": "loss_box_reg"},
    their_name=detectron2_name,
    deviation=64.0,
    coarse=COARSE,
)


@cache
def detector(file: str = "weights.pth") -> RetinaNetDetector:
    return loaded("detectron2", file)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (160, 224), pytest.param(224, 160, marks=pytest.mark.slow)])
def test_a_loaded_detector_answers_as_detectron2_does(height: int, width: int) -> None:
    records = compare_size(RECORDED, detector(), (height, width))
    assert len(records) >= 20
    assert different(records) == []


def test_in_float32_it_also_detects_what_detectron2_does() -> None:
    """detectron2 decodes in float32 alone."""
    records = compare_size(RECORDED, detector(), (128, 128), "float32")
    assert sum(record.name.startswith("raw_detections") for record in records) == 6
    assert different(records) == []


def test_both_files_hold_the_same_detector() -> None:
    ours, theirs = (detector(file).float().state_dict() for file in ("weights.pth", "weights.pkl"))
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_the_average_of_positives_moves_as_in_detectron2() -> None:
    trained = mistaken(detector())
    loss = trained.double().get_submodule("loss").train()
    assert isinstance(loss, RetinaNetLoss)
    where, place = "128x128/float64", Where(size=(128, 128), dtype="float64", mode="training")
    for step in ("", "second/"):
        ours, _ = answers(RECORDED, trained, (128, 128), "float64", weights=False)
        named = {f"{step}{name}": ours[name] for name in ("loss/loss_cls", "loss/loss_box_reg")}
        assert loss.positives is not None
        named[f"{step}normaliser"] = loss.positives.numpy()
        assert different(RECORDED.judge(where, name, value, place) for name, value in named.items()) == []
    assert loss.state_dict() == {}


@pytest.mark.parametrize(("where", "sides"), [("pictures", (800, 1333)), ("small", (160, 266))])
def test_pictures_become_and_show_what_they_do_in_detectron2(where: str, sides: tuple[int, int]) -> None:
    asked = mistaken(detector(), min_side=sides[0], max_side=sides[1])
    records = compare_pictures(RECORDED, where, asked, RECORDED.facts["pictures"], "float32")
    assert len(records) == (9 if where == "small" else 3)
    assert different(records) == []


def test_boxes_are_coded_as_in_detectron2() -> None:
    assert different(compare_coder(RECORDED, detector())) == []


def test_what_is_written_has_the_layout_of_the_zoos_file(tmp_path: Path) -> None:
    written, listed = layout_written("detectron2", "weights.pkl", tmp_path, to="detectron2")
    assert written == listed


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"stride_in": "3x3"}, "c3"),
        ({"anchor_order": "ratio_scale"}, "anchors"),
        ({"loss_normaliser": "batch"}, "loss/loss_box_reg"),
        ({"clip_boxes": True}, "raw_detections/0/boxes"),
    ],
)
def test_a_wrong_convention_is_named_where_it_starts(wrong: dict[str, Any], starts_at: str) -> None:
    records = compare_size(RECORDED, mistaken(detector(), **wrong), (160, 224), "float32", without=LATE)
    assert first_different(records) == starts_at


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"resize_library": "cv2"}, "60x90/fed"),
        ({"channel_order": "rgb"}, "60x90/fed"),
        ({"whole_pixels": "down"}, "120x77/fed"),
        ({"clip_detections": False}, "both/detections/0/boxes"),
    ],
)
def test_a_picture_that_is_treated_otherwise_is_found(wrong: dict[str, Any], starts_at: str) -> None:
    asked = mistaken(detector(), min_side=160, max_side=266, **wrong)
    records = compare_pictures(RECORDED, "small", asked, RECORDED.facts["pictures"], "float32")
    assert first_different(records) == starts_at
