"""Files of torchvision and the factory that is named like its own; how a preset of another program is added."""

import pickle
import re
from collections.abc import Callable
from dataclasses import replace
from http.client import IncompleteRead
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from parity_tests.tests.support.detectors import SMALL, noise
from parity_tests.tests.support.paths import ROOT
from parity_tests.tests.support.torchvisions import OURS, theirs
from torch_retinanet import (
    InputError,
    RetinaNet,
    RetinaNetConfig,
    RetinaNetDetector,
    cli,
    load_model,
    load_weights,
    retinanet_resnet50_fpn,
    save_weights,
)
from torch_retinanet.config import PRESETS
from torch_retinanet.weights import published, read_weights, write_weights
from torch_retinanet.weights.published.torchvision import torchvision_name
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

PICTURE = noise(3, 120, 90).double()


def assert_found(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert len(expected["boxes"]) > 10
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-6, atol=1e-4)


def old_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """As torchvision 0.11 wrote them."""
    old = {}
    for name, tensor in tensors.items():
        parts = name.split(".")
        if ".conv." in name and "_head" in name:
            parts = [*parts[:3], str(2 * int(parts[3])), parts[-1]]
        elif "_blocks." in name and name.startswith("backbone.fpn") and "extra" not in name:
            parts = [*parts[:4], parts[-1]]
        old[".".join(parts)] = tensor
    return old


@torch.no_grad()
@pytest.mark.parametrize("named", [dict, old_names])
def test_a_file_of_torchvision_detects_what_torchvision_does(named: Any, tmp_path: Path) -> None:
    model = theirs()
    torch.save(named(model.state_dict()), tmp_path / "model.pth")
    detector = RetinaNetDetector.from_pretrained(tmp_path / "model.pth", **OURS)
    assert_found(detector.double()([PICTURE])[0], model.double()([PICTURE])[0])


@torch.no_grad()
def test_a_file_of_torchvisions_second_retinanet_is_known_by_its_norm(tmp_path: Path) -> None:
    model = theirs(version="_v2")
    torch.save(model.state_dict(), tmp_path / "model.pth")
    detector = RetinaNetDetector.from_pretrained(tmp_path / "model.pth", **OURS)
    assert detector.config.differences(RetinaNetConfig.torchvision_v2(**OURS)) == []
    assert_found(detector.double()([PICTURE])[0], model.double()([PICTURE])[0])


@pytest.mark.parametrize("version", ["", "_v2"])
def test_training_as_torchvision_does_gives_its_losses_and_gradients(version: str, tmp_path: Path) -> None:
    model = theirs(version=version)
    torch.save(model.state_dict(), tmp_path / "model.pth")
    detector = RetinaNetDetector.from_pretrained(tmp_path / "model.pth", **OURS).double().train()
    picture = noise(3, 96, 128).double()  # not resized: torchvision's ratios are float32
    boxes = torch.tensor([[10.0, 20.0, 60.0, 70.0], [30.0, 5.0, 80.0, 90.0]])
    target = {"boxes": boxes.double(), "labels": torch.tensor([1, 4])}
    sums = [sum(network([picture], [target]).values()) for network in (model.double().train(), detector)]
    torch.testing.assert_close(sums[1], sums[0], rtol=1e-12, atol=0)
    for total in sums:
        total.backward()
    expected = dict(model.named_parameters())
    for name, parameter in detector.model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[torchvision_name(name)].grad, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("version", ["", "_v2"])
def test_what_is_written_for_torchvision_torchvision_loads(version: str, tmp_path: Path) -> None:
    config = RetinaNetConfig.preset(f"torchvision{version}", num_classes=5)
    ours = RetinaNetDetector(config)
    write_weights(tmp_path / "ours.pth", WeightsFile(config, plain_tensors(ours.model)), to=f"torchvision{version}")
    model = theirs(version=version)
    model.load_state_dict(torch.load(tmp_path / "ours.pth", weights_only=True))
    torch.testing.assert_close(model.head.regression_head.bbox_reg.weight, ours.model.box_head[-1].weight)


@torch.no_grad()
def test_the_coco_weights_are_read_from_torchvisions_cache_with_their_eps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = torchvision.models.detection.RetinaNet_ResNet50_FPN_Weights.COCO_V1
    model = theirs(eps=0.0)
    monkeypatch.setattr(type(weights), "get_state_dict", lambda self, **settings: model.state_dict())
    detector = retinanet_resnet50_fpn(weights="COCO_V1", **OURS).eval()
    assert detector.config.bn_eps == 0
    assert_found(detector.double()([PICTURE])[0], model.double()([PICTURE])[0])


