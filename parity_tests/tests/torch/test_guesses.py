"""What people who know torchvision try first does what they mean, or is refused in a sentence that says how."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import torch_retinanet
from parity_tests.tests.support.data_sets import write_digits
from parity_tests.tests.support.detectors import noise
from torch_retinanet import (
    InputError,
    RetinaNet,
    RetinaNetConfig,
    RetinaNetDetector,
    load_weights,
    retinanet_resnet50_fpn,
    retinanet_resnet50_fpn_v2,
)
from torch_retinanet.data.dataset import PictureDataset, collate
from torch_retinanet.data.digits import Digits
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.train import Trainer

SMALL = RetinaNetConfig.torchvision(2, backbone="resnet18", width=8, head_depth=1, min_side=64, max_side=64)


def detector() -> RetinaNetDetector:
    return RetinaNetDetector(SMALL)


def test_a_detector_is_filled_as_its_network_is(tmp_path: Path) -> None:
    trained, other = detector(), RetinaNetDetector(SMALL.changed(num_classes=3))
    trained.save_pretrained(tmp_path / "two.safetensors")
    found = load_weights(other, tmp_path / "two.safetensors", strict=False)
    assert {*found.missing} == {*found.unused} == {"cls_head.1.weight", "cls_head.1.bias"}
    for name, tensor in trained.model.box_head.state_dict().items():
        assert torch.equal(other.model.box_head.state_dict()[name], tensor)
    again = detector()
    assert load_weights(again, tmp_path / "two.safetensors").missing == ()
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in trained.state_dict().items())
    with pytest.raises(InputError, match="model: Linear must be a RetinaNet or a detector"):
        load_weights(torch.nn.Linear(1, 1), tmp_path / "two.safetensors")


def test_a_list_is_as_good_as_a_tuple() -> None:
    made = RetinaNetConfig.torchvision(anchor_scales=[1, 1.2], anchor_ratios=[0.5, 1, 2])
    assert (made.anchor_scales, made.anchors_per_cell) == ((1, 1.2), 6)


def test_pictures_come_without_a_transform_too(tmp_path: Path) -> None:
    annotations = read_annotations(write_digits(tmp_path, Digits("train", length=3, size=(64, 64))))
    loader = torch.utils.data.DataLoader(PictureDataset(annotations), batch_size=3, collate_fn=collate)
    [batch] = loader
    assert [image.dtype for image in batch.images] == [torch.uint8] * 3
    assert [len(target["boxes"]) for target in batch.targets] == [len(annotations.objects(i).boxes) for i in range(3)]


def test_names_that_are_imported_late_are_listed() -> None:
    assert {"Trainer", "TrainConfig", "read_dataset", "RetinaNetDetector"} <= {*dir(torch_retinanet)}


PICTURE = noise(3, 64, 64)
THREE: Any = 3
NAME: Any = "resnet50"
DATA: Any = "data"
BYTES: Any = b"\xff\xd8" * 99
"""What is no config, and no picture."""

BARE: dict[str, Any] = {"weights": None, "weights_backbone": None}


@pytest.mark.parametrize(
    ("guess", "sentence"),
    [
        (lambda: retinanet_resnet50_fpn(pretrained=True), "pretrained: .* weights='COCO_V1' has taken its place"),
        (lambda: retinanet_resnet50_fpn_v2(pretrained_backbone=True), "weights_backbone='IMAGENET1K_V1' has taken"),
        (lambda: retinanet_resnet50_fpn(**BARE, anchor_generator=None), "anchors are conventions, as anchor_sizes"),
        (lambda: retinanet_resnet50_fpn(**BARE, nms_tresh=0.5), "nms_tresh: is no field of RetinaNetConfig"),
        (lambda: RetinaNetDetector(THREE), "config: 3 must be a RetinaNetConfig, as RetinaNetConfig.torchvision"),
        (lambda: RetinaNet(NAME), "config: 'resnet50' must be a RetinaNetConfig"),
        (lambda: Trainer(DATA), "config: 'data' must be a TrainConfig, as TrainConfig\\(data='DATA'\\)"),
        (lambda: detector().predict(PICTURE, nms_thresh=0.5), "nms_thresh: .* did you mean nms_iou"),
        (lambda: detector().predict(BYTES), r"source: b.{0,40} must be a path, a picture of Pillow"),
        (lambda: detector().predict(Path(__file__).parent), "not a picture but a folder; sorted"),
        (lambda: detector()([PICTURE], {"boxes": 1, "labels": 2}), "targets: a dict must be a list with one dict a pi"),
    ],
)
def test_what_is_meant_otherwise_here_is_said(guess: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        guess()


def test_the_state_dict_of_a_detector_is_told_from_a_file_of_others(tmp_path: Path) -> None:
    state: dict[str, Tensor] = detector().state_dict()
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(InputError, match=r"holds the state dict of a detector, .* load_state_dict takes it"):
        RetinaNetDetector.from_pretrained(tmp_path / "state.pt")
