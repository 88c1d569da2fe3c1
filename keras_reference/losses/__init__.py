"""The losses: those of the notebook in `focal`, those of the keras.io example in `detection`."""

from keras_reference.losses.detection import RetinaNetBoxLoss, RetinaNetClassificationLoss, RetinaNetLoss
from keras_reference.losses.focal import BinaryFocalLoss, SparseCategoricalFocalLoss

__all__ = [
    "BinaryFocalLoss",
    "RetinaNetBoxLoss",
    "RetinaNetClassificationLoss",
    "RetinaNetLoss",
    "SparseCategoricalFocalLoss",
]
