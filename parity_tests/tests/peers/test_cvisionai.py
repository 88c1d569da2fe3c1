"""Files of cvisionai's keras_retinanet, loaded, against what it answered on tf-keras (recordings/cvisionai)."""

from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from parity_tests.peers.comparison import picture_of
from parity_tests.peers.hdf5 import describe
from parity_tests.peers.keras_comparison import KerasPeer, judged
from parity_tests.peers.keras_files import make_file
from parity_tests.peers.recorded import Recorded
from parity_tests.peers.relus import Unit, compare_gradients
from parity_tests.rule.record import Where
from parity_tests.tests.support.keras_peers import compare_edge, edge_detections, loaded_from
from parity_tests.tests.support.peer_units import ROWS_OF_UNITS, unit_rows
from parity_tests.tests.support.peers import LATE, RECORDINGS, different, first_different, mistaken
from torch_retinanet import RetinaNetConfig, RetinaNetDetector
from torch_retinanet.errors import InputError
from torch_retinanet.preprocess import prepare
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.published.cvisionai import cvisionai_name
from torch_retinanet.weights.published.fizyr import lettered
from torch_retinanet.weights.weights_file import plain_tensors

FOLDER = RECORDINGS / "cvisionai"

NOT_REPRODUCED = {
    "training mode": "the package keeps BatchNorm frozen, which is freeze(norm=True) and no convention",
    "losses in float64": "there the package cannot compute them; they are compared in float32",
    "mean_image": "a picture of one's own that is subtracted from all, which must have their size",
}
"""What is not compared, and why."""

ENLARGED = ("p3", "p4", "logits", "deltas", "scores", "boxes", "loss", "grad")
"""What comes after levels are enlarged, which TensorFlow does in float32 in a model of any precision."""

PEER = KerasPeer(
    recorded=Recorded(
        folder=FOLDER,
        losses={"classification": "class", "bbox_regression": "box"},
        their_name=lambda name: lettered(cvisionai_name(name)),
        channels_last=True,
        deviation=64.0,
        coarse=ENLARGED,
    )
)
IN_DOUBLE = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
"""The scales of anchors in double precision, which the package has where it makes targets."""

SIZES = [(128, 128), (100, 150), (97, 161)]
MORE = [(160, 224), (224, 160), (256, 192), (65, 130)]
TRAINED = [(128, 128), (100, 150), (256, 192)]
SWITCHED = {(128, 128): (Unit(15, (1, 21, 5, 10)),)}
"""The units of ReLUs that its runs in float32 had on the other side of 0."""

FORMATS = ("training.h5", "inference.h5", "weights.h5")


@cache
def detector(**changes: Any) -> RetinaNetDetector:
    return loaded_from(lambda folder: make_file(folder, FOLDER, "inference.h5"), **changes)


@pytest.mark.parametrize("size", [*SIZES, *(pytest.param(size, marks=pytest.mark.slow) for size in MORE)])
def test_a_loaded_detector_answers_as_the_package_does(size: tuple[int, int]) -> None:
    records = PEER.compare_size(detector(anchor_scales=IN_DOUBLE), size)
    assert len(records) >= 13
    assert different(records) == []


@pytest.mark.ci
@pytest.mark.parametrize("size", TRAINED)
def test_gradients_by_weights_are_those_of_the_package(size: tuple[int, int]) -> None:
    switched = SWITCHED.get(size, ())
    records = compare_gradients(PEER.recorded, detector(anchor_scales=IN_DOUBLE), size, switched=switched)
    assert len(records) == 12
    assert different(records) == []


@pytest.mark.slow
@pytest.mark.parametrize("size", SWITCHED)
def test_units_within_rounding_of_zero_move_them_by_what_the_page_says(size: tuple[int, int]) -> None:
    rows = unit_rows("cvisionai", PEER.recorded, detector(anchor_scales=IN_DOUBLE), size, SWITCHED[size])
    assert rows <= ROWS_OF_UNITS


@pytest.mark.parametrize("size", [*SIZES, pytest.param((256, 192), marks=pytest.mark.ci)])
def test_it_answers_and_detects_in_float32_as_the_package_does(size: tuple[int, int]) -> None:
    records = PEER.compare_size(detector(anchor_scales=IN_DOUBLE), size, "float32", without=LATE)
    assert sum(record.name.startswith("detections") for record in records) >= 3
    assert different(records) == []


