"""Folders of KerasHub's RetinaNets, loaded, against what keras-hub itself answered (recordings/keras_hub)."""

import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch

from parity_tests.peers.comparison import picture_of
from parity_tests.peers.hdf5 import describe
from parity_tests.peers.keras_comparison import KerasPeer, judged
from parity_tests.peers.keras_files import layout_of, make_folder, named_in, weights_in
from parity_tests.peers.recorded import Recorded
from parity_tests.peers.relus import Unit, compare_gradients
from parity_tests.peers.values import noise
from parity_tests.rule.record import Where
from parity_tests.tests.support.keras_peers import compare_edge, edge_detections, loaded_from
from parity_tests.tests.support.peer_units import ROWS_OF_UNITS, unit_rows
from parity_tests.tests.support.peers import LATE, RECORDINGS, different, first_different, mistaken
from torch_retinanet import RetinaNetConfig, RetinaNetDetector
from torch_retinanet.errors import InputError
from torch_retinanet.model import RetinaNet
from torch_retinanet.preprocess import prepare
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.published.keras_hub import keras_hub_name
from torch_retinanet.weights.published.keras_hub_preset import prepared_otherwise, preset_files, read_preset
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

FOLDER = RECORDINGS / "keras_hub"
PRESETS = {"v1": "keras_hub", "v2": "keras_hub_v2"}
HEIGHT_FIRST = (1, 0, 3, 2)

COARSE = ("loss", "grad", "targets", "anchors")
"""keras-hub makes anchors, targets and the weights of both losses in float32, whatever Keras is set to."""

SWITCHED = {
    ("v1", (256, 192)): (Unit(68, (0, 135, 6, 3)),),
    ("v1", (122, 154)): (Unit(13, (0, 5, 14, 9)),),
    ("v2", (122, 154)): (
        Unit(13, (0, 5, 14, 9)),
        Unit(56, (0, 177, 11, 18)),
        Unit(62, (0, 203, 2, 5)),
        Unit(55, (0, 158, 9, 14)),
    ),
}
"""The units of ReLUs that its runs in float32 had on the other side of 0. Both flavours have the same backbone."""

PICTURES = {"60x90": (60, 90), "120x77": (120, 77)}
TRUTHS = torch.tensor([[8.0, 6.5, 40.25, 50.0], [30.0, 20.0, 75.0, 58.0]])
"""The boxes of both pictures."""

EDGES = ["overlap_half", "overlap_two_fifths", "equal_boxes", "none"]
QUICK = [("v1", 128, 128), ("v1", 122, 154), ("v2", 96, 160)]
MORE = [
    ("v1", 96, 160),
    ("v2", 122, 154),
    ("v2", 128, 128),
    *(("v1", *size) for size in ((160, 224), (224, 160), (256, 192))),
]
PLACE = Where(dtype="float32", mode="isolated")
TRAINED = [("v1", (128, 128)), ("v1", (122, 154)), ("v1", (256, 192)), ("v2", (128, 128)), ("v2", (122, 154))]


def peer(variant: str) -> KerasPeer:
    recorded = Recorded(
        folder=FOLDER,
        variant=variant,
        losses={"classification": "class", "bbox_regression": "box"},
        their_name=keras_hub_name,
        channels_last=True,
        coarse=COARSE,
    )
    return KerasPeer(recorded=recorded, edges=HEIGHT_FIRST, scores="confidence")


@cache
def detector(variant: str, **changes: Any) -> RetinaNetDetector:
    return loaded_from(lambda folder: make_folder(folder, FOLDER, variant), **changes)


@pytest.mark.parametrize(
    ("variant", "height", "width"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)]
)
def test_a_loaded_detector_answers_as_keras_hub_does(variant: str, height: int, width: int) -> None:
    records = peer(variant).compare_size(detector(variant), (height, width))
    assert len(records) >= 12
    assert different(records) == []


@pytest.mark.parametrize(("variant", "size"), [("v1", (128, 128)), ("v1", (122, 154)), ("v2", (96, 160))])
def test_it_answers_and_detects_in_float32_as_keras_hub_does(variant: str, size: tuple[int, int]) -> None:
    records = peer(variant).compare_size(detector(variant), size, "float32", without=LATE)
    assert sum(record.name.startswith("detections") for record in records) >= 3
    assert different(records) == []


@pytest.mark.ci
@pytest.mark.parametrize(("variant", "size"), TRAINED)
def test_gradients_by_weights_in_float32_are_those_of_keras_hub(variant: str, size: tuple[int, int]) -> None:
    switched = SWITCHED.get((variant, size), ())
    records = compare_gradients(peer(variant).recorded, detector(variant), size, switched=switched)
    assert len(records) == 11
    assert different(records) == []


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "size"), SWITCHED)
def test_units_within_rounding_of_zero_move_them_by_what_the_page_says(variant: str, size: tuple[int, int]) -> None:
    found = peer(variant).recorded
    rows = unit_rows(PRESETS[variant], found, detector(variant), size, SWITCHED[variant, size])
    assert rows <= ROWS_OF_UNITS


