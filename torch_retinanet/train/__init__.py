"""Training on one's own pictures: `Trainer(TrainConfig(data=..., out=...)).fit()`, or the command `retinanet train`."""

from torch_retinanet.train.config import TrainConfig
from torch_retinanet.train.run_folder import settings_of
from torch_retinanet.train.trainer import Interrupted, Trainer

__all__ = ["Interrupted", "TrainConfig", "Trainer", "settings_of"]
