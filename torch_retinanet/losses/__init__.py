"""Losses: those of a detector on logits and deltas, and those of the notebook on probabilities."""

from torch_retinanet.losses.detection import RetinaNetBoxLoss, RetinaNetClassificationLoss, RetinaNetLoss
from torch_retinanet.losses.focal import BinaryFocalLoss, SparseCategoricalFocalLoss

__all__ = [
    "BinaryFocalLoss",
    "RetinaNetBoxLoss",
    "RetinaNetClassificationLoss",
    "RetinaNetLoss",
    "SparseCategoricalFocalLoss",
]
