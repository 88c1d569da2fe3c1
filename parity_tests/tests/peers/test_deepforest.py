"""A folder and a checkpoint of DeepForest, loaded, against what DeepForest itself answered (recordings/deepforest)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from parity_tests.peers.comparison import compare_detections, compare_size, picture_of
from parity_tests.peers.files import layout_of, make
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
from torch_retinanet.weights import read_weights
from torch_retinanet.weights.published.torchvision import torchvision_name

FILES = {"hub": "hub", "checkpoint": "weights.ckpt"}
NAMES = tuple(f"kind {number}" for number in range(7))

NOT_REPRODUCED = {
    "predict_image": "it drops overlapping boxes once more, of all classes together, after the model has",
}


QUICK = [("hub", 128, 128, "float64"), ("checkpoint", 97, 161, "float64")]
MORE = [("hub", 97, 161, "float64"), ("checkpoint", 128, 128, "float64")]
MORE += [("hub", 128, 128, "float32"), ("checkpoint", 128, 128, "float32")]


def recorded(variant: str) -> Recorded:
    return Recorded(folder=RECORDINGS / "deepforest", variant=variant, their_name=torchvision_name)


@cache
def detector(variant: str) -> RetinaNetDetector:
    return loaded("deepforest", FILES[variant])


@pytest.mark.parametrize(
    ("variant", "height", "width", "dtype"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)]
)
def test_a_loaded_detector_answers_as_deepforest_does(variant: str, height: int, width: int, dtype: str) -> None:
    records = compare_size(recorded(variant), detector(variant), (height, width), dtype)
    assert len(records) >= 22
    assert different(records) == []


@pytest.mark.parametrize("variant", FILES)
def test_files_say_their_classes_thresholds_and_eps(variant: str) -> None:
    found = detector(variant)
    assert found.class_names == NAMES
    assert (found.config.score_threshold, found.config.nms_iou) == (0.1, 0.05)
    assert found.config.bn_eps == recorded(variant).facts["eps"][variant]


@pytest.mark.parametrize("variant", FILES)
def test_a_picture_shows_what_it_does_in_deepforest(variant: str) -> None:
    found = recorded(variant)
    image = picture_of("60x90", found.facts["picture"], found.seed, "float32")
    with torch.no_grad():
        ours = detector(variant).float()([image])
    at = found.path("picture")
    arrays = {name: value for name, value in found.arrays.items() if name.startswith(f"{at}/model/")}
    found.arrays.update({name.replace("/model/", "/model/0/"): value for name, value in arrays.items()})
    found.facts["shapes"].update({name.replace("/model/", "/model/0/"): value.shape for name, value in arrays.items()})
    records = compare_detections(found, at, "model", ours, Where(data="pictures", dtype="float32", mode="cascaded"))
    assert different(records) == []


def test_thresholds_and_names_come_from_the_folder(tmp_path: Path) -> None:
    folder = make(tmp_path, RECORDINGS / "deepforest", "hub")
    labels = {name: number for number, name in enumerate("gfedcba")}
    settings = {"label_dict": labels, "nms_thresh": 0.2, "num_classes": 7, "score_thresh": 0.3}
    (folder / "config.json").write_text(json.dumps(settings))
    found = read_weights(folder)
    assert (found.class_names, found.config.nms_iou, found.config.score_threshold) == (tuple("gfedcba"), 0.2, 0.3)
    assert found.assumed == ("bn_eps",)
    assert "BatchNorm's eps: 1e-05 is assumed" in found.origin
    (folder / "config.json").unlink()
    assert read_weights(folder).config.name == "torchvision"


def test_what_is_written_has_the_layout_of_a_checkpoint(tmp_path: Path) -> None:
    written, listed = layout_written("deepforest", "weights.ckpt", tmp_path, to="deepforest", entries="state_dict")
    assert written == listed
    beside, theirs = torch.load(tmp_path / "ours.ckpt", weights_only=True), layout_of(RECORDINGS / "deepforest")
    for key in ("pytorch-lightning_version", "label_dict"):  # Lightning reads no file without the first
        assert beside[key] == theirs["weights.ckpt"]["keys"][key]
    again = read_weights(tmp_path / "ours.ckpt")
    assert (again.class_names, again.config.bn_eps, again.assumed) == (NAMES, 0.0, ())


@pytest.mark.planted
@pytest.mark.parametrize(("wrong", "starts_at"), [({"bn_eps": 1e-5}, "c3"), ({"nms_iou": 0.06}, "detections/")])
def test_a_wrong_convention_is_named_where_it_starts(wrong: dict[str, Any], starts_at: str) -> None:
    records = compare_size(recorded("checkpoint"), mistaken(detector("checkpoint"), **wrong), (97, 161), without=LATE)
    assert first_different(records).startswith(starts_at)
