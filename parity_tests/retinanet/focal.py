"""The focal losses that the notebook trains with, of outputs as they are and as logits. Needs numpy alone."""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np

from parity_tests.retinanet.inputs import Labels
from parity_tests.rule.record import Array

Lose = Callable[[Any, Array, Labels], Array]
"""What a loss of either framework gives of predictions and labels."""

EXAMPLES, CLASSES = 50, 7

SPARSE: Mapping[str, Mapping[str, Any]] = {
    "": {"gamma": 2.0, "class_weight": np.linspace(0.5, 2, CLASSES).tolist()},
    "_gammas": {"gamma": np.arange(CLASSES, dtype=float).tolist()},
}
BINARY: Mapping[str, Mapping[str, Any]] = {
    "": {"gamma": 2.0, "pos_weight": 0.25, "label_smoothing": 0.1},
    "_plain": {"gamma": 0.5},
    "_negatives": {"gamma": 3.0, "pos_weight": 0.0},
}
"""The options of each loss, by what is put behind its name."""

OF_OUTPUTS = {"probabilities": False, "logits": True}
"""What outputs are taken for, and whether these are logits."""

REDUCTIONS = {"": "none", ".mean": "mean", ".sum": "sum"}
"""What becomes of the losses of examples, likewise."""


def raw_outputs(seed: int) -> tuple[Array, Labels]:
    """Outputs (N,K) in float32, some below 0 and above 1, which the notebook takes for probabilities; labels (N,)."""
    rng = np.random.default_rng(seed)
    outputs = rng.uniform(-0.3, 1.3, (EXAMPLES, CLASSES)).astype(np.float32)
    return outputs, rng.integers(0, CLASSES, EXAMPLES)


def focal_losses(package: Any, lose: Lose, outputs: Array, labels: Labels) -> dict[str, Array]:
    """The losses (N,) of a package, their mean and their sum: of one class of K, and of the first class or not."""
    is_first, of_first, found = (labels == 0).astype(np.int64), outputs[:, 0], dict[str, Array]()
    for (name, from_logits), (end, reduction) in product(OF_OUTPUTS.items(), REDUCTIONS.items()):
        how = {"from_logits": from_logits, "reduction": reduction}
        for options, given in SPARSE.items():
            sparse = package.SparseCategoricalFocalLoss(**given, **how)
            found[f"focal.{name}{options}{end}"] = lose(sparse, outputs, labels)
        first = of_first if from_logits else of_first.clip(0, 1)
        for options, given in BINARY.items():
            either = package.BinaryFocalLoss(**given, **how)
            found[f"focal.binary_{name}{options}{end}"] = lose(either, first, is_first)
    return {name: np.atleast_1d(values) for name, values in found.items()}
