"""What tests of peers share: where recordings lie, detectors loaded from files made again, and what a record says."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from parity_tests.peers.files import layout_of, make
from parity_tests.rule.drift import PASSING
from parity_tests.rule.record import Record
from parity_tests.tests.support.paths import ROOT
from torch_retinanet import RetinaNetDetector
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.containers.numpy_pickle import read_numpy_pickle
from torch_retinanet.weights.containers.state_dict import read_torch
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

RECORDINGS = ROOT / "parity_tests" / "tests" / "peers" / "recordings"


def loaded(peer: str, file: str, *, renamed: str = "", **changes: Any) -> RetinaNetDetector:
    """The detector in a peer's file, which is made for it, renamed if asked, and removed."""
    folder = Path(tempfile.mkdtemp())
    try:
        return RetinaNetDetector.from_pretrained(make(folder, RECORDINGS / peer, file, renamed=renamed), **changes)
    finally:
        shutil.rmtree(folder)


class SeenRecords:
    """The records that tests have looked at, by the peer whose test it was."""

    def __init__(self) -> None:
        self.current = ""
        self.by_peer: dict[str, list[Record]] = {}


SEEN = SeenRecords()


def read_facts(folder: Path) -> dict[str, Any]:
    """What a recording says of itself."""
    with safe_open(folder / "answers.safetensors", framework="np") as file:
        said = file.metadata()
    return {name: json.loads(text) if text[:1] in '{["' else text for name, text in said.items()}


def different(records: Iterable[Record]) -> list[str]:
    """A line for each record that is neither equal nor a tie."""
    records = list(records)
    SEEN.by_peer.setdefault(SEEN.current, []).extend(records)
    return [f"{r.case}: {r.name}: {r.reason}" for r in records if r.verdict not in PASSING]


Listed = dict[str, tuple[list[int], str]]
"""Shape and dtype by the name of a tensor."""


def layout_written(
    peer: str, file: str, folder: Path, *, to: str, entries: str = "entries", suffix: str = ""
) -> tuple[Listed, Listed]:
    """What we write of what was read of a peer's file, and what the layout of its file lists.

    Every tensor is also held against that in the peer's own file, bit for bit.
    """
    theirs = make(folder, RECORDINGS / peer, file)
    ours = folder / f"ours{suffix or theirs.suffix}"
    write_weights(ours, read_weights(theirs, preset=to), to=to)
    written, original = tensors_in(ours), tensors_in(theirs)
    assert all(torch.equal(tensor, original[name]) for name, tensor in written.items())
    listed = layout_of(RECORDINGS / peer)[file][entries]
    shapes = {entry["name"]: (entry["shape"], entry["dtype"]) for entry in listed}
    return {n: ([*t.shape], str(t.dtype).removeprefix("torch.")) for n, t in written.items()}, shapes


def tensors_in(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a file by the names in it."""
    return (read_numpy_pickle(path) if path.suffix == ".pkl" else read_torch(path)).tensors


ORDER = [
    *("stem", "c2", "c3", "c4", "c5", "p3", "p4", "p5", "p6", "p7", "logits", "deltas", "anchors", "positives"),
    *("positives_box", "positives_label", "positives_target", "ignored", "targets", "loss"),
]
"""What is computed first comes first; what is not named comes after it."""


LATE = ("grad_sum",)
"""What shows no fault that does not show before, and takes as long as all before it: gradients by weights."""


def mistaken(detector: RetinaNetDetector, **wrong: Any) -> RetinaNetDetector:
    """A detector with the same weights in other conventions."""
    config = detector.config.changed(**wrong)
    return RetinaNetDetector.from_weights(WeightsFile(config, plain_tensors(detector.model)))


def first_different(records: Sequence[Record]) -> str:
    """The name of the record that is not equal and was computed first."""
    places = {name: place for place, name in enumerate(ORDER)}
    wrong = [record.name for record in records if record.verdict != "equal"]
    return min(wrong, key=lambda name: places.get(name.partition("/")[0], len(places)), default="equal")


def most_used(records: Iterable[Record]) -> tuple[float, str]:
    """The largest share of a budget that was used, and where."""
    return max((record.used or 0.0, f"{record.case}: {record.name}") for record in records)
