"""Files of MONAI's RetinaNet detector, loaded, against what MONAI itself answered (recordings/monai)."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from parity_tests.peers.comparison import compare_coder, compare_pictures, compare_size
from parity_tests.peers.recorded import Recorded
from parity_tests.tests.support.peers import (
    RECORDINGS,
    different,
    first_different,
    layout_written,
    loaded,
    mistaken,
)
from torch_retinanet import InputError, RetinaNet, RetinaNetConfig, RetinaNetDetector
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.published.monai import monai_name
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

COARSE = ("decoded", "detections", "both/detections")
"""Scores and decoded boxes are float32, whatever its model has."""

COARSE_LOSSES = ("loss/", "grad_")
"""So are its focal loss and its GIoU."""

NOT_REPRODUCED = {
    "set_hard_negative_sampler": "its training example learns from anchors that are drawn at random; here from all",
    "returned_layers": "files with (2, 3, 4) alone are read, on pictures; the default, (1, 2, 3), has no layer 4",
    "AnchorGenerator sizes": "each level may have sizes of its own; here all have the same multiples of one size",
    "fresh biases of shortcuts": "they are drawn at random; here they begin with zero",
}

PRESETS = {"detector": "monai", "p6p7": "monai"}

SETTINGS: dict[str, dict[str, Any]] = {
    "atss": {},
    "regular": {"matching": "iou"},
    "focal_giou": {"focal_gamma": 2.0, "box_loss": "giou"},
}
"""What the settings that were recorded change in the preset."""


def recorded(variant: str) -> Recorded:
    return Recorded(
        folder=RECORDINGS / "monai",
        variant=variant,
        losses={"classification": "classification", "bbox_regression": "box_regression"},
        their_name=monai_name,
        rows_first=True,
        coarse=COARSE_LOSSES if variant.endswith("focal_giou") else COARSE,
    )


@cache
def detector(variant: str) -> RetinaNetDetector:
    return loaded("monai", f"weights_{variant}.pt")


def slow(*case: Any) -> Any:
    return pytest.param(*case, marks=pytest.mark.slow)


SIZES = [("detector", 97, 161, "float64"), ("detector", 128, 128, "float32"), ("p6p7", 97, 161, "float64")]
MORE = [("detector", 128, 128, "float64"), ("detector", 97, 161, "float32"), ("p6p7", 128, 128, "float32")]
MORE += [(variant, *size, "float64") for variant in PRESETS for size in ((160, 224), (224, 160))]


@pytest.mark.parametrize(("variant", "height", "width", "dtype"), [*SIZES, *(slow(*case) for case in MORE)])
def test_a_loaded_detector_answers_as_monai_does(variant: str, height: int, width: int, dtype: str) -> None:
    records = compare_size(recorded(variant), detector(variant), (height, width), dtype)
    assert len(records) >= 13
    assert different(records) == []


LEARNT = [("atss", 128, 128, "float64"), ("regular", 97, 161, "float64"), ("focal_giou", 97, 161, "float64")]
ALSO = [("atss", 97, 161, "float64"), ("atss", 128, 128, "float32"), ("regular", 128, 128, "float64")]
ALSO += [("focal_giou", 128, 128, "float32"), ("atss", 160, 224, "float64"), ("regular", 224, 160, "float64")]


@pytest.mark.parametrize(("setting", "height", "width", "dtype"), [*LEARNT, *(slow(*case) for case in ALSO)])
def test_it_learns_what_it_does_in_monai(setting: str, height: int, width: int, dtype: str) -> None:
    found, asked = recorded(f"detector/{setting}"), mistaken(detector("detector"), **SETTINGS[setting])
    records = compare_size(found, asked, (height, width), dtype)
    assert len(records) == (14 if (setting, height) == ("atss", 128) else 8)
    assert different(records) == []


@pytest.mark.slow
def test_a_pyramid_with_p7_learns_what_it_does_in_monai() -> None:
    records = compare_size(recorded("p6p7/atss"), detector("p6p7"), (128, 128))
    assert len(records) == 15
    assert different(records) == []


@pytest.mark.parametrize("dtype", ["float64", slow("float32")])
def test_pictures_become_and_show_what_they_do_in_monai(dtype: str) -> None:
    found = recorded("detector")
    records = compare_pictures(found, f"pictures/{dtype}", detector("detector"), found.facts["pictures"], dtype)
    assert len(records) == 9
    assert different(records) == []


def test_boxes_are_coded_as_in_monai() -> None:
    records = compare_coder(recorded("detector"), detector("detector"))
    assert sorted(record.name for record in records) == ["decoded", "encoded"]
    assert different(records) == []


@pytest.mark.parametrize("variant", ["detector", slow("p6p7")])
def test_what_is_written_has_the_layout_of_monais_file(variant: str, tmp_path: Path) -> None:
    written, listed = layout_written("monai", f"weights_{variant}.pt", tmp_path, to="monai")
    assert written == listed
    assert read_weights(tmp_path / "ours.pt").config == detector(variant).config


def small(path: Path, **changes: Any) -> RetinaNetConfig:
    """Writes a narrow network on ResNet-18 as MONAI does, and gives its config."""
    sizes: dict[str, Any] = {"num_classes": 2, "width": 32, "head_depth": 1, "backbone": "resnet18"}
    config = RetinaNetConfig.monai(**sizes, **changes)
    with torch.random.fork_rng(devices=[]):
        write_weights(path, WeightsFile(config, plain_tensors(RetinaNet(config))), to="monai")
    return config


def changed(path: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Path:
    """Its file, which then holds another state dict."""
    torch.save(change(torch.load(path, weights_only=True)), path)
    return path


def test_channels_and_levels_are_told_by_the_tensors_of_a_file(tmp_path: Path) -> None:
    of_scans = {"in_channels": 1, "pixel_mean": (0.0,), "pixel_std": (255.0,)}
    for levels in ({}, {"max_level": 7, "p6_layer": "conv"}, {"max_level": 7, "p6_layer": "conv", "p6_source": "c5"}):
        config = small(tmp_path / "model.pt", **of_scans, **levels)
        assert read_weights(tmp_path / "model.pt").config == config


def test_the_state_dict_of_the_whole_detector_is_read_too(tmp_path: Path) -> None:
    config = small(tmp_path / "model.pt")
    path = changed(tmp_path / "model.pt", lambda state: {f"network.{name}": tensor for name, tensor in state.items()})
    assert read_weights(path).config == config


STEM, LAST = "feature_extractor.body.conv1.weight", "regression_head.bbox_reg.weight"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda s: s | {STEM: s[STEM][..., None]}, "holds MONAI's detector of volumes, and preset monai is that of"),
        (lambda s: {n: t for n, t in s.items() if "layer4" not in n}, "it must have returned_layers=(2, 3, 4)"),
        (lambda s: s | {LAST: s[LAST][:12]}, LAST),
    ],
)
def test_another_network_of_monai_is_refused(change: Any, sentence: str, tmp_path: Path) -> None:
    small(tmp_path / "model.pt")
    path = changed(tmp_path / "model.pt", change)
    with pytest.raises(InputError) as refused:
        read_weights(path)
    assert str(refused.value).startswith(str(path))
    assert sentence in str(refused.value)


def test_levels_that_monai_does_not_have_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be brought into preset monai.*since max_level is 5, and there 6"):
        small(tmp_path / "model.pt", max_level=5)
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"gn_groups": 32}, "logits"),
        ({"anchor_centre": "half_cell"}, "anchors"),
        ({"delta_axes": "xy"}, "detections/0/boxes"),
    ],
)
def test_a_wrong_convention_is_named_where_it_starts(wrong: dict[str, Any], starts_at: str) -> None:
    records = compare_size(recorded("detector"), mistaken(detector("detector"), **wrong), (97, 161))
    assert first_different(records) == starts_at


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"matching": "iou"}, "positives"),
        ({"delta_axes": "xy"}, "loss/box_regression"),
        ({"focal_gamma": 2.0}, "loss/classification"),
        ({"loss_normaliser": "batch"}, "loss/classification"),
    ],
)
def test_what_is_learnt_otherwise_is_named_where_it_starts(wrong: dict[str, Any], starts_at: str) -> None:
    records = compare_size(recorded("detector/atss"), mistaken(detector("detector"), **wrong), (97, 161))
    assert first_different(records) == starts_at


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"min_side": 60}, "120x77/fed"),
        ({"pad_multiple": 32}, "60x90/fed"),
        ({"empty_boxes": "dropped"}, "both/detections"),
    ],
)
def test_a_picture_that_is_treated_otherwise_is_found(wrong: dict[str, Any], starts_at: str) -> None:
    found, asked = recorded("detector"), mistaken(detector("detector"), **wrong)
    records = compare_pictures(found, "pictures/float32", asked, found.facts["pictures"], "float32")
    assert first_different(records).startswith(starts_at)
