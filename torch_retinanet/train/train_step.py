"""A step of training, and all that a run must remember from one to the next; `trainer.py` has what stands around it."""

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from traceback import clear_frames
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import send_to_device
from torch import Tensor, nn
from torch.utils.data import DataLoader

from torch_retinanet.data.dataset import Batch, PictureDataset, collate
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.errors import InputError
from torch_retinanet.losses import RetinaNetLoss
from torch_retinanet.memory import keep_freed_memory
from torch_retinanet.pictures import allow_pixels
from torch_retinanet.train.checkpoint import Progress, load_optimizer, optimizer_tensors
from torch_retinanet.train.config import TrainConfig
from torch_retinanet.train.ema import MovingAverage
from torch_retinanet.train.sampler import EpochSampler
from torch_retinanet.train.schedule import rate_share
from torch_retinanet.train.signals import leave_signals_to_the_run

SGD_MOMENTUM = 0.9

POSITIVES = "positives"
"""The name of the moving average of a loss in a checkpoint."""


class NotFiniteError(RuntimeError):
    """Losses, or a norm of gradients, that are NaN or infinite, with the batch that gave them."""

    def __init__(self, values: Mapping[str, float], batch: Batch) -> None:
        super().__init__(", ".join(f"{name} {value}" for name, value in values.items()))
        self.batch = batch


