"""Anchors at a picture's border up to rounding: whether one whose centre lies there is ignored is a tie.

keras-retinanet ignores an anchor whose centre is not within its picture. A centre is half the sum of two edges, which
are no round numbers: in a picture 192 wide it is at 192, or a rounding before it.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parity_tests.rule.budgets import ISOLATED, rounding_budget
from parity_tests.rule.compare import compare_values
from parity_tests.rule.record import Record, Where
from torch_retinanet.targets import BACKGROUND, IGNORED, Targets

States = np.ndarray
"""By picture and anchor (B,N): 1 for an anchor that has a box, 0 for background, -1 for one that is ignored."""


def state_of(classes: np.ndarray) -> States:
    """The states of targets' classes (B,N)."""
    return np.where(classes >= 0, 1, np.where(classes == IGNORED, -1, 0)).astype(np.int8)


def at_border(anchors_xyxy: Tensor, size: Sequence[int]) -> NDArray[np.bool_]:
    """Which anchors (N,) have their centre no farther from the right or lower border than their edges round."""
    edges = anchors_xyxy.numpy()
    centres = (edges[:, :2].astype(np.float64) + edges[:, 2:]) / 2
    found: NDArray[np.bool_] = np.abs(centres - size[::-1]).min(axis=1) <= rounding_budget(edges, ISOLATED)
    return found


def with_ties_as(targets: Targets, states: States, anchors_xyxy: Tensor, size: Sequence[int]) -> Targets:
    """Targets in which anchors at the border are ignored where they are in recorded `states` (B,N), and there alone."""
    excused = torch.from_numpy(_excused(states, state_of(targets.classes.numpy()), at_border(anchors_xyxy, size)))
    recorded = torch.from_numpy(np.where(states < 0, IGNORED, BACKGROUND))
    return targets._replace(classes=torch.where(excused, recorded, targets.classes))


def compare_states(name: str, reference: States, port: States, tied: NDArray[np.bool_], place: Where) -> Record:
    """A record of states, a tie where they differ at `tied` anchors (N,) alone, of background and ignored ones."""
    excused = _excused(reference, port, tied) if reference.shape == port.shape else np.zeros_like(port, dtype=bool)
    record = compare_values(place.mode, place, name, reference, np.where(excused, reference, port), 0.0)
    if record.verdict != "equal" or not excused.any():
        return record
    reason = f"{excused.sum()} anchors, whose centre is at the border up to rounding, are ignored on one side alone"
    return replace(record, verdict="tie", reason=reason)


def _excused(reference: States, port: States, tied: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = tied & (reference != port) & (reference < 1) & (port < 1)
    return found
