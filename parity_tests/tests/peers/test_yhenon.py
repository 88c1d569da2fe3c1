"""A file of yhenon's pytorch-retinanet, loaded, against what it answered itself (recordings/yhenon)."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from parity_tests.peers.comparison import compare_coder, compare_pictures, compare_size
from parity_tests.peers.recorded import Recorded
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
from torch_retinanet.weights.published.yhenon import yhenon_name

COARSE = ("loss/regression", "grad_deltas_positive", "grad_sum/", "detections", "decoded", "clipped")
"""Its anchors, and the 0.1 and 0.2 of its box coding, are float32 whatever its model has."""

NOT_REPRODUCED = {
    "pictures/*/detections order": "it has no order beside that of classes; ours are best first",
    "a picture made smaller by far": "skimage smooths it with a Gaussian; a picture at 0.8 of its size, as recorded, "
    "comes out the same",
}

LOSSES = {"classification": "classification", "bbox_regression": "regression"}
RECORDED = Recorded(folder=RECORDINGS / "yhenon", losses=LOSSES, their_name=yhenon_name, coarse=COARSE)
PICTURES = RECORDED.facts["pictures"]
QUICK = [(128, 128, "float64"), (96, 160, "float64")]
MORE = [(160, 224, "float64"), (224, 160, "float64"), (256, 192, "float64"), (96, 160, "float32")]
MORE += [(128, 128, "float32")]


@cache
def detector() -> RetinaNetDetector:
    return loaded("yhenon", "weights.pt")


@pytest.mark.parametrize(
    ("height", "width", "dtype"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)]
)
def test_a_loaded_detector_answers_as_the_original(height: int, width: int, dtype: str) -> None:
    records = compare_size(RECORDED, detector(), (height, width), dtype)
    assert len(records) >= 22
    assert different(records) == []


def test_pictures_become_what_they_do_in_the_original() -> None:
    records = compare_pictures(RECORDED, "pictures", detector(), PICTURES, "float32")
    assert [record.name for record in records] == [f"{name}/fed" for name in PICTURES]
    assert different(records) == []


def test_boxes_are_decoded_and_clipped_as_in_the_original() -> None:
    records = compare_coder(RECORDED, detector(), spread=12.0)
    assert sorted(record.name for record in records) == ["clipped", "decoded"]
    assert different(records) == []


def test_what_is_written_has_the_layout_of_the_originals_file(tmp_path: Path) -> None:
    written, listed = layout_written("yhenon", "weights.pt", tmp_path, to="yhenon")
    assert written == listed


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"p7_relu": "none"}, "p7"),
        ({"anchor_centre": "corner"}, "anchors"),
        ({"force_match": True}, "positives"),
        ({"probability_margin": 0.01}, "loss/classification"),
        ({"smooth_l1_beta": 1.0}, "loss/regression"),
        ({"box_loss_sum": "sum"}, "loss/regression"),
        ({"clip_edges": "all"}, "clipped"),
    ],
)
def test_a_wrong_convention_is_named_where_it_starts(wrong: dict[str, Any], starts_at: str) -> None:
    other = mistaken(detector(), **wrong)
    records = compare_coder(RECORDED, other, spread=12.0) if "clip_edges" in wrong else []
    assert first_different(records or compare_size(RECORDED, other, (128, 128), without=LATE)) == starts_at


@pytest.mark.planted
@pytest.mark.parametrize("wrong", [{"pad_always": False}, {"whole_pixels": "down"}, {"resize_edges": "repeat"}])
def test_a_picture_that_is_fed_otherwise_is_found(wrong: dict[str, Any]) -> None:
    records = compare_pictures(RECORDED, "pictures", mistaken(detector(), **wrong), PICTURES, "float32")
    assert first_different(records).endswith("/fed")
