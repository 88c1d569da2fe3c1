"""Files of torchvision's RetinaNets, loaded, against what torchvision itself answered (recordings/torchvision)."""

from functools import cache
from pathlib import Path

import pytest

from parity_tests.peers.comparison import compare_coder, compare_pictures, compare_size, compare_training
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
from torch_retinanet.weights.published.torchvision import torchvision_name

FOLDER = RECORDINGS / "torchvision"

COARSE = ("both/detections",)
"""torchvision divides boxes by ratios of sides in float32 on their way back to a picture, whatever the model has."""

PRESETS = {"v1": "torchvision", "v2": "torchvision_v2"}
RENAMED = {"coco": "retinanet_resnet50_fpn_coco-eeacb38b.pth"}
"""The published file is known by its name, and has an eps of 0."""

QUICK = [("v1", 128, 128, "float64"), ("coco", 97, 161, "float64"), ("v2", 97, 161, "float64")]
MORE = [(variant, *size, "float64") for variant in PRESETS for size in ((224, 160), (256, 192), (100, 150))]
MORE += [("v1", 97, 161, "float64"), ("v1", 160, 224, "float64"), ("v2", 128, 128, "float64")]
MORE += [("v2", 160, 224, "float64"), ("coco", 128, 128, "float64")]
MORE += [(variant, *size, "float32") for variant in ("v1", "coco", "v2") for size in ((128, 128), (97, 161))]


def recorded(variant: str) -> Recorded:
    return Recorded(folder=FOLDER, variant=variant, their_name=torchvision_name, coarse=COARSE)


@cache
def detector(variant: str) -> RetinaNetDetector:
    sides = {"min_side": 160, "max_side": 266}
    return loaded("torchvision", f"weights_{variant}.pth", renamed=RENAMED.get(variant, ""), **sides)


@pytest.mark.parametrize(
    ("variant", "height", "width", "dtype"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)]
)
def test_a_loaded_detector_answers_as_torchvision_does(variant: str, height: int, width: int, dtype: str) -> None:
    records = compare_size(recorded(variant), detector(variant), (height, width), dtype)
    assert len(records) >= 22
    assert different(records) == []


@pytest.mark.parametrize("variant", ["v1", pytest.param("coco", marks=pytest.mark.slow), "v2"])
@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_pictures_become_and_show_what_they_do_in_torchvision(variant: str, dtype: str) -> None:
    found = recorded(variant)
    records = compare_pictures(found, f"pictures/{dtype}", detector(variant), found.facts["pictures"], dtype)
    assert len(records) == 9
    assert different(records) == []


def test_boxes_are_coded_as_torchvision_does() -> None:
    assert different(compare_coder(recorded("v1"), detector("v1"))) == []


def test_a_training_pass_gives_torchvisions_losses_and_statistics() -> None:
    norms = {"bn1": "fpn.backbone.bn1", "layer4.2.bn3": "fpn.backbone.layer4.2.bn3"}
    fresh = loaded("torchvision", "weights_v2.pth")
    records = compare_training(recorded("v2"), "training/float64", fresh, (128, 128), norms)
    assert len(records) == 6
    assert different(records) == []


@pytest.mark.parametrize("variant", PRESETS)
def test_what_is_written_has_the_layout_of_torchvisions_file(variant: str, tmp_path: Path) -> None:
    written, listed = layout_written("torchvision", f"weights_{variant}.pth", tmp_path, to=PRESETS[variant])
    assert written == listed


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [({"stride_in": "1x1"}, "c3"), ({"p7_relu": "none"}, "p7"), ({"anchor_rounding": "none"}, "anchors")],
)
def test_a_wrong_convention_is_named_where_it_starts(wrong: dict[str, str], starts_at: str) -> None:
    records = compare_size(recorded("v1"), mistaken(detector("v1"), **wrong), (128, 128), without=LATE)
    assert first_different(records) == starts_at
