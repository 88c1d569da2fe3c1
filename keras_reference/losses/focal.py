"""The focal losses of the notebook, from the `focal-loss` package itself; mirrors `torch_retinanet/losses/focal.py`."""

from focal_loss import BinaryFocalLoss, SparseCategoricalFocalLoss

__all__ = ["BinaryFocalLoss", "SparseCategoricalFocalLoss"]
