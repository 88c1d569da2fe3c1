"""A certificate that is damaged is refused: one that says too little must not make a file look right."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.rule.budgets import CASCADED
from torch_retinanet import InputError
from torch_retinanet.engines.certificate import Certificate
from torch_retinanet.engines.comparison import ROUNDINGS, FoundObjects, distance

ANSWER: dict[str, list[Any]] = {"boxes": [[1.0, 2.0, 8.0, 9.0]], "scores": [0.5], "labels": [1]}
SAMPLE = {"shape": [4], "largest": 2.0, "values": [1.0, 2.0]}
LOOK = {"seed": 0, "batch": 1, "height": 9, "width": 7, "share": 0.1}
VALUES: dict[str, Any] = {
    "kind": "detections",
    "files": {"model.onnx": "0" * 64},
    "weights": "0" * 64,
    "versions": {},
    "conventions": {"in_channels": 3},
    "class_names": [],
    "looks": [{**LOOK, "answers": [ANSWER]}],
    "format": 1,
}


def read(folder: Path, text: str) -> Certificate:
    path = folder / "model.onnx.certificate.json"
    path.write_text(text)
    return Certificate.read(path)


def test_a_whole_certificate_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, json.dumps(VALUES)).found == 1
    network = VALUES | {"kind": "network", "looks": [{**LOOK, "answers": [{"deltas": SAMPLE, "logits": SAMPLE}]}]}
    assert read(tmp_path, json.dumps(network)).largest_share == 0.1


def with_look(**changes: Any) -> dict[str, Any]:
    return {"looks": [{**VALUES["looks"][0], **changes}]}


DAMAGED: dict[str, dict[str, Any]] = {
    "no pictures": {"looks": []},
    "no pictures in a batch": with_look(batch=0, answers=[]),
    "nothing found": with_look(answers=[{"boxes": [], "scores": [], "labels": []}]),
    "an answer too few": with_look(answers=[]),
    "an answer without scores": with_look(answers=[{name: ANSWER[name] for name in ("boxes", "labels")}]),
    "fewer labels than scores": with_look(answers=[ANSWER | {"labels": []}]),
    "one label for two": with_look(answers=[{name: ANSWER[name] * (1 + (name != "labels")) for name in ANSWER}]),
    "a word for a score": with_look(answers=[ANSWER | {"scores": ["much"]}]),
    "no number as a score": with_look(answers=[ANSWER | {"scores": [float("nan")]}]),
    "a word for a side": with_look(height="9"),
    "a picture without pixels": with_look(width=0),
    "a seed below zero": with_look(seed=-1),
    "another kind": {"kind": "masks"},
    "the other kind": {"kind": "network"},
    "no channels": {"conventions": {}},
    "no files": {"files": {}},
    "files without names": {"files": ["0" * 64]},
}


@pytest.mark.parametrize("changes", DAMAGED.values(), ids=DAMAGED)
def test_one_that_is_not_whole_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"certificate\.json: is not a whole certificate; export the file again$"):
        read(tmp_path, json.dumps(VALUES | changes))


def objects(scores: list[float]) -> FoundObjects:
    boxes = np.array([[10.0 * i, 0, 10 * i + 8, 9] for i in range(len(scores))], np.float32)
    return FoundObjects(boxes, np.array(scores, np.float32), np.zeros(len(scores), np.int64))


def test_detections_that_are_not_best_first_differ() -> None:
    expected, found = objects([0.9, 0.5, 0.5]), objects([0.9, 0.5, 0.5])
    assert distance(expected, found).share == 0
    turned = FoundObjects(found.boxes[::-1], found.scores[::-1], found.labels[::-1])
    assert distance(expected, turned).reason == "score 0.900000 comes after 0.500000, not best first"


def test_what_rounding_may_cost_is_what_the_instrument_gives_to_a_whole_network() -> None:
    assert ROUNDINGS == CASCADED


@pytest.mark.parametrize("cut", [lambda text: text[:50], lambda text: "[" * 100_000, lambda text: "null"])
def test_a_file_that_is_none_is_refused(cut: Callable[[str], str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a whole certificate"):
        read(tmp_path, cut(json.dumps(VALUES)))
