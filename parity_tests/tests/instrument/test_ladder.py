"""Every rung can fail: a fault planted in the port is caught on its rung, and named."""

import copy
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from torch import Tensor

from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.prepare import turn
from parity_tests.retinanet.remembering import remembered
from parity_tests.retinanet.rungs import RUNGS, Run
from parity_tests.retinanet.start import build_sides, start_run
from parity_tests.retinanet.torch_side import TorchSide
from parity_tests.rule.compare import Array, verdict_of
from parity_tests.rule.divergence import divergence
from parity_tests.rule.result import Result

Fault = Callable[[pytest.MonkeyPatch], None]


def turned_run(run: Run, *assignments: str, **settings: Any) -> Run:
    """The run in float64 with conventions of the port turned; the network stays, and is not built again."""
    config, optimizer_turns = turn(run.config, assignments)
    reference, port = run.sides("float64")
    faulty: Any = copy.copy(port)
    faulty.surround(config)
    faulty.optimizer_turns = optimizer_turns | settings
    return replace(run, config=config, dtypes=("float64",), _sides={"float64": (reference, faulty)})


def with_port(run: Run, port: Any, *, sizes: Sequence[Size] = ()) -> Run:
    """The run with another port, in float64."""
    sides = {"float64": (run.sides("float64")[0], port)}
    return replace(run, config=port.config, sizes=sizes, dtypes=("float64",), _sides=sides)


def turned_network(run: Run, *assignments: str, sizes: Sequence[Size] = ()) -> Run:
    """The run with a port that is built with conventions turned."""
    port = TorchSide(turn(run.config, assignments)[0], "float64")
    port.assign(run.variables)
    build = partial(build_sides, run.preset, port.config, {}, run.config.anchor_scale)
    return replace(with_port(run, port, sizes=sizes), build=build)


def where_it_starts(run: Run, rung: str, case: str = "") -> str:
    """The name of the first difference on a rung, in the case of this name, or in all."""
    records = [r for c in RUNGS[rung](run) if case in ("", c.name) for r in c.compare()]
    assert records
    parting = divergence(records)
    return parting.first.name if parting else verdict_of(records)


CONVENTIONS = {
    ("anchors", "64x224"): {
        "anchor_centre=corner": "anchors",
        "anchor_ratio=h/w": "anchors",
        "anchor_order=scale_ratio": "anchors",
        "anchor_rounding=torchvision": "anchors",
        "anchor_stride=picture_over_cells": "anchors",
        "anchor_scale=2": "anchors",
    },
    ("targets", "128x128"): {
        "match_iou=0.50001": "targets.classes",
        "ignore_iou=0.40001": "targets.classes",
        "force_match=True": "targets.classes",
        "box_variance=1,1,1,1": "targets.deltas",
    },
    ("losses", ""): {
        "focal_alpha=0.75": "loss.classification",
        "focal_gamma=1.5": "loss.classification",
        "box_loss=l1": "loss.box",
        "box_loss=giou": "loss.box",
        "loss_normaliser=batch": "loss.total",
        "empty_loss=sum": "loss.classification",
    },
    ("detections", "128x128"): {
        "score_threshold=0.06": "det.set",
        "nms_iou=0.55": "det.set",
        "topk_per_level=1000": "det.set",
        "detections_per_picture=20": "det.set",
        "clip_boxes=True": "det.set",
        "box_clamp=1000/16": "det.set",
        "box_variance=0.1,0.1,0.1,0.1": "det.set",
    },
}
"""By rung and case: conventions the wrong way, and the name where it shows."""


@pytest.mark.planted
@pytest.mark.parametrize(
    ("rung", "case", "assignment", "name"),
    [(*place, assignment, name) for place, faults in CONVENTIONS.items() for assignment, name in faults.items()],
)
def test_a_turned_convention_is_named_on_its_rung(run: Run, rung: str, case: str, assignment: str, name: str) -> None:
    assert where_it_starts(turned_run(run, assignment), rung, case) == name


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
    return lambda *a, **k: make(*a, **k).roll(1, dims=0)


def result(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function whose result is changed."""
    return lambda make: lambda *a, **k: change(make(*a, **k))


FAULTS: dict[str, tuple[str, str, Fault, str]] = {
    "anchors with x for y": (
        *("anchors", "64x224"),
        patch("torch_retinanet.anchors.AnchorBox.get_anchors", result(transposed)),
        "anchors",
    ),
    "anchors off by one index": (
        *("anchors", "64x64"),
        patch("torch_retinanet.anchors.AnchorBox.get_anchors", shift_anchors),
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
            lambda make: lambda self, a, b, c: make(self, a, [x.flip(0) for x in b], [x.flip(0) for x in c]),
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


@pytest.mark.planted
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_on_its_rung(run: Run, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rung, case, plant, name = FAULTS[fault]
    plant(monkeypatch)
    assert where_it_starts(turned_run(run), rung, case) == name


@pytest.fixture(scope="module")
def keras_io_run() -> Iterator[Run]:
    """The default run of the preset keras_io."""
    run = remembered(start_run("keras_io"))
    yield run
    run.release()


KERAS_IO = {
    ("anchors", "128x96"): ("anchor_ratio=h/w", "anchors"),
    ("targets", "96x160"): ("match_iou=0.50001", "targets.classes"),
    ("losses", ""): ("loss_normaliser=batch", "loss.total"),
    ("gradients", "inference"): ("focal_gamma=1.5", "fpn/backbone/conv1_conv/kernel"),
    ("step", "SGD with momentum"): ("boundary=changes", "fpn/backbone/conv1_conv/kernel"),
    ("detections", "96x160"): ("nms_iou=0.55", "det.set"),
    ("metric", ""): ("score_threshold=0.6", "map"),
}
"""By rung and case of the other preset: a convention the wrong way, and the name where it shows."""


@pytest.mark.planted
@pytest.mark.parametrize(("rung", "case"), KERAS_IO)
def test_the_rungs_can_fail_on_the_other_preset(keras_io_run: Run, rung: str, case: str) -> None:
    assignment, name = KERAS_IO[rung, case]
    assert where_it_starts(keras_io_run, rung, case) == "equal"
    assert where_it_starts(turned_run(keras_io_run, assignment), rung, case) == name


@pytest.mark.planted
def test_of_several_rungs_the_first_that_differs_is_named(run: Run) -> None:
    turned = replace(turned_run(run, "focal_gamma=1.5"), sizes=[(64, 64)])
    asked = ("anchors", "losses", "gradients", "backward", "detections")
    records = [r for rung in asked for case in RUNGS[rung](turned) for r in case.compare()]
    assert {record.rung for record in records if record.verdict == "different"} == {"losses", "gradients", "backward"}
    assert Result(records=records).summary.startswith("different: it starts at loss.classification (losses ")


@pytest.mark.parametrize("rung", ["anchors", "targets", "losses", "forward", "detections"])
def test_a_run_in_float64_builds_nothing_else(run: Run, rung: str) -> None:
    def built(dtype: str) -> NoReturn:
        raise AssertionError(f"models in {dtype}")

    alone = replace(turned_run(run), sizes=[(32, 64)], build=built)
    assert verdict_of([record for case in RUNGS[rung](alone) for record in case.compare()]) == "equal"


def test_the_port_is_left_as_it_was(run: Run, variables: Mapping[str, Array]) -> None:
    port = run.sides("float64")[1]
    assert isinstance(port, TorchSide)
    after = port.variables()
    assert all(np.array_equal(after[name], value.astype(np.float64)) for name, value in variables.items())
