"""Faults in functions of the port, and the rung, case and name at which each of them shows."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

Fault = Callable[[pytest.MonkeyPatch], None]
"""Plants a fault for the time of a test."""


def patch(target: str, make: Callable[[Any], Any]) -> Fault:
    """Replaces a function of the port by one made from it."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        owner, _, name = target.rpartition(".")
        parts = owner.split(".")
        for cut in range(len(parts), 0, -1):
            try:
                place: Any = importlib.import_module(".".join(parts[:cut]))
            except ModuleNotFoundError:
                continue
            for attribute in parts[cut:]:
                place = getattr(place, attribute)
            break
        monkeypatch.setattr(place, name, make(getattr(place, name)))

    return plant


def transposed(boxes: Tensor) -> Tensor:
    """Boxes with x for y."""
    return boxes[..., [1, 0, 3, 2]]


def shift_anchors(make: Any) -> Any:
    """A function that makes anchors, each at the place of the next."""
    return lambda *a, **k: make(*a, **k).roll(1, dims=0)


def result(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function whose result is changed."""
    return lambda make: lambda *a, **k: change(make(*a, **k))


PORT_FAULTS: dict[str, tuple[str, str, Fault, str]] = {
    "anchors with x for y": (
        *("anchors", "64x224"),
        patch("torch_retinanet.anchors.AnchorGenerator.get_anchors", result(transposed)),
        "anchors",
    ),
    "anchors off by one index": (
        *("anchors", "64x64"),
        patch("torch_retinanet.anchors.AnchorGenerator.get_anchors", shift_anchors),
        "anchors",
    ),
    "classes off by one anchor": (
        *("targets", "128x128"),
        patch(
            "torch_retinanet.targets.LabelEncoder.encode_batch",
            result(lambda t: t._replace(classes=t.classes.roll(1, dims=1))),
        ),
        "targets.classes",
    ),
    "the last of equal boxes": (
        *("targets", "128x128"),
        patch(
            "torch_retinanet.targets.LabelEncoder.encode_batch",
            lambda make: lambda self, a, b, c, *n: make(self, a, [x.flip(0) for x in b], [x.flip(0) for x in c], *n),
        ),
        "targets.classes",
    ),
    "deltas of the wrong sign": (
        *("targets", "128x128"),
        patch("torch_retinanet.targets.encode", result(lambda deltas: -deltas)),
        "targets.deltas",
    ),
    "deltas with x for y": (
        *("targets", "96x160"),
        patch("torch_retinanet.targets.encode", result(transposed)),
        "targets.deltas",
    ),
    "ignored anchors counted": (
        "losses",
        "",
        patch("torch_retinanet.losses.detection.IGNORED", lambda ignored: ignored - 1),
        "loss.classification",
    ),
    "a box loss of the wrong sign": (
        "losses",
        "",
        patch("torch_retinanet.losses.detection.RetinaNetBoxLoss.forward", result(lambda loss: -loss)),
        "loss.box",
    ),
    "boxes with x for y": (
        *("detections", "128x128"),
        patch("torch_retinanet.postprocess.decode", result(transposed)),
        "det.set",
    ),
    "labels off by one": (
        *("detections", "128x128"),
        patch(
            "torch_retinanet.postprocess.DecodePredictions.__call__",
            result(lambda found: [d | {"labels": (d["labels"] + 1) % 10} for d in found]),
        ),
        "det.set",
    ),
    "suppression over all classes": (
        *("detections", "128x128"),
        patch(
            "torch_retinanet.postprocess.class_wise_nms",
            lambda make: lambda boxes, scores, labels, iou: make(boxes, scores, torch.zeros_like(labels), iou),
        ),
        "det.set",
    ),
    "labels off by one in the metric": (
        "metric",
        "",
        patch(
            "torch_retinanet.postprocess.DecodePredictions.__call__",
            result(lambda found: [d | {"labels": (d["labels"] + 1) % 10} for d in found]),
        ),
        "map",
    ),
    "half a pixel in the metric": (
        "metric",
        "",
        patch("torch_retinanet.postprocess.decode", result(lambda boxes: boxes + 0.5)),
        "map",
    ),
}
"""Faults by what they are: rung, case, how they are planted, and the name where they show."""