@pytest.mark.parametrize("name", ["overlap_half", "equal_boxes", "outside", "none"])
def test_anchors_at_the_edges_of_rules_are_taken_as_the_package_takes_them(name: str) -> None:
    records = compare_edge(PEER, detector(), name, (100, 128))
    assert len(records) == 1
    assert different(records) == []


@pytest.mark.parametrize("limit", [12, 4])
def test_detections_at_the_edges_of_rules_are_those_of_the_package(limit: int) -> None:
    found = edge_detections(PEER, detector(detections_per_picture=limit))
    place = Where(dtype="float32", mode="isolated")
    assert different(PEER.compare_detections(f"edges/detections/{limit}", found, place)) == []


PICTURES = {"60x90": (60, 90), "120x77": (120, 77)}


@pytest.mark.parametrize("sides", [(100, 140), pytest.param((1080, 1920), marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_become_what_the_package_makes_of_them(sides: tuple[int, int], name: str) -> None:
    at, place = f"preprocessing/{sides[0]}/{sides[1]}/{name}", Where(dtype="float32", data="pictures")
    config, recorded = detector().config.changed(min_side=sides[0], max_side=sides[1]), PEER.recorded
    image = picture_of(name, PICTURES[name], recorded.seed, "float32").flip(0)  # it reads BGR
    batch = prepare([image], config)
    scales = np.array([height for height, _ in batch.scales])
    records = [recorded.judge(at, "pictures", batch.images.movedim(1, -1).numpy(), place)]
    records.append(judged("scales", recorded.arrays[f"{at}/scales"], scales, Where(dtype="float64")))
    assert different(records) == []


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_the_same_weights(name: str, tmp_path: Path) -> None:
    contents = read_weights(make_file(tmp_path, FOLDER, name))
    assert contents.config == RetinaNetConfig.cvisionai(num_classes=7)
    ours = plain_tensors(detector().model)
    assert all(torch.equal(tensor, ours[n].float()) for n, tensor in contents.tensors.items())


def test_what_is_written_has_the_layers_of_the_package(tmp_path: Path) -> None:
    theirs = make_file(tmp_path, FOLDER, "weights.h5")
    write_weights(tmp_path / "ours.h5", read_weights(theirs), to="cvisionai")
    described = [{n["dataset"]: n for n in describe(path, {})["nodes"] if "dataset" in n} for path in
                 (tmp_path / "ours.h5", theirs)]  # fmt: skip
    assert described[0] == {name: node for name, node in described[1].items() if "Variable" not in name}
    with h5py.File(theirs) as one, h5py.File(tmp_path / "ours.h5") as other:
        assert [n for n in other.attrs["layer_names"] if n in set(one.attrs["layer_names"])]
        assert set(other.attrs["layer_names"]) <= set(one.attrs["layer_names"])
        assert all(np.array_equal(one[name][()], other[name][()]) for name in described[0])


def test_a_file_that_lacks_a_layer_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = make_file(tmp_path, FOLDER, "weights.h5")
    with h5py.File(path, "a") as file:
        file["P4"].attrs.pop("weight_names")
    with pytest.raises(InputError, match="P4/kernel:0 is missing"):
        read_weights(path)


def test_a_file_of_fizyr_is_none_of_these_and_the_other_way_round(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds cvisionai's keras_retinanet, preset cvisionai, and not preset fizyr"):
        read_weights(make_file(tmp_path, FOLDER, "weights.h5"), preset="fizyr")
    with pytest.raises(
        InputError, match=r"holds .*\(fizyr\), preset fizyr, and not preset cvisionai|P5/kernel:0 has shape"
    ):
        read_weights(make_file(tmp_path, RECORDINGS / "fizyr", "weights.h5"), preset="cvisionai")


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"upsample": "nearest_to_size"}, "p3"),
        ({"box_sides": "edges"}, "targets/deltas"),
        ({"box_coding": "corner"}, "targets/deltas"),
    ],
)
def test_a_wrong_convention_is_named_where_it_starts(wrong: dict[str, Any], starts_at: str) -> None:
    records = PEER.compare_size(mistaken(detector(anchor_scales=IN_DOUBLE), **wrong), (128, 128))
    names = [record.name for record in records if record.verdict != "equal"]
    assert first_different(records) == starts_at, names
