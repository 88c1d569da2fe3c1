"""Weights of one RetinaNet in the conventions of another: the same detections where that can be, else the reason."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from parity_tests.cli.ablate import parser as ablation_parser
from parity_tests.tests.support.detectors import noise
from parity_tests.tests.support.pages import PAGES
from torch_retinanet import InputError, RetinaNetConfig, RetinaNetDetector, cli, load_model
from torch_retinanet.boxes import decode
from torch_retinanet.config.fields import conventions
from torch_retinanet.preprocess import prepare
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.dialect import CHANGES, as_dialect
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

SIZES: dict[str, Any] = {"backbone": "resnet18", "width": 8, "head_depth": 1, "min_side": 96, "max_side": 128}
PICTURE = noise(3, 96, 120).double()

UNROUNDED: dict[str, Any] = {"anchor_rounding": "none", **SIZES}


def weights(**changes: Any) -> WeightsFile:
    """A model with random weights and statistics, in double precision."""
    torch.manual_seed(0)
    config = RetinaNetConfig.torchvision(3, **UNROUNDED | {"score_threshold": 0.011} | changes)
    model = RetinaNetDetector(config).double().model
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    norms: list[Any] = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.running_mean.uniform_(-0.1, 0.1)
        norm.running_var.uniform_(0.5, 1.5)
    return WeightsFile(config, plain_tensors(model))


def by_anchor(contents: WeightsFile) -> dict[str, Tensor]:
    """What a detector says of each anchor of a picture, in an order that is the same for all."""
    detector = RetinaNetDetector.from_weights(contents).double()
    prepared = prepare([PICTURE], contents.config)
    deltas, logits = detector.model(prepared.images, apart=True)
    anchors = detector.anchors.get_anchors(*prepared.images.shape[-2:], dtype=torch.float64)
    boxes = decode(deltas[0], anchors, contents.config.box_variance, axes=contents.config.delta_axes)
    order = np.lexsort(anchors.mul(1024).round().numpy().T)
    return {"anchors": anchors[order], "logits": logits[0][order], "boxes": boxes[order]}


@torch.no_grad()
@pytest.mark.parametrize(
    "changes",
    [
        {"conv_bias": True},
        {"shortcut_bias": True},
        {"conv_bias": True, "shortcut_bias": True},
        {"delta_axes": "yx"},
        {"delta_axes": "yx", "box_variance": (0.1, 0.3, 0.2, 0.25)},
        {"bn_eps": 1e-3},
        {"bn_eps": 0.0},
        {"anchor_order": "scale_ratio"},
        {"anchor_ratio": "w/h"},
        {"anchor_order": "scale_ratio", "anchor_ratio": "w/h"},
        {"box_variance": (0.1, 0.1, 0.2, 0.25)},
        {"channel_order": "bgr"},
        {"pixel_std": (1.0, 2.0, 3.0)},
        {"channel_order": "bgr", "pixel_std": (1.0, 2.0, 3.0), "conv_bias": True, "bn_eps": 1e-3},
        {"output_order": "anchor_row_column"},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_each_anchor_finds_the_same_there_and_back(changes: dict[str, Any]) -> None:
    for start, end in ((weights(), weights().config.changed(**changes)), (weights(**changes), weights().config)):
        there = as_dialect(start, end)
        assert there.config == end
        expected, found = by_anchor(start), by_anchor(there)
        for name, values in expected.items():
            torch.testing.assert_close(found[name], values, rtol=1e-9, atol=1e-9)


def test_the_change_of_each_convention_is_needed() -> None:
    """Without its change a convention gives other detections: none of them does nothing but in name."""
    start = weights()
    for changes in ({"bn_eps": 1e-2}, {"anchor_ratio": "w/h"}, {"box_variance": (0.5, 0.5, 0.5, 0.5)}):
        wrong, right = by_anchor(replace(start, config=start.config.changed(**changes))), by_anchor(start)
        assert any(not torch.allclose(wrong[name], right[name], atol=1e-3) for name in right)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stride2_padding": "same"}, "stride2_padding is 'symmetric', and there 'same'"),
        (
            {"p6_source": "c5", "p7_relu": "none"},
            "p6_source is 'p5', and there 'c5'; p7_relu is 'before', and there 'none'",
        ),
        ({"pixel_mean": (1.0, 2.0, 3.0)}, r"pixel_mean is \(123.675, 116.28, 103.53\), and there"),
        ({"anchor_ratios": (0.5, 1.0, 3.0)}, r"anchor_ratios is \(0.5, 1.0, 2.0\), and there"),
    ],
)
def test_what_stands_in_the_way_is_named(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=f"weights: they cannot be brought into preset .*, since .*{reason}"):
        as_dialect(weights(), weights().config.changed(**changes))


def test_every_convention_that_can_change_is_one_that_weights_hold_for() -> None:
    fields = {field.name: field.metadata["acts_on"] for field in conventions(RetinaNetConfig)}
    assert {fields[name] for name in CHANGES} == {"result"}


@torch.no_grad()
def test_a_file_is_written_in_the_conventions_of_its_format(tmp_path: Path) -> None:
    start = weights(bn_eps=1e-3, anchor_rounding="torchvision")
    write_weights(tmp_path / "out.pth", start, to="torchvision")
    again = read_weights(tmp_path / "out.pth")
    assert again.config.bn_eps == 1e-5
    images = noise(1, 3, 96, 128).double()
    expected = RetinaNetDetector.from_weights(start).double().model(images)
    torch.testing.assert_close(load_model(tmp_path / "out.pth").double()(images), expected, rtol=1e-9, atol=1e-9)


def test_the_command_says_what_stands_in_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_weights(tmp_path / "in.safetensors", weights(anchor_rounding="torchvision", backbone="resnet50"))
    assert cli.main(["convert", str(tmp_path / "in.safetensors"), str(tmp_path / "out.keras"), "--to", "keras_io"]) == 2
    said = capsys.readouterr().err
    assert "they cannot be brought into preset keras_io, since stride_in is '3x3', and there '1x1'" in said
    shown = PAGES["docs/weights.md"].partition("retinanet: weights: ")[2].partition(" ...")[0]
    assert f"retinanet: weights: {shown}" in said
    needs, _, command = said.strip().rpartition(
        ", and `retinanet-parity ablate --weights FILE --data DATA --conventions "
    )
    assert needs.endswith("; p6_source would need other parameters")
    assert command.startswith("stride_in=1x1 stride2_padding=same ")
    assert command.endswith("` measures what each costs on your pictures")
    assert not (tmp_path / "out.keras").exists()


def test_with_data_the_command_measures_what_stands_in_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[list[str]] = []
    monkeypatch.setattr("subprocess.run", lambda words, check: measured.append([str(word) for word in words]))
    source = tmp_path / "in.safetensors"
    write_weights(source, weights(anchor_rounding="torchvision"))
    command = ["convert", str(source), str(tmp_path / "out.keras"), "--to", "keras_io", "--data", str(tmp_path)]
    assert cli.main(command) == 2
    named = re.search(r"--conventions ([^`]+)` measures", capsys.readouterr().err)
    assert named is not None
    [[program, ablate, *words]] = measured
    assert (Path(program).stem, ablate) == ("retinanet-parity", "ablate")
    options = ablation_parser().parse_args(words)
    assert (options.weights, options.data, options.conventions) == (source, tmp_path, named[1].split())
    assert options.preset is None


def test_what_is_measured_is_of_the_preset_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[list[str]] = []
    monkeypatch.setattr("subprocess.run", lambda words, check: measured.append(words))
    source, config = tmp_path / "in.pth", RetinaNetConfig.mmdet(3, **SIZES | {"backbone": "resnet50"})
    write_weights(source, WeightsFile(config, plain_tensors(RetinaNetDetector(config).model)), to="mmdet")
    command = ["convert", str(source), str(tmp_path / "out.pth"), "--preset", "mmdet_caffe", "--to", "mmdet"]
    assert cli.main([*command, "--data", str(tmp_path)]) == 2
    assert "stride_in is '1x1', and there '3x3'" in capsys.readouterr().err
    options = ablation_parser().parse_args(measured[0][2:])
    assert (options.preset, options.conventions[0]) == ("mmdet_caffe", "stride_in=3x3")


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["--data", "."], "goes with --to"),
        (["--data", "nowhere", "--to", "keras_io"], "there is no such file or folder"),
        (
            ["--data", ".", "--to", "keras_io", "--conventions", "bn_eps=0"],
            "does not go with --conventions; write a .safetensors with them first",
        ),
    ],
)
def test_data_that_cannot_be_measured_on_are_refused(
    words: list[str], rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_weights(tmp_path / "in.safetensors", weights())
    assert cli.main(["convert", str(tmp_path / "in.safetensors"), str(tmp_path / "out.keras"), *words]) == 2
    assert capsys.readouterr().err.endswith(f"--data: {words[1]}: {rule}\n")


def test_a_convention_without_effect_does_not_stand_in_the_way() -> None:
    start = weights(anchor_rounding="torchvision")
    other = start.config.changed(stride_in="1x1", gn_groups=8, gn_conv_bias=True, gn_eps=1e-3)
    after = as_dialect(start, other)
    for name, tensor in start.tensors.items():
        assert torch.equal(after.tensors[name], tensor)
    with pytest.raises(InputError, match="since gn_groups is 32, and there 8; gn_"):
        as_dialect(
            weights(head_norm="group", width=32), start.config.changed(head_norm="group", gn_groups=8, gn_eps=1e-3)
        )


def test_without_the_package_that_measures_the_command_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: None)
    write_weights(tmp_path / "in.safetensors", weights(anchor_rounding="torchvision"))
    command = ["convert", str(tmp_path / "in.safetensors"), str(tmp_path / "out.keras"), "--to", "keras_io"]
    assert cli.main([*command, "--data", str(tmp_path)]) == 2
    assert "--data: what conventions cost is measured by retinanet-parity; pip install" in capsys.readouterr().err
