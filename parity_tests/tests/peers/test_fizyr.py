"""Files of fizyr's keras-retinanet, loaded, against what keras-retinanet itself answered (recordings/fizyr)."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from parity_tests.peers.border import States, at_border, compare_states, state_of
from parity_tests.peers.comparison import picture_of, truths
from parity_tests.peers.hdf5 import describe
from parity_tests.peers.keras_comparison import KerasPeer, judged
from parity_tests.peers.keras_files import layout_of, make_file, make_snapshot
from parity_tests.peers.recorded import Recorded
from parity_tests.peers.relus import compare_gradients
from parity_tests.rule.budgets import ISOLATED
from parity_tests.rule.record import Where
from parity_tests.tests.support.keras_peers import compare_edge, edge_detections, loaded_from
from parity_tests.tests.support.peers import LATE, RECORDINGS, different, first_different, mistaken
from torch_retinanet import RetinaNetConfig, RetinaNetDetector
from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.errors import InputError
from torch_retinanet.losses import RetinaNetLoss
from torch_retinanet.preprocess import prepare
from torch_retinanet.targets import LabelEncoder
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.published.fizyr import fizyr_name, lettered
from torch_retinanet.weights.weights_file import WeightsFile, expected_shapes, plain_tensors

FOLDER = RECORDINGS / "fizyr"

NOT_REPRODUCED = {
    "preprocessing/*/subtracted_first": "the mean subtracted before cv2 resizes real numbers, in an order of one's own",
    "training mode": "the package keeps BatchNorm frozen, which is freeze(norm=True) and no convention",
}
"""What is not compared, and why."""

PEER = KerasPeer(
    recorded=Recorded(
        folder=FOLDER,
        losses={"classification": "class", "bbox_regression": "box"},
        their_name=lambda name: lettered(fizyr_name(name)),
        channels_last=True,
        deviation=64.0,
    )
)
IN_DOUBLE = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
"""The scales of anchors in double precision, which keras-retinanet has where Keras is set to float64."""

EDGES = {"clip_boxes": False}
"""The layer that filters detections is recorded by itself."""

SIZES = [(128, 128), (100, 150), (97, 161)]
MORE = [(160, 224), (224, 160), (256, 192), (65, 130)]
TRAINED = [(128, 128), (100, 150), (256, 192)]
FORMATS = ("training.h5", "inference.h5", "weights.h5")


@cache
def detector(**changes: Any) -> RetinaNetDetector:
    return loaded_from(lambda folder: make_file(folder, FOLDER, "training.h5"), **changes)


@pytest.mark.parametrize("size", [*SIZES, *(pytest.param(size, marks=pytest.mark.slow) for size in MORE)])
def test_a_loaded_detector_answers_as_keras_retinanet_does(size: tuple[int, int]) -> None:
    records = PEER.compare_size(detector(anchor_scales=IN_DOUBLE), size)
    assert len(records) >= 15
    assert different(records) == []


@pytest.mark.parametrize("size", [*SIZES, pytest.param((256, 192), marks=pytest.mark.ci)])
def test_it_answers_and_detects_in_float32_as_keras_retinanet_does(size: tuple[int, int]) -> None:
    records = PEER.compare_size(detector(), size, "float32", without=LATE)
    assert sum(record.name.startswith("detections") for record in records) >= 3
    assert different(records) == []


@pytest.mark.ci
@pytest.mark.parametrize("size", TRAINED)
def test_gradients_by_weights_in_float32_are_those_of_keras_retinanet(size: tuple[int, int]) -> None:
    records = compare_gradients(PEER.recorded, detector(), size)
    assert len(records) == 12
    assert different(records) == []


def gradient_as_in_keras(logits: Tensor) -> Tensor:
    """The gradient (N,K) of background's focal loss in the operations of Keras 2 `binary_crossentropy` and fizyr."""
    p = (logits := logits.clone().requires_grad_()).sigmoid()
    crossentropy = -(1 - p.clamp(1e-7, 1 - 1e-7) + 1e-7).log()
    [gradient] = torch.autograd.grad((0.75 * p**2 * crossentropy).sum(), [logits])
    return gradient


def test_gradients_of_sure_background_are_rounded_as_in_keras() -> None:
    logits, background = torch.linspace(-14, -6, 801).reshape(-1, 1), torch.full((801,), -1)
    given = logits.clone().requires_grad_()
    loss = RetinaNetLoss(RetinaNetConfig.fizyr()).classification
    [ours] = torch.autograd.grad(loss(given, background).sum(), [given])
    theirs, exact = gradient_as_in_keras(logits), gradient_as_in_keras(logits.double())
    assert ((ours - theirs) / exact).abs().max() < ISOLATED * torch.finfo(torch.float32).eps
    assert ((theirs - exact) / exact).abs().max() > 1e-3  # what another order of operations may differ by