@pytest.mark.parametrize("error", [URLError("no network"), TimeoutError("too late"), IncompleteRead(b"")])
def test_offline_the_sentence_says_where_the_file_can_be_put(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(self: Any, **settings: Any) -> None:
        raise error

    weights = torchvision.models.detection.RetinaNet_ResNet50_FPN_Weights.COCO_V1
    monkeypatch.setattr(type(weights), "get_state_dict", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ConnectionError, match=f"put {weights.url} into {tmp_path}/hub/checkpoints/retinanet_resnet50"):
        retinanet_resnet50_fpn(weights=weights)


@pytest.mark.parametrize("layers", [None, 0, 2])
def test_the_factory_trains_the_kernels_that_torchvisions_trains(
    layers: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    imagenet = torchvision.models.ResNet50_Weights.IMAGENET1K_V1
    weights = torchvision.models.resnet50().state_dict()
    monkeypatch.setattr(type(imagenet), "get_state_dict", lambda self, **settings: weights)
    ours = retinanet_resnet50_fpn(num_classes=5, trainable_backbone_layers=layers)
    build = torchvision.models.detection.retinanet_resnet50_fpn
    body = build(num_classes=5, weights_backbone=imagenet, trainable_backbone_layers=layers).backbone.body
    expected = {name for name, parameter in body.named_parameters() if parameter.requires_grad}
    found = {name for name, parameter in ours.model.fpn.backbone.named_parameters() if parameter.requires_grad}
    assert found == expected
    assert not any(module.training for module in ours.train().modules() if isinstance(module, nn.BatchNorm2d))


def test_random_weights_are_trained_whole() -> None:
    with pytest.warns(UserWarning, match="trainable_backbone_layers: 3 acts on trained weights alone"):
        made = retinanet_resnet50_fpn(num_classes=3, weights_backbone=None, trainable_backbone_layers=3)
    assert all(parameter.requires_grad for parameter in made.parameters())


def test_the_factory_takes_conventions_by_keyword(tmp_path: Path) -> None:
    made = retinanet_resnet50_fpn(weights_backbone=None, class_names=["cat", "dog"], anchor_scale=2)
    assert (made.config.num_classes, made.config.anchor_scale, made.class_names) == (2, 2, ("cat", "dog"))
    made.save_pretrained(tmp_path / "model.safetensors")
    assert retinanet_resnet50_fpn(weights=tmp_path / "model.safetensors").class_names == ("cat", "dog")
    with pytest.raises(InputError, match="num_classes: 3 must be 2, which the weights have"):
        retinanet_resnet50_fpn(weights=tmp_path / "model.safetensors", num_classes=3)


class HarmfulFile:
    def __reduce__(self) -> Any:
        return print, ("harm",)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            {"model": HarmfulFile()},
            "holds more than tensors, such as builtins.print; save the model's state_dict() alone",
        ),
        ({"step": 3}, "holds no state dict, a table of tensors by name"),
        ({"fc.weight": torch.zeros(3)}, "is of no RetinaNet that is known (torchvision, "),
    ],
)
def test_another_pth_file_is_refused_in_a_sentence(
    content: Any, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "model.pth", pickle_module=pickle)
    assert cli.main(["convert", str(tmp_path / "model.pth"), str(tmp_path / "model.safetensors")]) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert (said.err.count("\n"), said.out) == (1, "")


def test_the_command_says_what_a_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(theirs(version="_v2").state_dict(), tmp_path / "v2.pth")
    assert cli.main(["convert", str(tmp_path / "v2.pth")]) == 0
    said = capsys.readouterr().out
    assert "holds torchvision's retinanet_resnet50_fpn_v2, taken for preset torchvision_v2\n" in said
    assert said.endswith("tensors, model of preset torchvision_v2, 5 classes\n")
    assert [*tmp_path.iterdir()] == [tmp_path / "v2.pth"]


