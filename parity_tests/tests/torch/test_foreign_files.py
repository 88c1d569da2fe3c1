"""Files of other programs: what they say is followed or refused, and what is written is what their programs have."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import huggingface_hub
import pytest
import torch
from torch import Tensor, nn

from parity_tests.tests.support.detectors import noise
from torch_retinanet import InputError, RetinaNet, RetinaNetConfig, cli, register_backbone
from torch_retinanet.cli.detector import read_detector
from torch_retinanet.config import backbones
from torch_retinanet.preprocess import prepare
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.hub import download
from torch_retinanet.weights.published import published_of
from torch_retinanet.weights.published.keras_hub_preset import preset_files, read_preset
from torch_retinanet.weights.published.torchvision import COCO_FILE
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

SIZES: dict[str, Any] = {"backbone": "resnet18", "width": 32, "head_depth": 1}


def contents(preset: str, **changes: Any) -> WeightsFile:
    config = RetinaNetConfig.preset(preset, 3, **SIZES | changes)
    return WeightsFile(config, plain_tensors(RetinaNet(config)))


def written(path: Path, preset: str) -> dict[str, Tensor]:
    """The state dict in a file of a program."""
    write_weights(path, contents(preset), to=preset)
    found: dict[str, Tensor] = torch.load(path, weights_only=True)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The JSON files of a KerasHub preset."""
    files = preset_files(classes=3, blocks=(3, 4, 6, 3), depth=4, second=False, parameters=1)
    for name, said in files.items():
        (tmp_path / name).write_text(json.dumps(said))
    return tmp_path


def change(path: Path, value: Any, *names: str) -> None:
    """Say something else at a place in a JSON file."""
    said = inner = json.loads(path.read_text())
    for name in names[:-1]:
        inner = inner[name]["config"] if "config" in inner[name] else inner[name]
    inner[names[-1]] = value
    path.write_text(json.dumps(said))


CONVERTER = ("config", "image_converter")


def test_what_a_preset_of_keras_hub_says_is_that_of_the_preset(folder: Path) -> None:
    config = RetinaNetConfig.keras_hub()
    assert config.changed(**read_preset(folder)) == config


def test_pictures_are_fed_as_a_preset_of_keras_hub_says(folder: Path) -> None:
    for name, value in (("image_size", [512, 512]), ("scale", 1 / 127.5), ("offset", -1.0)):
        change(folder / "preprocessor.json", value, *CONVERTER, name)
    for name, number in (("box_variance", [0.1, 0.1, 0.2, 0.2]), ("positive_threshold", 0.6)):
        change(folder / "task.json", number, "config", "label_encoder", name)
    config = RetinaNetConfig.keras_hub().changed(**read_preset(folder))
    assert (config.box_variance, config.match_iou) == ((0.1, 0.1, 0.2, 0.2), 0.6)
    fed = prepare([torch.ones(3, 60, 90)], config).images
    assert fed.shape == (1, 3, 512, 512)
    torch.testing.assert_close(fed[0, :, 256, 256], torch.ones(3))
    torch.testing.assert_close(fed[0, :, 0, 0], -torch.ones(3))


@pytest.mark.parametrize(
    ("file", "place", "value", "sentence"),
    [
        ("preprocessor.json", (*CONVERTER, "scale"), 0.0, "is not what KerasHub writes .ZeroDivisionError"),
        ("task.json", ("config", "anchor_generator", "num_scales"), float("inf"), "is not what KerasHub writes"),
        (
            "task.json",
            ("config", "anchor_generator", "num_scales"),
            10**9,
            "num_scales 1000000000 must be from 1 to 100",
        ),
        ("task.json", ("config", "anchor_generator"), None, "is not what KerasHub writes"),
    ],
)
def test_what_no_config_can_hold_is_refused(
    file: str, place: tuple[str, ...], value: Any, sentence: str, folder: Path
) -> None:
    change(folder / file, value, *place)
    with pytest.raises(InputError, match=f"{folder / file}: {sentence}"):
        read_preset(folder)