def states_in_float32(size: tuple[int, int]) -> tuple[States, States, Tensor]:
    """Recorded states, ours, and our anchors."""
    anchors, known = detector().anchors.get_anchors(*size), truths(PEER.recorded, size)
    encoder = LabelEncoder(detector().config)
    boxes, labels = [boxes.float() for boxes, _ in known], [labels for _, labels in known]
    targets = encoder.ignore_outside(encoder.encode_batch(anchors, boxes, labels), anchors, [size] * len(known))
    theirs = PEER.recorded.arrays[f"{size[0]}x{size[1]}/float32/targets/state"]
    return theirs, state_of(targets.classes.numpy()), anchors


def test_an_anchor_whose_centre_is_at_the_border_up_to_rounding_is_ignored_or_not_by_a_tie() -> None:
    size, place = (256, 192), Where(size=(256, 192), dtype="float32", mode="cascaded")
    theirs, ours, anchors = states_in_float32(size)
    apart = np.flatnonzero((theirs != ours).any(axis=0))
    exact = detector().anchors.get_anchors(*size, dtype=torch.float64)[apart]
    assert (exact[:, 0] + exact[:, 2]).numpy() / 2 == pytest.approx(np.full(len(apart), 192.0), abs=1e-12)
    assert compare_states("targets/state", theirs, ours, at_border(anchors, size), place).verdict == "tie"
    assert at_border(anchors, size).sum() == 18


@pytest.mark.planted
@pytest.mark.parametrize("state", [0, -1, 1])
def test_a_state_is_different_elsewhere_and_where_one_is_positive(state: int) -> None:
    size, place = (256, 192), Where(size=(256, 192), dtype="float32", mode="cascaded")
    theirs, ours, anchors = states_in_float32(size)
    tied = at_border(anchors, size)
    anchor = np.flatnonzero(tied if state == 1 else ~tied & (ours[0] != state))[0]
    ours[0, anchor] = state
    assert compare_states("targets/state", theirs, ours, tied, place).verdict == "different"


@pytest.mark.parametrize("size", SIZES)
def test_anchors_are_those_of_scales_in_single_precision_to_the_last_digits(size: tuple[int, int]) -> None:
    recorded, where = PEER.recorded, f"{size[0]}x{size[1]}/float32"
    anchors = detector().anchors.get_anchors(*size, dtype=torch.float64).numpy()
    assert different([recorded.judge(where, "anchors", anchors, Where(size=size, dtype="float64"))]) == []


@pytest.mark.parametrize("name", ["overlap_half", "overlap_two_fifths", "equal_boxes", "none"])
def test_anchors_at_the_edges_of_rules_are_taken_as_keras_retinanet_takes_them(name: str) -> None:
    records = compare_edge(PEER, detector(), name, (100, 128))
    assert len(records) == 1
    assert different(records) == []


@pytest.mark.parametrize("limit", [12, 4])
def test_detections_at_the_edges_of_rules_are_those_of_keras_retinanet(limit: int) -> None:
    found = edge_detections(PEER, detector(**EDGES, detections_per_picture=limit))
    place = Where(dtype="float32", mode="isolated")
    assert different(PEER.compare_detections(f"edges/detections/{limit}", found, place)) == []


PICTURES = {"60x90": (60, 90), "120x77": (120, 77)}
TRUTHS = ([[8.0, 6.5, 40.25, 50.0], [30.0, 20.0, 75.0, 58.0]], [3, 1])
"""The boxes and labels of each picture."""


