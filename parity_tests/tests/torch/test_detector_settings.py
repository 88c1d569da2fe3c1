"""What is set on a detector acts: thresholds, parts of one's own, and what is frozen."""

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from parity_tests.tests.support.detectors import SMALL, detector, noise
from torch_retinanet import InputError, RetinaNetDetector
from torch_retinanet.postprocess import all_class_nms, class_wise_nms


@torch.no_grad()
def test_what_is_set_later_counts() -> None:
    model, picture = detector(), noise(3, 90, 70).double()
    every = model([picture])[0]["scores"]
    limit = every[3].item()
    model.score_threshold = limit
    assert torch.equal(model([picture])[0]["scores"], every[:3])
    assert len(model.predict(picture, score_threshold=0.0, detections_per_picture=5)[0]["scores"]) == 5
    assert model.score_threshold == limit, "what `predict` is given holds for its pictures"
    model.config = replace(model.config, score_threshold=0.0, detections_per_picture=2)
    assert len(model([picture])[0]["scores"]) == 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 64}, "width: 64 cannot be set once the network is built"),
        ({"num_classes": 3}, "num_classes: 3 cannot be set once the network is built"),
        ({"threshold": 0.3}, "threshold: is no field of RetinaNetConfig; did you mean score_threshold"),
    ],
)
def test_what_cannot_be_set_is_said(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        detector().predict([noise(3, 64, 64)], **changes)


@torch.no_grad()
def test_each_field_is_an_attribute_that_acts() -> None:
    model = detector()
    for name, value in model.config.as_dict().items():
        assert getattr(model, name) == value
    model.min_side, model.focal_alpha, model.nms_classes = 64, 0.5, "all"
    assert model.config == model.model.config == SMALL.changed(min_side=64, focal_alpha=0.5, nms_classes="all")
    loss: Any = model.loss
    assert loss.config.focal_alpha == 0.5
    seen: list[tuple[int, ...]] = []
    model.model.register_forward_pre_hook(lambda _, images: seen.append(tuple(images[0].shape)))
    model([noise(3, 90, 90).double()])
    assert seen == [(1, 3, 64, 64)]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("width", 64, "width: 64 cannot be set once the network is built"),
        ("backbone", nn.Identity(), r"backbone: Identity\(\) must be one of 'resnet18', "),
        ("nms_iou", 2, "nms_iou: 2 must be a number from 0 to 1"),
        ("min_sides", 400, "min_sides: is no attribute of the detector, and would not act; did you mean min_side?"),
        ("score_treshold", 0.5, "score_treshold: .* did you mean score_threshold?"),
        ("nms_thresh", 0.5, "nms_thresh: .* did you mean nms_iou?"),
    ],
)
def test_an_attribute_that_would_not_act_is_refused(name: str, value: Any, sentence: str) -> None:
    model = detector()
    with pytest.raises(InputError, match=sentence):
        setattr(model, name, value)
    assert model.config == SMALL


def compiled(model: RetinaNetDetector) -> RetinaNetDetector:
    model.model.compile(backend="eager")
    return model


@torch.no_grad()
@pytest.mark.parametrize(
    "way",
    [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), compiled],
    ids=["copied", "copied deeply", "pickled", "compiled"],
)
def test_a_detector_is_a_module_like_any_other(way: Callable[[Any], Any]) -> None:
    model, picture = detector(), noise(3, 64, 64).double()
    model.register_buffer("seen", torch.zeros(1))
    model.extra, model.note, model._width = nn.Linear(1, 1), "of one's own", 3
    other = way(model)
    other.detections_per_picture = 2
    assert {"seen", "extra.weight"} <= other.state_dict().keys()
    assert (other.note, other._width, other.half().double().training) == ("of one's own", 3, False)
    assert len(other([picture])[0]["scores"]) == 2
    del other.extra, other.note
    assert not hasattr(other, "extra")


def test_frozen_parts_stay_as_they_are_when_training_begins_again() -> None:
    model = RetinaNetDetector(SMALL)
    model.freeze(stages=2, norm=True)
    backbone = model.train().model.fpn.backbone
    assert not any(p.requires_grad for part in (backbone.conv1, backbone.layer1) for p in part.parameters())
    assert not any(m.training for m in backbone.modules() if isinstance(m, nn.BatchNorm2d))
    assert backbone.layer2.training
    block: Any = backbone.layer2[0]
    assert block.conv1.weight.requires_grad
    with pytest.raises(InputError, match="frozen_stages: 6 must be from 0 to 5"):
        model.freeze(stages=6)


def test_an_object_found_under_two_classes_has_one_label_where_all_classes_suppress() -> None:
    boxes = torch.tensor([[0.0, 0, 20, 20], [1, 0, 20, 20], [40, 0, 60, 20], [0, 0, 20, 20]])
    scores, labels = torch.tensor([0.8, 0.9, 0.7, 0.9]), torch.tensor([0, 2, 1, 1])
    assert class_wise_nms(boxes, scores, labels, 0.5).tolist() == [3, 1, 0, 2]
    assert all_class_nms(boxes, scores, labels, 0.5).tolist() == [3, 2], "of equal scores the first class"
    assert all_class_nms(boxes[:0], scores[:0], labels[:0], 0.5).tolist() == []


class OwnLoss(nn.Module):
    """A loss of the user's own."""


def test_parts_of_the_users_own_stay_when_a_field_is_set() -> None:
    model = detector()
    model.loss, anchors = OwnLoss(), model.anchors
    model.predict(noise(3, 64, 64), score_threshold=0.5)
    model.score_threshold = 0.4
    model.config = model.config.changed(focal_alpha=0.5)
    assert isinstance(model.loss, OwnLoss)
    assert model.anchors is anchors
    assert model.decode_predictions.config.score_threshold == 0.4


@torch.no_grad()
def test_threads_with_different_thresholds_do_not_meet() -> None:
    model, thresholds = detector(), [0.2, 0.3, 0.4, 0.5] * 4
    pictures = [noise(3, 64, 64, seed=i) for i in range(2)]
    expected = {t: model.predict(pictures, score_threshold=t) for t in {*thresholds}}
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda t: model.predict(pictures, score_threshold=t), thresholds))
    for threshold, detections in zip(thresholds, found, strict=True):
        for one, other in zip(detections, expected[threshold], strict=True):
            assert all(torch.equal(one[name], values) for name, values in other.items())
    assert model.score_threshold == SMALL.score_threshold


def test_to_freeze_again_frees_what_was_frozen() -> None:
    model = RetinaNetDetector(SMALL)
    model.freeze(stages=3, norm=True)
    model.freeze()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.modules())


def test_what_is_frozen_stays_so_when_modules_are_replaced() -> None:
    model = RetinaNetDetector(SMALL)
    model.freeze(norm=True)
    convert: Any = nn.SyncBatchNorm.convert_sync_batchnorm
    replaced = convert(model).train()
    norms = [module for module in replaced.model.fpn.backbone.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert len(norms) == 20
    assert not any(norm.training for norm in norms)