class TrainStep:
    """Model, optimiser and average of the weights of a run, and how far it has come.

    Args:
        config: the settings.
        detector: with its first weights.
        pictures: how many there are.
        accelerator: devices and precision.
        drawn: the pictures of an epoch by their numbers; by default each once.
        files: the number of the file that each picture is a tile of, if they are tiles.
    """

    def __init__(
        self,
        config: TrainConfig,
        detector: RetinaNetDetector,
        pictures: int,
        accelerator: Accelerator,
        *,
        drawn: Sequence[int] = (),
        files: Sequence[int] = (),
    ) -> None:
        self.config, self.accelerator = config, accelerator
        if accelerator.device.type == "cpu":
            keep_freed_memory()
        processes = {"process": accelerator.process_index, "processes": accelerator.num_processes}
        self.sampler = EpochSampler(
            pictures=pictures,
            batch=config.batch,
            drawn=drawn,
            files=files,
            accumulate=config.accumulate,
            seed=config.seed,
            **processes,
        )
        self.steps = config.steps or self.sampler.steps(config.epochs)
        self.detector = detector.to(accelerator.device)
        if config.compile:
            self.detector.model.compile()
        self.optimizer = build_optimizer(self.detector, config)
        self.model, self._optimizer = accelerator.prepare(self.detector, self.optimizer)
        self.average = None if config.ema is None else MovingAverage(self.detector.model, config.ema)
        self.progress = Progress(pictures=pictures, processes=accelerator.num_processes)

    def batches(self, dataset: PictureDataset) -> Generator[Batch]:
        """The batches from the next step on, read ahead by worker processes, which end as it is closed.

        Raises:
            InputError: for values that the transforms leave and no training can use.
        """
        workers = self.config.workers
        loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=self.sampler.batches(self.progress.step, self.steps),
            collate_fn=partial(collate, num_classes=self.detector.config.num_classes),
            worker_init_fn=partial(_begin, self.config.max_pixels),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
        )
        try:
            yield from loader
        except InputError as error:  # torch puts the traceback of a worker process before it
            clear_frames(error.__traceback__)  # which hold the workers
            raise InputError(str(error).strip().rpartition(f"{InputError.__name__}: ")[2]) from None

    def step(self, batches: Sequence[Batch]) -> dict[str, float]:
        """Take a step with the gradients of some batches together; the losses are their means.

        Raises:
            NotFiniteError: for a loss or gradients that are NaN or infinite; the weights are those before the step.
        """
        self.detector.train()
        rate = self.config.rate * self._rate_share()
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        read = [batch for batch in batches if batch.images]
        if self.any_process(len(read) < len(batches) and self.sampler.processes > 1) or not read:
            self.progress.step += 1  # processes that share their gradients leave a batch out together, or none does
            return {"rate": rate}
        sums: dict[str, float] = {}
        with self._drawn_side():
            for batch in read:
                for name, value in self._add_gradients(batch, len(read)).items():
                    sums[name] = sums.get(name, 0.0) + value / len(read)
        norm = self._follow(read[-1])
        self.progress.step += 1
        if self.average is not None:
            self.average.update(self.detector.model, self.progress.step - 1)
        return {"rate": rate, "loss": sum(sums.values()), **sums, "gradient_norm": norm}

    @contextmanager
    def _drawn_side(self) -> Iterator[None]:
        """The short side of this step's pictures, which follows from the seed and the number of the step."""
        config = self.detector.config
        if self.config.min_sides:
            drawn = np.random.default_rng([self.config.seed, self.progress.step]).choice(self.config.min_sides)
            self.detector.config = config.changed(min_side=int(drawn))
        try:
            yield
        finally:
            if self.config.min_sides:
                self.detector.config = config

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that the run needs to go on, by name."""
        parts = {
            "model": self.detector.model.state_dict(),
            "optimizer": optimizer_tensors(self.optimizer, self.detector),
            "loss": {} if (positives := self._positives()) is None else {POSITIVES: positives},
        }
        if self.average is not None:
            parts["average"] = self.average.tensors
        return {f"{part}:{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def restore(self, progress: Progress, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors` gave."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "average": {}, "loss": {}}
        try:
            for name, tensor in tensors.items():
                part, _, own = name.partition(":")
                parts[part][own] = tensor.to(self.accelerator.device)
            self.detector.model.load_state_dict(parts["model"])
            load_optimizer(self.optimizer, self.detector, parts["optimizer"])
            if POSITIVES in parts["loss"]:
                setattr(self.detector.loss, POSITIVES, parts["loss"][POSITIVES])
        except (RuntimeError, KeyError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise InputError(f"out: the checkpoint in {self.config.out} is of another model ({reason})") from None
        if (self.average is None) != (not parts["average"]):
            raise InputError(f"ema: {self.config.ema!r} must be what it was, {self.config.out} has a checkpoint of it")
        if self.average is not None:
            self.average.tensors = parts["average"]
        if self.accelerator.scaler is not None and progress.scaler:
            self.accelerator.scaler.load_state_dict(progress.scaler)
        self.progress = progress

    def _positives(self) -> Tensor | None:
        """The moving average of the loss, where it has one."""
        loss = self.detector.loss
        return loss.positives if isinstance(loss, RetinaNetLoss) else None

    def weights(self) -> dict[str, Tensor]:
        """The weights to evaluate and to keep: the average, where there is one."""
        return self.detector.model.state_dict() if self.average is None else self.average.tensors

    def _rate_share(self) -> float:
        config = self.config
        return rate_share(self.progress.step, self.steps, schedule=config.schedule, warm_up=config.warm_up)

    def _add_gradients(self, batch: Batch, batches: int) -> dict[str, float]:
        images, targets = send_to_device((batch.images, batch.targets), self.accelerator.device)
        with self.accelerator.autocast():
            losses = self.model(images, targets)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise NotFiniteError({name: value.item() for name, value in losses.items()}, batch)
        self.accelerator.backward(total / batches)
        return {name: value.item() for name, value in losses.items()}

    def any_process(self, said: bool) -> bool:
        """Whether it is so in any of the processes, each of which says it for itself."""
        if self.accelerator.num_processes == 1:
            return said
        flag = torch.tensor(float(said), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, reduction="sum"))

    def _follow(self, batch: Batch) -> float:
        """One step of the optimiser; gives the norm of the gradients before they were clipped."""
        limit, alone = self.config.clip_norm or math.inf, self.config.clip_scope == "parameter"
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), math.inf if alone else limit)
        if self.accelerator.scaler is None and not torch.isfinite(torch.as_tensor(norm)):
            raise NotFiniteError({"gradient_norm": float(norm)}, batch)
        if alone:
            for parameter in self.model.parameters():
                nn.utils.clip_grad_norm_(parameter, limit)
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self.accelerator.scaler is not None:
            self.progress.scaler = self.accelerator.scaler.state_dict()
        return float(norm)


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum; kernels decay, biases and BatchNorm do not; the backbone has its own share.

    On a CUDA device all weights follow in one kernel.
    """
    groups, fused = _groups(model, config), next(model.parameters()).is_cuda
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.rate, momentum=SGD_MOMENTUM, fused=fused)
    return torch.optim.AdamW(groups, lr=config.rate, fused=fused)


def _groups(model: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """What is trained by decay, and by its share of the rate where the backbone has another."""
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    of_backbone = {name for name in trained if ".backbone." in f".{name}"} if config.backbone_rate != 1 else set()
    parts = ((trained.keys() - of_backbone, 1.0), (of_backbone, config.backbone_rate))
    groups = []
    for names, share in parts[: 2 if of_backbone else 1]:
        of_part = [parameter for name, parameter in trained.items() if name in names]
        kernels, others = ([p for p in of_part if (p.ndim > 1) == is_kernel] for is_kernel in (True, False))
        groups.append({"params": kernels, "weight_decay": config.weight_decay, "share": share})
        groups.append({"params": others, "weight_decay": 0.0, "share": share})
    return groups


def _begin(max_pixels: int | None, worker: int) -> None:
    """What a process that reads pictures does first."""
    allow_pixels(max_pixels)
    leave_signals_to_the_run(worker)