@pytest.mark.parametrize("name", EDGES)
def test_anchors_at_the_edges_of_rules_are_taken_as_keras_hub_takes_them(name: str) -> None:
    records = compare_edge(peer(""), detector("v1"), name, (128, 128))
    assert len(records) == 1
    assert different(records) == []


@pytest.mark.parametrize("limit", [12, 3])
def test_detections_at_the_edges_of_rules_are_those_of_keras_hub(limit: int) -> None:
    found = edge_detections(peer(""), detector("v1", detections_per_picture=limit))
    assert different(peer("").compare_detections(f"edges/detections/{limit}", found, PLACE)) == []


@pytest.mark.parametrize("side", [64, 800])
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_and_boxes_become_what_keras_hub_makes_of_them(side: int, name: str) -> None:
    recorded, at = peer("").recorded, f"preprocessing/{side}/{name}"
    config = RetinaNetConfig.keras_hub(min_side=side, max_side=side)
    batch = prepare([picture_of(name, PICTURES[name], recorded.seed, "float32")], config)
    records = [recorded.judge(at, "pictures", batch.images.movedim(1, -1).numpy(), PLACE)]
    [boxes] = batch.shifted([TRUTHS * batch.scales[0][0]])
    records.append(judged("boxes", recorded.arrays[f"{at}/boxes"], boxes[None, :, list(HEIGHT_FIRST)].numpy(), PLACE))
    [again] = batch.shifted([boxes], back=True)
    assert torch.allclose(again / batch.returns[0][0], TRUTHS)
    assert different(records) == []


@pytest.mark.parametrize("variant", PRESETS)
def test_a_training_pass_gives_keras_hubs_outputs_and_statistics(variant: str) -> None:
    fresh, found = loaded_from(lambda folder: make_folder(folder, FOLDER, variant)).double().train(), peer(variant)
    images = torch.from_numpy(noise("128x128", (2, 128, 128, 3), found.recorded.seed)).permute(0, 3, 1, 2).double()
    deltas, logits = fresh.model(images, apart=True)
    norm = fresh.model.fpn.backbone.bn1
    ours = {"conv1_bn/moving_mean": norm.running_mean, "conv1_bn/moving_variance": norm.running_var}
    ours |= {"logits": logits.detach(), "deltas": deltas.detach()}
    at, place = f"{variant}/train/float64", Where(dtype="float64", mode="training")
    assert different(found.recorded.judge(at, name, value.numpy(), place) for name, value in ours.items()) == []


@pytest.mark.parametrize("variant", PRESETS)
def test_what_is_written_has_the_layout_of_a_preset(variant: str, tmp_path: Path) -> None:
    contents = read_weights(make_folder(tmp_path, FOLDER, variant))
    assert contents.config == RetinaNetConfig.preset(PRESETS[variant], num_classes=7)
    write_weights(tmp_path / "ours", contents, to=PRESETS[variant])
    for name, layout in layout_of(FOLDER, variant)["files"].items():
        if name.endswith(".json"):
            written = json.loads((tmp_path / "ours" / name).read_text())
            assert {**written, "date_saved": ""} == {**layout, "date_saved": ""}
        else:
            ours = describe(tmp_path / "ours" / name, {})
            assert weights_in(ours) == weights_in(layout)
            assert named_in(ours) == named_in(layout)
    again = read_weights(tmp_path / "ours")
    assert all(torch.equal(tensor, again.tensors[n]) for n, tensor in contents.tensors.items())


