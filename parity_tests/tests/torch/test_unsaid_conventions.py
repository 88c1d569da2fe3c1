"""What a file of another program says of its conventions is taken; what it does not is assumed aloud, or stated."""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
import torchvision
from torch import Tensor

from parity_tests.tests.support.detectors import noise
from torch_retinanet import InputError, RetinaNet, RetinaNetConfig, RetinaNetDetector, cli
from torch_retinanet.anchors import half_sides, smallest_side
from torch_retinanet.train import TrainConfig
from torch_retinanet.train.first_weights import find_first_weights, take_over
from torch_retinanet.weights import find_weights, read_weights, write_weights
from torch_retinanet.weights.containers.keras_layers import read_layers
from torch_retinanet.weights.published.fizyr import FIZYR
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

SIZES: dict[str, Any] = {"num_classes": 2, "backbone": "resnet18", "width": 32, "head_depth": 1}


@cache
def tensors_of(preset: str) -> WeightsFile:
    """A small network with the conventions of a preset."""
    config = RetinaNetConfig.preset(preset, **SIZES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return WeightsFile(config, plain_tensors(RetinaNet(config)))


def written(path: Path, preset: str) -> Path:
    """Its file, as the program of the preset writes it."""
    write_weights(path, tensors_of(preset), to=preset)
    return path


class TestTorchvisionsEps:
    """A file of torchvision does not say it; `COCO_V1` is known to have 0, and what was trained from it is not."""

    UNSAID = (
        "does not say BatchNorm's eps: 1e-05 is assumed, and what was trained from torchvision's first COCO weights"
    )

    def test_the_command_says_that_it_is_assumed(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = written(tmp_path / "model.pth", "torchvision")
        assert cli.main(["convert", str(file)]) == 0
        assert self.UNSAID in capsys.readouterr().out

    def test_a_checkpoint_around_coco_weights_is_no_exception(self, tmp_path: Path) -> None:
        tensors = torch.load(written(tmp_path / "model.pth", "torchvision"), weights_only=True)
        torch.save({"model": tensors}, tmp_path / "checkpoint.pth")
        assert self.UNSAID in read_weights(tmp_path / "checkpoint.pth").origin

    @torch.no_grad()
    def test_it_can_be_stated(self, tmp_path: Path) -> None:
        file = written(tmp_path / "model.pth", "torchvision")
        assumed = RetinaNetDetector.from_pretrained(file)
        stated = RetinaNetDetector.from_pretrained(file, bn_eps=0.0)
        assert (assumed.config.bn_eps, stated.config.bn_eps) == (1e-5, 0.0)
        assert stated.origin.endswith("; stated: bn_eps=0.0")
        norms = [module for module in stated.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        assert {norm.eps for norm in norms} == {0.0}
        picture = noise(1, 3, 64, 64)
        assert not torch.equal(assumed.model(picture), stated.model(picture))

    def test_no_other_field_of_the_network_can(self, tmp_path: Path) -> None:
        file = written(tmp_path / "model.pth", "torchvision")
        with pytest.raises(InputError, match="stride_in: '1x1' cannot be set once the network is built"):
            RetinaNetDetector.from_pretrained(file, stride_in="1x1")

    def test_a_run_takes_what_is_stated_over(self, tmp_path: Path) -> None:
        file = written(tmp_path / "model.pth", "torchvision")
        given = TrainConfig(data=tmp_path, out=tmp_path / "run", weights=file, conventions=("bn_eps=0.0",))
        config, contents = find_first_weights(given)
        assert contents is not None
        taken = take_over(RetinaNetDetector(config.model_config(2)), contents, "model.pth")
        assert "stated: bn_eps=0.0: 124 tensors taken over" in next(taken.lines())

    def test_a_converted_file_keeps_it(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file, target = written(tmp_path / "model.pth", "torchvision"), tmp_path / "model.safetensors"
        assert cli.main(["convert", str(file), str(target), "--conventions", "bn_eps=0"]) == 0
        assert read_weights(target).config.bn_eps == 0
        assert cli.main(["convert", str(target), "--conventions", "bn_eps=0"]) == 2
        said = "--conventions: 'bn_eps=0' must be of what the source does not say (it says all)"
        assert said in capsys.readouterr().err

    def test_the_sentence_for_the_coco_weights_has_their_eps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        weights = torchvision.models.detection.RetinaNet_ResNet50_FPN_Weights.COCO_V1
        state = torchvision.models.detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None).state_dict()
        monkeypatch.setattr(type(weights), "get_state_dict", lambda self, **settings: state)
        contents = find_weights("COCO_V1")
        assert contents.origin.endswith("taken for preset torchvision with bn_eps=0.0")
        assert contents.assumed == ()


BGR, RGB = (103.53, 116.28, 123.675), (123.675, 116.28, 103.53)
DEVIATIONS = (58.395, 57.12, 57.375)


def with_buffers(folder: Path, *, mean: Any = None, std: Any = None, anchors: list[Tensor] | None = None) -> Path:
    """A checkpoint of detectron2 as its versions before 2021 write it, with its buffers."""
    state = torch.load(written(folder / "model.pth", "detectron2"), weights_only=True)["model"]
    for name, numbers in {"pixel_mean": mean, "pixel_std": std}.items():
        if numbers is not None:
            state[name] = torch.tensor(numbers).reshape(3, 1, 1)
    for place, cell in enumerate(anchors or []):
        state[f"anchor_generator.cell_anchors.{place}"] = cell
    torch.save({"model": state, "iteration": 3}, folder / "model.pth")
    return folder / "model.pth"


def usual_anchors() -> list[Tensor]:
    config = RetinaNetConfig.detectron2()
    halves = [half_sides(config, smallest_side(config, level)) for level in config.levels]
    return [torch.cat([-half, half], dim=1).float() for half in halves]


class TestDetectron2sBuffers:
    """Colours and anchors are read where a checkpoint has them; the stride of blocks is never in it."""

    def test_red_first_is_known_by_the_means(self, tmp_path: Path) -> None:
        contents = read_weights(with_buffers(tmp_path, mean=RGB, std=DEVIATIONS, anchors=usual_anchors()))
        config = contents.config
        assert (config.channel_order, config.pixel_mean, config.pixel_std) == ("rgb", RGB, DEVIATIONS)
        assert "the numbers of its pixel_mean are in the order rgb" in contents.origin
        assert "does not say where blocks have their stride: 3x3 is assumed, as in torchvision's" in contents.origin
        assert contents.assumed == ("stride_in",)

    def test_blue_first_too_with_its_deviations_in_that_order(self, tmp_path: Path) -> None:
        config = read_weights(with_buffers(tmp_path, mean=BGR, std=DEVIATIONS[::-1])).config
        assert (config.channel_order, config.pixel_mean, config.pixel_std) == ("bgr", RGB, DEVIATIONS)

    def test_the_zoos_numbers_are_those_of_the_preset(self, tmp_path: Path) -> None:
        contents = read_weights(with_buffers(tmp_path, mean=BGR, std=(1.0, 1.0, 1.0), anchors=usual_anchors()))
        assert contents.config == RetinaNetConfig.detectron2(**SIZES)
        assert "stride: 1x1 is assumed, as in MSRA's" in contents.origin

    def test_means_of_ones_own_do_not_tell_the_order(self, tmp_path: Path) -> None:
        contents = read_weights(with_buffers(tmp_path, mean=(90.0, 80.0, 70.0), std=(1.0, 1.0, 1.0)))
        assert contents.config.pixel_mean == (70.0, 80.0, 90.0)
        assert "nor does it say channel_order, the sizes of anchors" in contents.origin

    def test_without_buffers_all_is_said_to_be_assumed_and_can_be_stated(self, tmp_path: Path) -> None:
        file = with_buffers(tmp_path)
        assert "nor does it say pixel_mean, pixel_std, channel_order, the sizes of" in read_weights(file).origin
        stated = RetinaNetDetector.from_pretrained(file, stride_in="3x3", channel_order="rgb").config
        assert (stated.stride_in, stated.channel_order) == ("3x3", "rgb")

    @pytest.mark.parametrize("changed", [lambda cell: cell / 2, lambda cell: cell[:6], lambda cell: cell.flip(0)])
    def test_anchors_of_ones_own_are_refused(self, changed: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
        anchors = usual_anchors()
        anchors[2] = changed(anchors[2])
        with pytest.raises(InputError, match=r"model\.pth: anchors of P5 \(.*must be those of preset detectron2 \(9, "):
            read_weights(with_buffers(tmp_path, anchors=anchors))


def anchor_layers(**changes: Any) -> list[dict[str, Any]]:
    """keras-retinanet's layers of anchors for five levels, P3 to P7."""
    usual: dict[str, Any] = {"ratios": [0.5, 1.0, 2.0], "scales": [1.0, 1.2599210739135742, 1.587401032447815]}
    settings = [usual | {"size": 4 * 2**level, "stride": 2**level} | changes for level in range(3, 8)]
    return [{"class_name": "Anchors", "config": setting} for setting in settings]


FILTER = {"nms": True, "class_specific_filter": True, "nms_threshold": 0.5, "score_threshold": 0.05}
FILTER |= {"max_detections": 300}


def filter_layer(**changes: Any) -> dict[str, Any]:
    return {"class_name": "FilterDetections", "config": FILTER | changes}


def told_by(folder: Path, layers: list[dict[str, Any]]) -> RetinaNetConfig:
    """The config that a whole model with such layers says."""
    with h5py.File(folder / "model.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": {"layers": layers}})
    config = RetinaNetConfig.fizyr()
    return config.changed(**FIZYR.tell(read_layers(folder / "model.h5"), config))


class TestFizyrsLayers:
    """A whole model of keras-retinanet says its anchors and how detections are filtered."""

    def test_the_usual_layers_say_the_preset(self, tmp_path: Path) -> None:
        assert told_by(tmp_path, [*anchor_layers(), filter_layer()]) == RetinaNetConfig.fizyr()

    def test_anchors_of_ones_own_are_taken(self, tmp_path: Path) -> None:
        own = anchor_layers(ratios=[0.3, 1, 3], scales={"type": "ndarray", "value": [1, 1.2, 1.6]})
        for layer in own:
            layer["config"]["size"] //= 2
        config = told_by(tmp_path, own)
        assert config.anchor_sizes == (16, 32, 64, 128, 256)
        assert (config.anchor_ratios, config.anchor_scales) == ((0.3, 1, 3), (1, 1.2, 1.6))

    def test_thresholds_are_taken(self, tmp_path: Path) -> None:
        own = {"nms_threshold": 0.3, "score_threshold": 0.2, "max_detections": 50, "class_specific_filter": False}
        config = told_by(tmp_path, [filter_layer(**own)])
        assert (config.nms_iou, config.score_threshold, config.detections_per_picture) == (0.3, 0.2, 50)
        assert config.nms_classes == "one"

    @pytest.mark.parametrize(
        ("layers", "said"),
        [
            (anchor_layers()[:3], "strides of anchors [8, 16, 32] must be [8, 16, 32, 64, 128]"),
            (anchor_layers(stride=16), "strides of anchors [16, 16, 16, 16, 16] must be"),
            (anchor_layers()[:4] + anchor_layers(ratios=[1, 2, 3])[4:], "have other ratios or scales at some levels"),
            ([filter_layer(nms=False)], "nms: False must be True"),
            ([{"class_name": "RegressBoxes", "config": {"mean": [0, 0, 1, 0], "std": [1] * 4}}], "mean of deltas"),
            ([{"class_name": "Anchors", "config": {}}], "model_config is not what keras-retinanet writes (KeyError"),
        ],
    )
    def test_what_no_config_can_hold_is_refused(self, layers: Any, said: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=f"model.h5: .*{re.escape(said)}"):
            told_by(tmp_path, layers)

    def test_without_layers_of_anchors_their_sizes_are_assumed(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "model.h5", "w"):
            pass
        [assumption] = FIZYR.assumed(read_layers(tmp_path / "model.h5"), RetinaNetConfig.fizyr())
        assert assumption.words == "its file does not say the sizes of anchors: keras-retinanet's are assumed"

    def test_a_text_that_is_no_json_is_refused(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "model.h5", "w") as file:
            file.attrs["model_config"] = "{"
        with pytest.raises(InputError, match="model_config in it is no JSON"):
            read_layers(tmp_path / "model.h5")
