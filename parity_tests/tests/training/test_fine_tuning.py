"""Going on from a whole model: its conventions, classes of one name, shares of the rate, and what is said of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from parity_tests.tests.support.data_sets import write_digits
from torch_retinanet import InputError, RetinaNetConfig, RetinaNetDetector
from torch_retinanet.data.digits import Digits
from torch_retinanet.train import TrainConfig, Trainer
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.published import PUBLISHED
from torch_retinanet.weights.published.published import Published
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

NAMES = ("7", "cat", "3", "dog")
"""Classes of the weights, of which the data has two."""

SMALL: dict[str, Any] = {"backbone": "resnet18", "width": 32, "head_depth": 1, "min_side": 64, "max_side": 64}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_digits(tmp_path_factory.mktemp("digits"), Digits("train", length=2, size=(64, 64)))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of torchvision's second kind, with anchors of its own, in torchvision's own format."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    config = RetinaNetConfig.torchvision_v2(len(NAMES), anchor_scale=2.0, score_threshold=0.3, **SMALL)
    RetinaNetDetector(config, class_names=NAMES).save_pretrained(folder / "model.safetensors")
    return folder / "model.safetensors"


def trainer(data: Path, folder: Path, **settings: Any) -> Trainer:
    fixed: dict[str, Any] = {"steps": 1, "batch": 2, "workers": 0, "flip": 0.0, "warm_up": 0.0, "schedule": "constant"}
    return Trainer(TrainConfig(data=data, out=folder / "run", **fixed | settings))


def rows(tensors: Any, name: str, classes: int) -> Tensor:
    """The class layer by anchor and class."""
    layer: Tensor = tensors[f"cls_head.1.{name}"]
    return layer.reshape(9, classes, *layer.shape[1:])


def test_the_conventions_of_the_weights_are_those_of_the_run(data: Path, weights: Path, tmp_path: Path) -> None:
    run = trainer(data, tmp_path, weights=weights)
    expected = read_weights(weights).config.changed(num_classes=10)
    assert run.training.detector.config == expected
    again = TrainConfig.from_toml(tmp_path / "run" / "config.toml")
    assert (again.preset, again.model_config(10)) == ("torchvision_v2", expected)


def test_what_is_said_counts_before_the_weights(data: Path, weights: Path, tmp_path: Path) -> None:
    run = trainer(data, tmp_path, weights=weights, min_side=96, max_side=96, conventions=("score_threshold=0.1",))
    config = run.training.detector.config
    assert (config.min_side, config.max_side, config.score_threshold, config.anchor_scale) == (96, 96, 0.1, 2.0)
    with pytest.raises(InputError, match="has other conventions; --conventions p6_source=c5 head_norm=group"):
        trainer(data, tmp_path / "other", weights=weights, preset="torchvision", **SMALL)


def test_classes_of_one_name_keep_their_rows_and_the_rest_is_told(data: Path, weights: Path, tmp_path: Path) -> None:
    run = trainer(data, tmp_path, weights=weights)
    before, after = read_weights(weights).tensors, run.training.detector.model.state_dict()
    for name in ("weight", "bias"):
        old, new = rows(before, name, len(NAMES)), rows(after, name, 10)
        assert torch.equal(new[:, 7], old[:, 0])
        assert torch.equal(new[:, 3], old[:, 2])
        assert not torch.equal(rows(after, "weight", 10)[:, 1], rows(before, "weight", len(NAMES))[:, 1])
    others = [name for name in before if not name.startswith("cls_head.1.")]
    assert all(torch.equal(after[name], before[name]) for name in others)
    assert run.taken_over is not None
    assert list(run.taken_over.lines()) == [
        f"{weights}: {len(others)} tensors taken over; class head: rows kept of 7, 3; "
        "new: 0, 1, 2, 4, 5 and 3 more; unused: cat, dog"
    ]
    listed = json.loads((tmp_path / "run" / "taken_over.json").read_text())
    assert listed["tensors"] == {"loaded": others, "renamed": {}, "new": [], "unused": []}
    assert listed["classes"]["kept"] == ["7", "3"]


def test_a_run_goes_on_without_the_file_that_it_began_from(data: Path, weights: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.safetensors"
    kept.write_bytes(weights.read_bytes())
    trainer(data, tmp_path, weights=kept).fit()
    kept.unlink()
    config = TrainConfig.from_toml(tmp_path / "run" / "config.toml")
    again = Trainer(config, resume=True)
    assert again.taken_over is None
    assert again.training.detector.config.head_norm == "group"
    assert again.training.progress.step == 1


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_backbone_follows_by_its_share_of_the_rate(share: float, data: Path, weights: Path, tmp_path: Path) -> None:
    moved = {}
    for name, given in (("whole", 1.0), ("share", share)):
        settings: dict[str, Any] = {"optimizer": "sgd", "weight_decay": 0.0, "rate": 1e-3, "backbone_rate": given}
        run = trainer(data, tmp_path / name, weights=weights, **settings)
        model = run.training.detector.model
        before = {name: tensor.clone() for name, tensor in model.named_parameters()}
        run.fit()
        moved[name] = {name: (tensor - before[name]).detach() for name, tensor in model.named_parameters()}
    for name, whole in moved["whole"].items():
        factor = share if name.startswith("fpn.backbone.") else 1.0
        torch.testing.assert_close(moved["share"][name], factor * whole, rtol=1e-3, atol=1e-7)


def test_a_file_of_another_program_is_a_beginning_too(data: Path, weights: Path, tmp_path: Path) -> None:
    contents = read_weights(weights)
    network = RetinaNetDetector(contents.config.changed(anchor_scale=4.0, score_threshold=0.05))
    written = WeightsFile(network.config, plain_tensors(network.model))
    write_weights(tmp_path / "theirs.pth", written, to="torchvision_v2")
    run = trainer(data, tmp_path, weights=tmp_path / "theirs.pth", min_side=64, max_side=64)
    assert run.taken_over is not None
    loaded, *names = run.taken_over.lines()
    assert "theirs.pth holds torchvision's retinanet_resnet50_fpn_v2, taken for preset torchvision_v2" in loaded
    assert "no class has a name that the file has; new: 0, 1, 2, 3, 4 and 5 more" in loaded
    assert names == [
        "backbone: 100 tensors renamed, as backbone.body.conv1.weight to fpn.backbone.conv1.weight",
        "pyramid: 16 tensors renamed, as backbone.fpn.inner_blocks.0.0.weight to fpn.conv_c3_1x1.weight",
        "class head: 5 tensors renamed, as head.classification_head.conv.0.0.weight to cls_head.0.0.weight",
        "box head: 5 tensors renamed, as head.regression_head.conv.0.0.weight to box_head.0.0.weight",
        "new: 20 tensors that count batches from 0, as fpn.backbone.bn1.num_batches_tracked",
        "unused: 20 tensors of the file, as backbone.body.bn1.num_batches_tracked",
    ]
    tensors = json.loads((tmp_path / "run" / "taken_over.json").read_text())["tensors"]
    theirs, replaced = torch.load(tmp_path / "theirs.pth", weights_only=True), {"cls_head.1.weight", "cls_head.1.bias"}
    assert {*tensors["renamed"], *tensors["unused"]} == theirs.keys()
    assert {*tensors["loaded"], *tensors["new"]} == contents.tensors.keys() - replaced
    assert {*tensors["renamed"].values()} == {*tensors["loaded"]} | replaced


FEW = ("torchvision", "keras_hub", "detectron2", "yhenon")
"""Presets whose files the suite begins from; those of the others take their turn in CI."""


@pytest.mark.parametrize(
    "published",
    [
        pytest.param(published, marks=() if published.preset in FEW else pytest.mark.ci, id=published.preset)
        for published in PUBLISHED
    ],
)
def test_files_of_every_published_retinanet_are_a_beginning(published: Published, data: Path, tmp_path: Path) -> None:
    of_keras = published.is_folder or published.suffixes == (".h5",)  # their names are those of ResNet-50
    sizes: dict[str, Any] = {"backbone": "resnet50", "head_depth": 4} if of_keras else {"backbone": "resnet18"}
    is_wide = published.is_folder or published.preset == "keras_cv"  # their programs have no other width
    sizes = {"width": 256 if is_wide else 32, "head_depth": 1} | sizes
    config = RetinaNetConfig.preset(published.preset, 4, **sizes)
    theirs = RetinaNetDetector(config).model
    path = tmp_path / ("folder" if published.is_folder else f"file{published.suffixes[0]}")
    write_weights(path, WeightsFile(config, plain_tensors(theirs)), to=published.preset)
    run = trainer(data, tmp_path, weights=path, min_side=64, max_side=64)
    ours = run.training.detector
    said = RetinaNetConfig.preset(published.preset.replace("mmdet_caffe", "mmdet")).differences(ours.config)
    assert {*said} <= {"backbone", "width", "head_depth", "min_side", "max_side"}
    for name, tensor in plain_tensors(theirs).items():
        if not name.startswith(f"cls_head.{config.head_depth}."):
            assert torch.equal(ours.model.state_dict()[name], tensor), name
    if not of_keras:  # a step of ResNet-50 takes a while, and is one like any other
        run.fit()
