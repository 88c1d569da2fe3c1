"""The command `retinanet` in a process of several, of which the second is killed before its third step.

It is started by a launcher: `python -m torch.distributed.run --nproc_per_node 2 killed_rank.py train DATA`.
"""

import os
import signal
import sys
from collections.abc import Sequence
from unittest import mock

from torch_retinanet.cli import main
from torch_retinanet.data.dataset import Batch
from torch_retinanet.train.train_step import TrainStep

LAST = 2
"""Steps that both processes take."""

whole = TrainStep.step


def killed(training: TrainStep, batches: Sequence[Batch]) -> dict[str, float]:
    """A step, which one of the processes does not live to take."""
    if training.progress.step == LAST and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(training, batches)


if __name__ == "__main__":
    with mock.patch.object(TrainStep, "step", killed):
        sys.exit(main())
