"""Files of MMDetection's RetinaNets, loaded, against what MMDetection itself answered (recordings/mmdet)."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from parity_tests.peers.comparison import compare_coder, compare_detections, compare_pictures, compare_size, inputs
from parity_tests.peers.files import make
from parity_tests.peers.recorded import Recorded
from parity_tests.peers.relus import Unit, compare_gradients
from parity_tests.rule.record import Where
from parity_tests.tests.support.peer_units import ROWS_OF_UNITS, unit_rows
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
from torch_retinanet.weights import read_weights
from torch_retinanet.weights.published.mmdet import mmdet_name

COARSE = ("anchors", "loss/loss_bbox", "detections")
"""Its anchors are made in float32, whatever its model has, and so is what follows from them."""

NOT_REPRODUCED = {
    "padded/*/loss": "anchors outside a picture's own padding have no part in its loss: pictures of a batch are "
    "padded together here, and their anchors beyond are background",
    "a box that no anchor touches": "with min_pos_iou=0 it takes all anchors that it does not touch; here it has none",
}

PRESETS = {"pytorch": "mmdet", "caffe": "mmdet_caffe"}
SCALE = {"pytorch": 1.0, "caffe": 64.0}
SWITCHED = {"pytorch": (Unit(56, (0, 122, 12, 8)),), "caffe": ()}
"""The units of ReLUs that its runs in float32 at 128x128 had on the other side of 0."""

NAMES = tuple(f"kind {number}" for number in range(7))


def recorded(style: str) -> Recorded:
    return Recorded(
        folder=RECORDINGS / "mmdet",
        variant=style,
        losses={"classification": "loss_cls", "bbox_regression": "loss_bbox"},
        their_name=mmdet_name,
        deviation=SCALE[style],
        coarse=COARSE,
    )


@cache
def detector(style: str) -> RetinaNetDetector:
    return loaded("mmdet", f"weights_{style}.pth", preset=PRESETS[style])


SIZES = [("pytorch", 128, 128, "float64"), ("pytorch", 97, 161, "float64"), ("caffe", 97, 161, "float64")]
MORE = [("pytorch", 160, 224, "float64"), ("caffe", 128, 128, "float64"), ("caffe", 160, 224, "float64")]
MORE += [("pytorch", 128, 128, "float32"), ("caffe", 128, 128, "float32")]


@pytest.mark.parametrize(
    ("style", "height", "width", "dtype"), [*SIZES, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)]
)
def test_a_loaded_detector_answers_as_mmdetection_does(style: str, height: int, width: int, dtype: str) -> None:
    without = LATE if dtype == "float32" else ()
    records = compare_size(recorded(style), detector(style), (height, width), dtype, without=without)
    assert len(records) >= 22
    assert different(records) == []


@pytest.mark.ci
@pytest.mark.parametrize("style", PRESETS)
def test_gradients_by_weights_in_float32_are_those_of_mmdetection(style: str) -> None:
    records = compare_gradients(recorded(style), detector(style), (128, 128), switched=SWITCHED[style])
    assert len(records) == {"pytorch": 8, "caffe": 7}[style]
    assert different(records) == []


@pytest.mark.slow
def test_one_unit_of_a_relu_within_rounding_of_zero_moves_them_by_what_the_page_says() -> None:
    rows = unit_rows("mmdet", recorded("pytorch"), detector("pytorch"), (128, 128), SWITCHED["pytorch"])
    assert rows <= ROWS_OF_UNITS


@pytest.mark.ci
def test_a_unit_that_is_not_within_rounding_of_zero_is_not_excused() -> None:
    with pytest.raises(ValueError, match=r"relu=0.*: its input is .*, and in float32 off by .* at most; leave it out"):
        compare_gradients(recorded("pytorch"), detector("pytorch"), (128, 128), switched=[Unit(0, (0, 0, 0, 0))])


@pytest.mark.parametrize("style", PRESETS)
@pytest.mark.parametrize(("where", "sides"), [("pictures", (800, 1333)), ("small", (160, 266))])
def test_pictures_become_and_show_what_they_do_in_mmdetection(style: str, where: str, sides: tuple[int, int]) -> None:
    found, asked = recorded(style), mistaken(detector(style), min_side=sides[0], max_side=sides[1])
    records = compare_pictures(found, where, asked, found.facts["pictures"], "float32")
    assert len(records) == (9 if where == "small" else 3)
    assert different(records) == []


def test_a_smaller_picture_in_a_batch_shows_what_it_does_in_mmdetection() -> None:
    found, loaded_one = recorded("pytorch"), detector("pytorch").double()
    images = inputs(found, (128, 128), "float64")
    with torch.no_grad():
        deltas, logits = loaded_one.model(images, apart=True)
    anchors = loaded_one.anchors.get_anchors(128, 128, dtype=images.dtype)
    per_level = loaded_one.anchors.anchors_per_level(128, 128)
    ours = loaded_one.decode_predictions(logits, deltas, anchors, per_level, [(128, 128), (97, 60)])
    place = Where(size=(128, 128), dtype="float64", mode="cascaded")
    records = compare_detections(found, "pytorch/padded/float64", "detections", ours, place)
    assert len(records) == 6
    assert different(records) == []


def test_boxes_are_coded_as_in_mmdetection() -> None:
    records = compare_coder(recorded("pytorch"), detector("pytorch"))
    assert sorted(record.name for record in records) == ["clipped", "decoded", "encoded"]
    assert different(records) == []


def test_a_file_says_its_classes_and_is_taken_for_pytorch_style(tmp_path: Path) -> None:
    path = make(tmp_path, RECORDINGS / "mmdet", "weights_caffe.pth")
    found = read_weights(path)
    assert (found.config.name, found.class_names) == ("mmdet", NAMES)
    assert "does not say Caffe style" in found.origin
    assert read_weights(path, preset="mmdet_caffe").config.differences(detector("caffe").config) == []
    held = torch.load(path, weights_only=True)
    held["meta"]["cfg"] = "model = dict(backbone=dict(depth=50, style='caffe'))"
    torch.save(held, path)
    assert read_weights(path).config.name == "mmdet_caffe"


@pytest.mark.parametrize("style", PRESETS)
def test_what_is_written_has_the_layout_of_mmdetections_file(style: str, tmp_path: Path) -> None:
    file, to = f"weights_{style}.pth", PRESETS[style]
    written, listed = layout_written("mmdet", file, tmp_path, to=to, entries="state_dict")
    assert written == listed
    assert read_weights(tmp_path / "ours.pth").class_names == NAMES


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"stride_in": "1x1"}, "c3"),
        ({"p7_relu": "before"}, "p7"),
        ({"force_match": False}, "positives"),
        ({"loss_normaliser": "batch"}, "loss/loss_bbox"),
        ({"empty_boxes": "kept"}, "detections/0/boxes"),
    ],
)
def test_a_wrong_convention_is_named_where_it_starts(wrong: dict[str, Any], starts_at: str) -> None:
    size = (128, 128) if "force_match" in wrong else (97, 161)
    records = compare_size(recorded("pytorch"), mistaken(detector("pytorch"), **wrong), size, without=LATE)
    assert first_different(records) == starts_at


@pytest.mark.ci
@pytest.mark.planted
def test_a_wrong_gradient_is_found_where_relus_are_held() -> None:
    asked = mistaken(detector("caffe"), loss_normaliser="batch")
    records = compare_gradients(recorded("caffe"), asked, (128, 128))
    assert {record.verdict for record in records} == {"different"}


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [({"resize_library": "pil"}, "60x90/fed"), ({"whole_pixels": "down"}, "120x77"), ({"nms_iou": 0.6}, "both")],
)
def test_a_picture_that_is_treated_otherwise_is_found(wrong: dict[str, Any], starts_at: str) -> None:
    found, asked = recorded("pytorch"), mistaken(detector("pytorch"), min_side=160, max_side=266, **wrong)
    records = compare_pictures(found, "small", asked, found.facts["pictures"], "float32")
    assert first_different(records).startswith(starts_at)