@pytest.mark.parametrize("sides", [(100, 140), pytest.param((800, 1333), marks=pytest.mark.slow)])
@pytest.mark.parametrize("names", [["60x90"], ["120x77"], ["60x90", "120x77"]])
def test_pictures_and_their_targets_become_what_keras_retinanet_makes_of_them(
    sides: tuple[int, int], names: list[str]
) -> None:
    at, place = f"preprocessing/{sides[0]}/{sides[1]}/{'+'.join(names)}", Where(dtype="float32", data="pictures")
    config, recorded = detector().config.changed(min_side=sides[0], max_side=sides[1]), PEER.recorded
    images = [picture_of(name, PICTURES[name], recorded.seed, "float32").flip(0) for name in names]  # they read BGR
    batch = prepare(images, config)
    scales = np.array([height for height, _ in batch.scales])
    records = [recorded.judge(at, "pictures", batch.images.movedim(1, -1).numpy(), place)]
    records.append(judged("scales", recorded.arrays[f"{at}/scales"], scales, Where(dtype="float64")))
    if f"{at}/targets/state" in recorded.arrays:
        encoder = LabelEncoder(config)
        anchors = AnchorGenerator(config).get_anchors(*batch.images.shape[-2:], dtype=torch.float64)
        boxes = [torch.tensor(TRUTHS[0], dtype=torch.float64) * height for height, _ in batch.scales]
        targets = encoder.encode_batch(anchors, boxes, [torch.tensor(TRUTHS[1])] * len(boxes))
        records += PEER.compare_targets(f"{at}/targets", encoder.ignore_outside(targets, anchors, batch.sizes), place)
    assert different(records) == []


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_the_same_weights(name: str, tmp_path: Path) -> None:
    contents = read_weights(make_file(tmp_path, FOLDER, name))
    assert contents.config == RetinaNetConfig.fizyr(num_classes=7)
    ours = plain_tensors(detector().model)
    assert all(torch.equal(tensor, ours[n].float()) for n, tensor in contents.tensors.items())


def test_a_snapshot_is_read_without_its_optimiser(tmp_path: Path) -> None:
    contents = read_weights(make_snapshot(tmp_path / "snapshot.h5", FOLDER), preset="fizyr")
    assert contents.tensors.keys() == plain_tensors(detector().model).keys()


def test_what_is_written_has_the_layout_of_save_weights(tmp_path: Path) -> None:
    theirs = make_file(tmp_path, FOLDER, "weights.h5")
    write_weights(tmp_path / "ours.h5", read_weights(theirs), to="fizyr")
    assert describe(tmp_path / "ours.h5", {}) == describe(theirs, {})
    with h5py.File(theirs) as one, h5py.File(tmp_path / "ours.h5") as other:
        for node in layout_of(FOLDER)["files"]["weights.h5"]["nodes"]:
            if "dataset" in node:
                assert np.array_equal(one[node["dataset"]][()], other[node["dataset"]][()])


def test_blocks_of_a_resnet_101_are_numbered(tmp_path: Path) -> None:
    config = RetinaNetConfig.fizyr(num_classes=7, backbone="resnet101")
    shapes = expected_shapes(config).items()
    tensors = {name: torch.full(shape, float(number)) for number, (name, shape) in enumerate(shapes) if shape}
    tensors |= {name: torch.zeros((), dtype=torch.int64) for name, shape in shapes if not shape}
    write_weights(tmp_path / "deep.h5", WeightsFile(config, tensors), to="fizyr")
    nodes = [node for node in describe(tmp_path / "deep.h5", {})["nodes"] if "dataset" in node]
    found = {node["dataset"].partition("/")[2]: node["shape"] for node in nodes}
    assert found == layout_of(FOLDER)["resnet101"]
    again = read_weights(tmp_path / "deep.h5")
    assert again.config == config
    assert all(torch.equal(tensor, tensors[n]) for n, tensor in again.tensors.items())


def kept_elsewhere(file: h5py.File) -> None:
    with h5py.File(Path(file.filename).with_name("other.h5"), "w") as other:
        file.copy("P3/P3", other)
    del file["P3/P3"]
    file["P3/P3"] = h5py.ExternalLink("other.h5", "P3")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file: file.pop("P3"), "not a whole HDF5 file"),
        (lambda file: file["P3/P3"].pop("bias:0"), "not a whole HDF5 file"),
        (lambda file: file.attrs.pop("layer_names"), "holds no model of Keras, and no ImageNet weights"),
        (lambda file: file["P3"].attrs.pop("weight_names"), "P3/kernel:0 is missing"),
        (kept_elsewhere, "P3 is kept in another file, which is not opened"),
    ],
)
def test_a_damaged_file_is_refused_in_a_sentence(
    damage: Callable[[h5py.File], object], said: str, tmp_path: Path
) -> None:
    path = make_file(tmp_path, FOLDER, "weights.h5")
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(InputError, match=said):
        read_weights(path)


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"stride_in": "3x3"}, "c3"),
        ({"stem_padding": "symmetric"}, "stem"),
        ({"anchor_centre": "corner"}, "anchors"),
        ({"box_coding": "centre"}, "targets/deltas"),
        ({"log_epsilon": 0.0}, "loss/class"),
    ],
)
def test_a_wrong_convention_is_named_where_it_starts(wrong: dict[str, Any], starts_at: str) -> None:
    records = PEER.compare_size(mistaken(detector(anchor_scales=IN_DOUBLE), **wrong), (128, 128), without=LATE)
    names = [record.name for record in records if record.verdict != "equal"]
    assert first_different(records) == starts_at, names