@pytest.mark.parametrize("min_side", [64, 96])
def test_the_sides_of_a_config_act_where_padding_is_around_a_picture(min_side: int) -> None:
    config = RetinaNetConfig.keras_hub(min_side=min_side, max_side=96)
    assert prepare([noise(3, 40, 60)], config).images.shape[-2:] == (min_side, min_side)


def sparse(tensor: Tensor) -> Tensor:
    return tensor.to_sparse()


def without_values(tensor: Tensor) -> Tensor:
    return tensor.to("meta")


def nested(tensor: Tensor) -> Tensor:
    return torch.nested.nested_tensor([tensor, tensor])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [sparse, without_values, nested])
def test_a_tensor_that_is_not_stored_number_by_number_is_named(
    kind: Callable[[Tensor], Tensor], tmp_path: Path
) -> None:
    state = written(tmp_path / "model.pth", "torchvision")
    name = "head.regression_head.bbox_reg.bias"
    torch.save(state | {name: kind(state[name])}, tmp_path / "model.pth")
    with pytest.raises(InputError, match=f"model.pth: tensor {name} is sparse, nested, quantised or without values"):
        read_weights(tmp_path / "model.pth")


def test_a_wrapped_model_is_read_as_the_one_it_was(tmp_path: Path) -> None:
    state = written(tmp_path / "model.pth", "yhenon")
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "model.pth")
    assert read_weights(tmp_path / "model.pth").config.nearest()[0] == "yhenon"


def test_the_eps_of_coco_is_that_of_its_own_file_alone(tmp_path: Path) -> None:
    for name, eps in ((COCO_FILE, 0.0), ("retinanet_resnet50_fpn_coco_mine.pth", 1e-5)):
        written(tmp_path / name, "torchvision")
        assert read_weights(tmp_path / name).config.bn_eps == eps


BACKBONE_ALONE = [f"fpn.backbone.{name}.weight" for name in ("conv1", "layer1.0.conv1", "layer2.0.downsample.0")]


def test_a_foreign_file_is_named_beside_the_nearest_program(tmp_path: Path) -> None:
    state = written(tmp_path / "model.pth", "mmdet")["state_dict"]
    assert isinstance(state, dict)
    few = {name: tensor for name, tensor in state.items() if "fpn_convs" in name or "lateral" in name}
    torch.save(few | {"roi_head.weight": torch.zeros(3)}, tmp_path / "model.pth")
    with pytest.raises(InputError, match=r"; MMDetection's RetinaNet is nearest, and has no 'roi_head\.weight'"):
        read_weights(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("preset", "aside", "sentence"),
    [
        ("yhenon", "bn1.num_batches_tracked", r"; yhenon's .* is nearest, and has no 'fc\.weight'"),
        ("detectron2", "pixel_mean", r"; detectron2's .* is nearest, and has no 'fc\.weight'"),
    ],
)
def test_a_tensor_beside_weights_is_none_that_the_nearest_program_lacks(
    preset: str, aside: str, sentence: str, tmp_path: Path
) -> None:
    theirs = published_of(preset).their_name
    names = [aside, *(theirs(name) for name in BACKBONE_ALONE), "fc.weight"]
    torch.save({name: torch.zeros(3) for name in names}, tmp_path / "model.pth")
    with pytest.raises(InputError, match=sentence):
        read_weights(tmp_path / "model.pth")


def test_a_file_of_another_preset_than_asked_for_is_named(tmp_path: Path) -> None:
    written(tmp_path / "model.pth", "mmdet")
    assert read_weights(tmp_path / "model.pth", preset="mmdet_caffe").config.stride_in == "1x1"
    assert read_detector(tmp_path / "model.pth", preset="mmdet_caffe").config.stride_in == "1x1"
    with pytest.raises(InputError, match="holds MMDetection's RetinaNet, preset mmdet, and not preset yhenon"):
        read_weights(tmp_path / "model.pth", preset="yhenon")


