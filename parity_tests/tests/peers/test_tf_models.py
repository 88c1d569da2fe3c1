"""Checkpoints of TensorFlow Models' RetinaNet, loaded, against what the package answered (recordings/tf_models)."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parity_tests.peers.keras_comparison import KerasPeer
from parity_tests.peers.keras_files import layout_of, weights_of
from parity_tests.peers.recorded import Recorded
from parity_tests.peers.values import picture
from parity_tests.rule.record import Where
from parity_tests.tests.support.peers import RECORDINGS, different, first_different, mistaken
from torch_retinanet import InputError, RetinaNetConfig, RetinaNetDetector
from torch_retinanet.postprocess import DecodePredictions
from torch_retinanet.preprocess import prepare
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.containers.tf_checkpoint import read_tf_checkpoint, write_tf_checkpoint
from torch_retinanet.weights.keras_names import to_torch
from torch_retinanet.weights.published.tf_models import tf_models_name
from torch_retinanet.weights.weights_file import plain_tensors

FOLDER = RECORDINGS / "tf_models"

NOT_REPRODUCED = {
    "force_match": "of several best anchors of a box it takes the first; here all of them are positive",
    "nms at an IoU of exactly 0.5": "it drops the worse box, and here both are kept",
    "fresh weights": "it draws kernels of backbone and pyramid by VarianceScaling, and last layers with deviation 1e-5",
}
"""What is not compared, and why."""

YXYX = (1, 0, 3, 2)

COARSE = ("boxes", "targets/deltas", "loss/", "grad_")
"""What it computes in float32: anchors, what is made of them, and the focal loss."""

PEER = KerasPeer(
    recorded=Recorded(folder=FOLDER, their_name=tf_models_name, channels_last=True, coarse=COARSE),
    edges=YXYX,
)
SIZES = [(128, 128), (128, 256), (384, 128)]


def made(folder: Path) -> Path:
    """The checkpoint that the package's trainer wrote."""
    layout = layout_of(FOLDER)
    weight = weights_of(layout, PEER.recorded.seed)
    entries = layout["ckpt-1"]
    tensors = {e["name"]: to_torch(torch.from_numpy(weight(e["drawn"], tuple(e["shape"])))) for e in entries}
    write_tf_checkpoint(folder, tensors, {e["name"]: e["full_name"] for e in entries})
    return folder


@cache
def detector() -> RetinaNetDetector:
    with tempfile.TemporaryDirectory() as folder:
        return RetinaNetDetector.from_pretrained(made(Path(folder)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", SIZES)
def test_a_loaded_detector_answers_as_the_package_does(size: tuple[int, int], dtype: str) -> None:
    records = PEER.compare_size(detector(), size, dtype)
    assert len(records) >= 12 + 3 * (dtype == "float32")  # and of detections boxes, scores and labels
    assert different(records) == []


@pytest.mark.parametrize("name", ["60x90", "120x77", "660x1300"])
def test_pictures_become_what_the_package_makes_of_them(name: str) -> None:
    at, place = f"preprocessing/{name}", Where(dtype="float32", data="pictures")
    height, width = map(int, name.split("x"))
    image = torch.from_numpy(picture(name, height, width, PEER.recorded.seed)).permute(2, 0, 1)
    batch = prepare([image], RetinaNetConfig.tf_models())
    records = [PEER.recorded.judge(at, "pictures", batch.images.movedim(1, -1).numpy(), place)]
    records.append(PEER.recorded.judge(at, "scales", np.array(batch.scales[0], np.float32), place))
    assert different(records) == []


def test_what_is_written_has_the_names_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    theirs = read_tf_checkpoint(made(tmp_path / "theirs"))
    write_weights(tmp_path / "ours", read_weights(tmp_path / "theirs"), to="tf_models")
    ours = read_tf_checkpoint(tmp_path / "ours")
    assert ours.tensors.keys() == theirs.tensors.keys()
    assert all(torch.equal(tensor, theirs.tensors[name]) for name, tensor in ours.tensors.items())


def test_a_checkpoint_of_it_is_known_by_its_names(tmp_path: Path) -> None:
    contents = read_weights(made(tmp_path))
    assert contents.config == RetinaNetConfig.tf_models(num_classes=7)
    assert contents.tensors.keys() == plain_tensors(detector().model).keys()


def test_layers_of_the_pyramid_in_another_order_are_refused(tmp_path: Path) -> None:
    found = read_tf_checkpoint(made(tmp_path))
    names = {**{name: name for name in found.tensors}, **found.settings["full_names"]}
    names["model/_decoder/layer_with_weights-5/kernel"] = "post_hoc_4/kernel"
    write_tf_checkpoint(tmp_path, found.tensors, names)
    with pytest.raises(InputError, match="is of layer post_hoc_4, and post_hoc_3 must be there"):
        read_weights(tmp_path)


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"block_padding": "symmetric"}, "c3"),
        ({"stem_padding": "symmetric"}, "c3"),
        ({"bn_eps": 1e-5}, "c3"),
        ({"upsample": "bilinear_2x"}, "p3"),
        ({"anchor_order": "ratio_scale"}, "anchors"),
        ({"match_iou": 0.6}, "targets/deltas"),
        ({"ignore_iou": 0.4}, "targets/label"),
        ({"force_match": False}, "targets/deltas"),
        ({"focal_gamma": 2.0}, "loss/classification"),
        ({"loss_normaliser": "batch"}, "loss/bbox_regression"),
        ({"smooth_l1_beta": 1.0}, "loss/bbox_regression"),
    ],
)
def test_a_wrong_convention_is_named_where_it_starts(wrong: dict[str, Any], starts_at: str) -> None:
    records = PEER.compare_size(mistaken(detector(), **wrong), (128, 128), "float64")
    names = [record.name for record in records if record.verdict != "equal"]
    assert first_different(records) == starts_at, names


def test_detections_never_are_of_the_class_that_stands_for_none() -> None:
    logits = torch.full((1, 4, 3), -9.0)
    logits[0, :, 0], logits[0, 2, 1] = 9.0, 2.0
    config = RetinaNetConfig.tf_models(num_classes=3)
    anchors = torch.tensor([[0.0, 0, 9, 9]]).repeat(4, 1)
    [found] = DecodePredictions(config)(logits, torch.zeros(1, 4, 4), anchors, [4], [(99, 99)])
    assert found["labels"].tolist() == [1]


def test_only_the_best_of_each_class_are_looked_at() -> None:
    config = RetinaNetConfig.tf_models(num_classes=3, topk_per_class=2)
    logits = torch.full((1, 5, 3), -9.0)
    logits[0, :, 1] = torch.tensor([1.0, 3, 2, 0, 4])
    logits[0, 0, 2] = 0.5
    anchors = torch.arange(5.0)[:, None] * 20 + torch.tensor([[0.0, 0, 9, 9]])
    [found] = DecodePredictions(config)(logits, torch.zeros(1, 5, 4), anchors, [5], [(999, 999)])
    assert found["labels"].tolist() == [1, 1, 2]
    assert np.allclose(found["boxes"][:, 0].numpy(), [80, 20, 0])
