"""The focal losses that the notebook trains with, of outputs as they are and as logits. Needs numpy alone."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity_tests.retinanet.inputs import Labels
from parity_tests.rule.record import Array

Lose = Callable[[Any, Array, Labels], Array]
"""What a loss of either framework gives of predictions and labels."""

EXAMPLES, CLASSES = 50, 7


def raw_outputs(seed: int) -> tuple[Array, Labels]:
    """Outputs (N,K) in float32, some below 0 and above 1, which the notebook takes for probabilities; labels (N,)."""
    rng = np.random.default_rng(seed)
    outputs = rng.uniform(-0.3, 1.3, (EXAMPLES, CLASSES)).astype(np.float32)
    return outputs, rng.integers(0, CLASSES, EXAMPLES)


def focal_losses(package: Any, lose: Lose, outputs: Array, labels: Labels) -> dict[str, Array]:
    """The losses (N,) of a package: of one class of K, and of the first class or not; gamma is 2."""
    how: dict[str, Any] = {"gamma": 2.0, "reduction": "none"}
    weights, binary = np.linspace(0.5, 2, CLASSES).tolist(), how | {"pos_weight": 0.25, "label_smoothing": 0.1}
    is_first, of_first = (labels == 0).astype(np.int64), outputs[:, 0]
    found = {}
    for name, from_logits in (("probabilities", False), ("logits", True)):
        sparse = package.SparseCategoricalFocalLoss(**how, class_weight=weights, from_logits=from_logits)
        found[f"focal.{name}"] = lose(sparse, outputs, labels)
        either = package.BinaryFocalLoss(**binary, from_logits=from_logits)
        found[f"focal.binary_{name}"] = lose(either, of_first if from_logits else of_first.clip(0, 1), is_first)
    return found