@pytest.mark.parametrize(
    ("name", "preset", "sentence"),
    [
        ("model.safetensors", "torchvision", "suffix must be .pth or .pt or .bin for a file of torchvision's"),
        ("model.keras", "detectron2", "suffix must be .pth or .pkl for a file of detectron2's RetinaNet"),
        ("model.h5", "fizyr", r"keras-retinanet's RetinaNet \(fizyr\) has no backbone 'resnet18'"),
    ],
)
def test_a_program_writes_its_own_suffixes_and_networks(name: str, preset: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        write_weights(tmp_path / name, contents(preset), to=preset)
    assert [*tmp_path.iterdir()] == []


class OwnMaps(nn.Module):
    """A backbone that gives as many maps as it is told, and says three."""

    widths = (8, 8, 8)

    def __init__(self, config: RetinaNetConfig, maps: int = 3) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Conv2d(3, 8, 1, stride=2 ** (3 + i)) for i in range(maps))

    def forward(self, images: Tensor) -> list[Tensor]:
        return [stage(images) for stage in self.stages]


def test_a_network_that_a_program_does_not_have_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "_REGISTERED", {})
    register_backbone("own", OwnMaps)
    with pytest.raises(InputError, match="torchvision's retinanet_resnet50_fpn has no backbone 'own'"):
        write_weights(tmp_path / "model.pth", contents("torchvision", backbone="own"), to="torchvision")


def test_a_backbone_that_gives_other_maps_than_it_says_is_named() -> None:
    config = RetinaNetConfig.torchvision(3, **SIZES)
    with pytest.raises(InputError, match="backbone: it gives 2 maps, and its widths are 3"):
        RetinaNet(config, backbone=OwnMaps(config, maps=2))(noise(1, 3, 64, 64))


def test_the_command_says_what_it_wrote_and_what_detects_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "model.safetensors", tmp_path / "model.pth"
    write_weights(source, contents("torchvision", bn_eps=1e-3, score_threshold=0.3))
    assert cli.main(["convert", str(source), str(target), "--to", "torchvision"]) == 0
    said = capsys.readouterr()
    assert "model of preset torchvision with backbone='resnet18', width=32, head_depth=1, 3 classes" in said.out
    assert said.err == f"retinanet: {target}: its program detects with score_threshold=0.05\n"


@pytest.mark.parametrize(("to", "holds"), [("torchvision", False), ("deepforest", True)])
def test_the_command_says_that_names_of_classes_are_lost(
    to: str, holds: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "model.safetensors", tmp_path / "model.pth"
    write_weights(source, replace(contents(to), class_names=("ant", "bee", "cow")))
    assert cli.main(["convert", str(source), str(target), "--to", to]) == 0
    lost = "has no place for the names of classes: ant, bee, cow"
    assert (lost in capsys.readouterr().err) is not holds
    assert read_weights(target).class_names == (("ant", "bee", "cow") if holds else ())


def test_a_link_to_another_file_is_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other.create_group("conv1").attrs["weight_names"] = ["conv1/kernel:0"]
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["layer_names"] = ["conv1", "P7", "classification_submodel"]
        file["conv1"] = h5py.ExternalLink("other.h5", "/conv1")
    with pytest.raises(InputError, match=r"model\.h5: conv1 is kept in another file, which is not opened"):
        read_weights(tmp_path / "model.h5")


def test_a_preset_of_keras_hub_is_fetched_whole_from_the_hub(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def snapshot(name: str, **settings: Any) -> str:
        asked.update(settings)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    assert download("keras/retinanet_resnet50_fpn_coco") == folder
    read = {"config.json", "task.json", "preprocessor.json", "model.weights.h5", "task.weights.h5"}
    assert read <= {*asked["allow_patterns"]}
