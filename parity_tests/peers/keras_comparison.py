"""Our detector against the recording of a peer in Keras, which has states, decoded boxes and padded detections."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from parity_tests.peers.border import at_border, compare_states, state_of
from parity_tests.peers.comparison import DTYPES, Answers, answers, detections, in_order
from parity_tests.peers.recorded import Recorded
from parity_tests.rule.budgets import CASCADED
from parity_tests.rule.compare import compare_values
from parity_tests.rule.record import Record, Where
from torch_retinanet import RetinaNetDetector
from torch_retinanet.boxes import clip, decode
from torch_retinanet.targets import Targets

BOXES = ("anchors", "boxes", "boxes_clipped")
"""What of a recording is boxes."""

TOTALS = ("loss/total", "loss/keras_total")
"""The sum of both losses."""

IN_ROWS = "targets/deltas"
"""Recorded of all anchors, of which the positive ones alone mean something."""

AT_BORDER = "at border"
"""Of ours, which anchors rounding may take out of the picture."""


@dataclass(frozen=True, kw_only=True)
class KerasPeer:
    """What the recordings of a peer in Keras have in other words.

    Attributes:
        recorded: the recording.
        edges: which of x1, y1, x2, y2 each number of its boxes is.
        scores: its name of the scores of detections.
    """

    recorded: Recorded
    edges: Sequence[int] = (0, 1, 2, 3)
    scores: str = "scores"

    def compare_size(
        self, detector: RetinaNetDetector, size: tuple[int, int], dtype: str = "float64", *, without: Sequence[str] = ()
    ) -> list[Record]:
        """Records of one size: maps, outputs, anchors, targets, losses, gradients, decoded boxes, detections.

        What begins with one of `without` is not compared.
        """
        recorded = self.recorded
        where = recorded.path(f"{size[0]}x{size[1]}", dtype)
        place = Where(size=size, dtype=dtype, mode="cascaded", subject=recorded.variant)
        detector = detector.to(DTYPES[dtype])
        known = [n for n in recorded.names(where) if not (recorded.is_left_out(n) or n.startswith(tuple(without)))]
        weights = any(name.startswith("grad_sum") for name in known)
        ours, outputs = answers(recorded, detector, size, dtype, weights=weights)
        ours |= self._more(detector, outputs, ours, size)
        single = [name for name in known if not name.startswith("detections")]
        records = [self._judge(where, name, ours, place) for name in single]
        if any(name.startswith("detections/") for name in known):
            records += self.compare_detections(f"{where}/detections", detections(detector, outputs, size), place)
        return records

    def compare_detections(self, at: str, found: Iterable[Mapping[str, Tensor]], place: Where) -> list[Record]:
        """Records of the detections of each picture, of which theirs are filled up with -1."""
        records, theirs = [], {n: self.recorded.arrays[f"{at}/{n}"] for n in ("boxes", self.scores, "labels")}
        for number, one in enumerate(found):
            count = int((theirs["labels"][number] >= 0).sum())
            reference = {name: values[number, :count] for name, values in theirs.items()}
            ours = {"boxes": one["boxes"].numpy()[:, list(self.edges)], "labels": one["labels"].numpy()}
            order = in_order(reference, ours)
            ours[self.scores] = one["scores"].numpy()
            records += [
                judged(f"{at.rpartition('/')[2]}/{number}/{name}", reference[name], values[order], place)
                for name, values in ours.items()
            ]
        return records

    def compare_targets(self, at: str, targets: Targets, place: Where) -> list[Record]:
        """Records of targets that are recorded by themselves."""
        ours = states(targets, self.recorded.arrays.get(f"{at}/state"))
        found = {f"targets/{name}": self.recorded.arrays[f"{at}/{name}"] for name in self.recorded.names(at)}
        return [judged(name, value, ours[name], place) for name, value in found.items() if name in ours]

    def _more(
        self, detector: RetinaNetDetector, outputs: tuple[Tensor, Tensor, Tensor], ours: Answers, size: tuple[int, int]
    ) -> Answers:
        logits, deltas, anchors = (value.detach() for value in outputs)
        config = detector.config
        boxes = decode(deltas, anchors, config.box_variance, coding=config.box_coding, axes=config.delta_axes)
        more = {"boxes": boxes, "scores": logits.sigmoid()}
        more |= {"boxes_clipped": clip(boxes, *detector.decode_predictions.border(size))} if config.clip_boxes else {}
        found = {name: value.numpy() for name, value in more.items()}
        found |= {name: (ours | found)[name][..., list(self.edges)] for name in BOXES if name in ours | found}
        total = sum(value for name, value in ours.items() if name.startswith("loss/"))
        found |= {name: np.asarray(total) for name in TOTALS}
        return found | {"targets/state": state_of(ours["targets/label"]), AT_BORDER: at_border(anchors, size)}

    def _judge(self, where: str, name: str, ours: Answers, place: Where) -> Record:
        full, value = f"{where}/{name}", ours.get(name)
        if name == IN_ROWS and value is not None:
            rows = self.recorded.arrays[f"{full}/rows"]
            return judged(name, self.recorded.arrays[full], value[rows[:, 0], rows[:, 1]], place)
        if name == "targets/state" and value is not None:
            return compare_states(name, self.recorded.arrays[full], value, ours[AT_BORDER], place)
        if name == "targets/label" and value is not None:
            state = self.recorded.arrays.get(f"{where}/targets/state")
            return judged(name, *labels_where_known(self.recorded.arrays[full], value, state), place)
        return self.recorded.judge(where, name, value, place)


def judged(name: str, reference: np.ndarray, value: np.ndarray, place: Where) -> Record:
    """An array that is recorded whole, in the coarser precision of both; whole numbers must be the same."""
    if value.shape != reference.shape:
        return compare_values(place.mode, place, name, reference, value, None)
    if reference.dtype.kind != "f":
        return compare_values(place.mode, place, name, reference, value.astype(reference.dtype), 0.0)
    single = np.float32 in (reference.dtype, value.dtype)
    eps = float(np.finfo(np.float32 if single else np.float64).eps)
    budget = CASCADED * eps * float(np.abs(reference).max(initial=0.0))
    return compare_values(place.mode, place, name, reference.astype(np.float64), value.astype(np.float64), budget)


def states(targets: Targets, state: np.ndarray | None) -> Answers:
    """Targets as recordings of edge cases have them."""
    classes = targets.classes.numpy()
    if state is not None:
        return {"targets/state": state_of(classes)}
    return {"targets/label": classes}


def labels_where_known(
    reference: np.ndarray, value: np.ndarray, state: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of all anchors, or, where states are recorded beside them, of those that have a box."""
    return (reference, value) if state is None else (reference[state == 1], value[state == 1])
