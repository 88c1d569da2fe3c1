"""What tests of peers share: where recordings lie, detectors loaded from files made again, and what a record says."""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from parity_tests.peers.files import make
from parity_tests.rule.record import Record
from parity_tests.tests.support.paths import ROOT
from torch_retinanet import RetinaNetDetector
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

RECORDINGS = ROOT / "parity_tests" / "tests" / "peers" / "recordings"


def loaded(peer: str, file: str, *, renamed: str = "", **changes: Any) -> RetinaNetDetector:
    """The detector in a peer's file, which is made for it, renamed if asked, and removed."""
    folder = Path(tempfile.mkdtemp())
    try:
        return RetinaNetDetector.from_pretrained(make(folder, RECORDINGS / peer, file, renamed=renamed), **changes)
    finally:
        shutil.rmtree(folder)


def different(records: Iterable[Record]) -> list[str]:
    """A line for each record that is not equal."""
    return [f"{r.case}: {r.name}: {r.reason}" for r in records if r.verdict != "equal"]


ORDER = [
    *("stem", "c2", "c3", "c4", "c5", "p3", "p4", "p5", "p6", "p7", "logits", "deltas", "anchors", "positives"),
    *("positives_box", "positives_label", "positives_target", "ignored", "targets", "loss"),
]
"""What is computed first comes first; what is not named comes last."""


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
