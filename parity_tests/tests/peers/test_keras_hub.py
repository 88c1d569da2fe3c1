"""Folders of KerasHub's RetinaNets, loaded, against what keras-hub itself answered (recordings/keras_hub)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from parity_tests.peers.hdf5 import describe
from parity_tests.peers.keras_comparison import KerasPeer
from parity_tests.peers.keras_files import layout_of, make_folder, named_in, weights_in
from parity_tests.peers.recorded import Recorded
from parity_tests.rule.record import Where
from parity_tests.tests.support.keras_peers import compare_edge, edge_detections, loaded_from
from parity_tests.tests.support.peers import RECORDINGS, different
from torch_retinanet import RetinaNetConfig, RetinaNetDetector
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.published.keras_hub import keras_hub_name

FOLDER = RECORDINGS / "keras_hub"
PRESETS = {"v1": "keras_hub", "v2": "keras_hub_v2"}
HEIGHT_FIRST = (1, 0, 3, 2)

COARSE = ("loss", "grad", "targets", "anchors")
"""keras-hub makes anchors, targets and the weights of both losses in float32, whatever Keras is set to."""

EDGES = ["overlap_half", "overlap_two_fifths", "equal_boxes", "none"]
QUICK = [("v1", 128, 128), ("v1", 122, 154), ("v1", 96, 160), ("v2", 128, 128), ("v2", 96, 160)]
MORE = [("v2", 122, 154), *(("v1", *size) for size in ((160, 224), (224, 160), (256, 192)))]
PLACE = Where(dtype="float32", mode="isolated")


def peer(variant: str) -> KerasPeer:
    losses = {"classification": "class", "bbox_regression": "box"}
    more: dict[str, Any] = {"their_name": keras_hub_name, "channels_last": True, "coarse": COARSE}
    recorded = Recorded(folder=FOLDER, variant=variant, losses=losses, **more)
    return KerasPeer(recorded=recorded, edges=HEIGHT_FIRST, scores="confidence")


@cache
def detector(variant: str, **changes: Any) -> RetinaNetDetector:
    return loaded_from(lambda folder: make_folder(folder, FOLDER, variant), **changes)


@pytest.mark.parametrize(
    ("variant", "height", "width"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)]
)
def test_a_loaded_detector_answers_as_keras_hub_does(variant: str, height: int, width: int) -> None:
    records = peer(variant).compare_size(detector(variant), (height, width))
    assert len(records) >= 12
    assert different(records) == []


@pytest.mark.parametrize(("variant", "size"), [("v1", (128, 128)), ("v1", (122, 154)), ("v2", (96, 160))])
def test_it_answers_and_detects_in_float32_as_keras_hub_does(variant: str, size: tuple[int, int]) -> None:
    records = peer(variant).compare_size(detector(variant), size, "float32", without=("grad_",))
    assert sum(record.name.startswith("detections") for record in records) >= 3
    assert different(records) == []


@pytest.mark.parametrize("name", EDGES)
def test_anchors_at_the_edges_of_rules_are_taken_as_keras_hub_takes_them(name: str) -> None:
    records = compare_edge(peer(""), detector("v1"), name, (128, 128))
    assert len(records) == 1
    assert different(records) == []


@pytest.mark.parametrize("limit", [12, 3])
def test_detections_at_the_edges_of_rules_are_those_of_keras_hub(limit: int) -> None:
    found = edge_detections(peer(""), detector("v1", detections_per_picture=limit))
    assert different(peer("").compare_detections(f"edges/detections/{limit}", found, PLACE)) == []


@pytest.mark.parametrize("variant", PRESETS)
def test_what_is_written_has_the_layout_of_a_preset(variant: str, tmp_path: Path) -> None:
    contents = read_weights(make_folder(tmp_path, FOLDER, variant))
    assert contents.config == RetinaNetConfig.preset(PRESETS[variant], num_classes=7)
    write_weights(tmp_path / "ours", contents, to=PRESETS[variant])
    for name, layout in layout_of(FOLDER, variant)["files"].items():
        if name.endswith(".json"):
            written = json.loads((tmp_path / "ours" / name).read_text())
            assert {**written, "date_saved": layout.get("date_saved")} == {
                **layout,
                "date_saved": written.get("date_saved") and layout["date_saved"],
            }
        else:
            ours = describe(tmp_path / "ours" / name, {})
            assert weights_in(ours) == weights_in(layout)
            assert named_in(ours) == named_in(layout)
    again = read_weights(tmp_path / "ours")
    assert all(torch.equal(tensor, again.tensors[n]) for n, tensor in contents.tensors.items())