def test_a_file_of_the_whole_detector_is_read_without_names_too(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, FOLDER, "v2")
    contents, path = read_weights(folder), tmp_path / "detector.weights.h5"
    with h5py.File(path, "w") as file:
        for part, within in (("model.weights.h5", "layers/retina_net_backbone/layers"), ("task.weights.h5", "layers")):
            with h5py.File(folder / part) as source:
                for name in source["layers"]:
                    source.copy(f"layers/{name}", file, f"{within}/{name}")
    named = named_in(describe(path, {}))
    with h5py.File(path, "a") as file:
        for variables in named:
            file[variables].attrs.pop("name")
    again = read_weights(path)
    assert again.config == contents.config
    assert all(torch.equal(tensor, again.tensors[n]) for n, tensor in contents.tensors.items())
    rewritten(folder / "task.json", lambda task: task["prediction_decoder"]["config"].update(confidence_threshold=0.25))
    archive = tmp_path / "detector.keras"
    with zipfile.ZipFile(archive, "w") as whole:
        whole.writestr("config.json", (folder / "task.json").read_text())
        whole.write(path, "model.weights.h5")
    again = read_weights(archive)
    assert again.config == contents.config.changed(score_threshold=0.25)
    assert all(torch.equal(tensor, again.tensors[n]) for n, tensor in contents.tensors.items())


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34"])
@pytest.mark.parametrize("preset", ["keras_hub", "keras_hub_v2", "fizyr"])
def test_a_network_that_the_package_cannot_have_is_not_written(preset: str, backbone: str, tmp_path: Path) -> None:
    config = RetinaNetConfig.preset(preset, num_classes=2, head_depth=1, backbone=backbone)
    with pytest.raises(InputError, match="resnet50, resnet101"):
        write_weights(tmp_path / "ours", WeightsFile(config, plain_tensors(RetinaNet(config))), to=preset)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    said = json.loads(path.read_text())
    change(said["config"])
    path.write_text(json.dumps(said))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "task.weights.h5").unlink(), "has no task.weights.h5"),
        (lambda folder: (folder / "task.json").write_text("{"), "task.json: is not what KerasHub writes"),
        (lambda folder: (folder / "model.weights.h5").write_bytes(b"HDF"), "not a whole HDF5 file"),
        (
            lambda folder: rewritten(folder / "task.json", lambda task: task.pop("anchor_generator")),
            "task.json: is not what KerasHub writes",
        ),
    ],
)
def test_a_damaged_folder_is_refused_in_a_sentence(damage: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path, FOLDER, "v1")
    damage(folder)
    with pytest.raises(InputError, match=said):
        read_weights(folder)


def test_a_preset_says_its_anchors_and_thresholds(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, FOLDER, "v1")
    rewritten(folder / "task.json", lambda task: task["anchor_generator"]["config"].update(anchor_size=2))
    rewritten(folder / "task.json", lambda task: task["prediction_decoder"]["config"].update(confidence_threshold=0.25))
    rewritten(folder / "preprocessor.json", converted(CROPPED))
    contents = read_weights(folder)
    assert contents.config == RetinaNetConfig.keras_hub(num_classes=7, anchor_scale=2.0, score_threshold=0.25)
    assert contents.origin.endswith(
        "; it prepares pictures with crop_to_aspect_ratio=True, pad_to_aspect_ratio=False; here they are padded to a "
        "square and resized by bilinear interpolation, and detections can differ"
    )


CROPPED = {"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": False}
"""KerasHub's own default, which its published presets do not have."""


def converted(changes: dict[str, Any]) -> Callable[[dict[str, Any]], object]:
    return lambda said: said["image_converter"]["config"].update(changes)


@pytest.mark.parametrize(
    ("changes", "fields", "said"),
    [
        ({}, {}, ""),
        ({"antialias": True}, {"resize_antialias": True}, ""),
        ({"image_size": [640, 640]}, {"min_side": 640, "max_side": 640}, ""),
        ({"image_size": [480, 640]}, {"min_side": 640, "max_side": 640}, "image_size=[480, 640]"),
        ({"image_size": None}, {"min_side": 800, "max_side": 800}, "image_size=None"),
        ({"interpolation": "nearest"}, {}, "interpolation='nearest'"),
        ({"scale": None, "offset": None}, {"pixel_mean": (0.0, 0.0, 0.0), "pixel_std": (1.0, 1.0, 1.0)}, ""),
        (CROPPED, {}, "crop_to_aspect_ratio=True, pad_to_aspect_ratio=False"),
    ],
)
def test_pictures_are_prepared_as_a_preset_says_or_it_is_said_how(
    changes: dict[str, Any], fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    files = preset_files(classes=7, blocks=(3, 4, 6, 3), depth=4, second=False, parameters=1)
    (tmp_path / "preprocessor.json").write_text(json.dumps(files["preprocessor.json"]))
    rewritten(tmp_path / "preprocessor.json", converted(changes))
    usual = RetinaNetConfig.keras_hub()
    assert usual.changed(**read_preset(tmp_path)) == usual.changed(**fields)
    assert prepared_otherwise(tmp_path).startswith(f"; it prepares pictures with {said}; here" if said else "")
    assert bool(prepared_otherwise(tmp_path)) == bool(said)


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"stride_in": "1x1"}, "c3"),
        ({"stride2_padding": "symmetric"}, "p6"),
        ({"anchor_centre": "half_cell"}, "anchors"),
        ({"class_loss_sum": "sum"}, "loss/class"),
    ],
)
def test_a_wrong_convention_is_named_where_it_starts(wrong: dict[str, Any], starts_at: str) -> None:
    records = peer("v1").compare_size(mistaken(detector("v1"), **wrong), (128, 128), without=LATE)
    assert first_different(records) == starts_at
