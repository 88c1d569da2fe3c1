"""Training on one's own pictures: `Run(TrainConfig(data=..., out=...)).go()`, or the command `retinanet train`."""

from torch_retinanet.train.config import TrainConfig
from torch_retinanet.train.folder import settings_of
from torch_retinanet.train.run import Run, StoppedError

__all__ = ["Run", "StoppedError", "TrainConfig", "settings_of"]