def frozen(model: RetinaNet) -> None:
    """BatchNorm in torchvision's frozen form, which has no counter."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, FrozenBatchNorm2d(child.num_features))


def compiled_in_part(model: Any) -> None:
    model.fpn = torch.compile(model.fpn)


def wrapped_in_part(model: Any) -> None:
    model.cls_head = nn.DataParallel(model.cls_head)


def last_bias(model: nn.Module) -> str:
    """The name that a touched model has for the bias of its last class layer."""
    [name] = [name for name in model.state_dict() if name.startswith("cls_head.") and name.endswith("1.bias")]
    return name


@pytest.mark.parametrize("touch", [frozen, compiled_in_part, wrapped_in_part])
def test_a_touched_model_is_saved_as_the_one_it_was(touch: Callable[[RetinaNet], None], tmp_path: Path) -> None:
    model = RetinaNet(SMALL)
    [bias] = [tensor.clone() for name, tensor in model.named_parameters() if name == "cls_head.1.bias"]
    touch(model)
    save_weights(model, tmp_path / "model.safetensors")
    assert torch.equal(load_model(tmp_path / "model.safetensors").state_dict()["cls_head.1.bias"], bias)
    other = RetinaNet(SMALL)
    touch(other)
    for strict in (True, False):
        nn.init.zeros_(dict(other.named_parameters(remove_duplicate=False))[last_bias(other)])
        assert load_weights(other, tmp_path / "model.safetensors", strict=strict).missing == ()
        assert torch.equal(other.state_dict()[last_bias(other)], bias)


def test_weights_of_other_classes_are_loaded_but_for_the_class_layer(tmp_path: Path) -> None:
    save_weights(RetinaNet(SMALL), tmp_path / "model.safetensors")
    other = RetinaNet(SMALL.changed(num_classes=3))
    found = load_weights(other, tmp_path / "model.safetensors", strict=False)
    last = ("cls_head.1.bias", "cls_head.1.weight")
    assert tuple(sorted(found.missing)) == tuple(sorted(found.unused)) == last
    assert set(found.loaded) == other.state_dict().keys() - set(last)
    with pytest.raises(InputError, match="holds 5 classes, and the model has num_classes=3"):
        load_weights(other, tmp_path / "model.safetensors")


def test_the_factory_knows_torchvisions_names_of_settings() -> None:
    made = retinanet_resnet50_fpn(
        weights_backbone=None,
        num_classes=2,
        min_size=320,
        nms_thresh=0.4,
        image_mean=[0.5, 0.5, 0.5],
        fg_iou_thresh=0.6,
    )
    config = made.config
    assert (config.min_side, config.nms_iou, config.match_iou) == (320, 0.4, 0.6)
    assert config.pixel_mean == (127.5, 127.5, 127.5)
    with pytest.raises(InputError, match="num_classes: 0 must be a whole number of at least 1"):
        retinanet_resnet50_fpn(weights_backbone=None, num_classes=0)


def test_the_page_that_adds_a_preset_adds_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "how-to" / "add-a-preset.md").read_text(encoding="utf-8")
    entry, file, use = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[:3]
    names: dict[str, Any] = {"replace": replace, "TORCHVISION": PRESETS["torchvision"]}
    exec(entry, names)
    monkeypatch.setitem(PRESETS, "my_net", names["MY_NET"])
    exec(file, names)
    monkeypatch.setattr(published, "PUBLISHED", (*published.PUBLISHED, names["MY_NET"]))

    model = RetinaNet(RetinaNetConfig.preset("my_net", 3, width=8))
    theirs = {names["my_name"](name): tensor for name, tensor in model.state_dict().items()}
    torch.save(theirs, tmp_path / "model.pth")
    monkeypatch.chdir(tmp_path)
    used = {**names, "RetinaNetDetector": RetinaNetDetector, "write_weights": write_weights}
    exec(use, used | {"WeightsFile": WeightsFile, "plain_tensors": plain_tensors})
    assert torch.load("back.pth", weights_only=True).keys() == theirs.keys()
    del theirs["pyramid.c3_1x1.weight"]
    torch.save(theirs, tmp_path / "model.pth")
    with pytest.raises(InputError, match=r"looks like my-net, and has no tensor pyramid\.c3_1x1\.weight"):
        read_weights(tmp_path / "model.pth")


def test_the_coco_weights_can_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """BatchNorm with an eps of 0 cannot, so it is kept."""
    weights = torchvision.models.detection.RetinaNet_ResNet50_FPN_Weights.COCO_V1
    monkeypatch.setattr(type(weights), "get_state_dict", lambda self, **settings: theirs(eps=0.0).state_dict())
    detector = RetinaNetDetector.from_pretrained("COCO_V1", **OURS).train()
    target = {"boxes": torch.tensor([[4.0, 6, 40, 50]]), "labels": torch.tensor([1])}
    assert sum(detector([noise(3, 96, 96)], [target]).values()) > 0
    made = retinanet_resnet50_fpn(weights=weights, **OURS)
    assert made.training
    made.freeze(stages=1)
    assert sum(made([noise(3, 96, 96)], [target]).values()) > 0
