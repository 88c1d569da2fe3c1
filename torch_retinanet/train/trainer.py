"""A training run from its settings to its folder: steps, evaluations, checkpoints, and the weights in the end."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import islice
from pathlib import Path

from accelerate.utils import broadcast_object_list
from safetensors.torch import save_file
from torch import Tensor, nn

from torch_retinanet.data.annotations import Problem
from torch_retinanet.data.dataset import Batch
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write, only_writer, remove_halves
from torch_retinanet.train.changes import data_changes, setting_changes
from torch_retinanet.train.checkpoint import read_checkpoint, write_checkpoint
from torch_retinanet.train.class_rows import moved_rows
from torch_retinanet.train.config import TrainConfig
from torch_retinanet.train.data import PROBLEMS, build_dataset, read_data, read_problems, write_problems
from torch_retinanet.train.data_record import (
    RunData,
    copies_of_training,
    read_data_record,
    record_data,
    write_data_record,
)
from torch_retinanet.train.evaluation import Evaluator
from torch_retinanet.train.first_weights import TakenOver, find_first_weights, take_over
from torch_retinanet.train.limits import check_limits
from torch_retinanet.train.metrics_log import EVALUATIONS, STEPS, Means, Recorder
from torch_retinanet.train.model import as_module, build_detector
from torch_retinanet.train.plots import plot_run
from torch_retinanet.train.processes import accelerator_for, saying_what_is_lost
from torch_retinanet.train.progress import Show, run_bar
from torch_retinanet.train.run_folder import (
    BAD_BATCH,
    CHECKPOINT,
    DATA_RECORD,
    EVALUATION,
    TAKEN_OVER,
    begin,
    check_data_is_there,
    write_settings,
)
from torch_retinanet.train.sampler import balanced_draws, file_numbers
from torch_retinanet.train.signals import stopping
from torch_retinanet.train.train_step import NotFiniteError, TrainStep
from torch_retinanet.weights import RUN_FILE, write_weights
from torch_retinanet.weights.trained_on import TrainedOn
from torch_retinanet.weights.weights_file import WeightsFile


class Interrupted(Exception):  # noqa: N818 - its usual name; to be stopped is no error
    """A run that was asked to end before its last step; what it has is in its checkpoint."""


class Trainer:
    """A run in its folder.

    Args:
        config: the settings.
        resume: whether to go on from the checkpoint in the folder.
        detector: one of one's own, in place of that which the settings describe.
        loss: a module or function that is called as `RetinaNetLoss` is: logits (B,N,K), deltas (B,N,4), targets and
            anchors (N,4) to losses by name.
        transform: what changes a `tv_tensors.Image` and its target, in place of what the settings describe.
        data_changed: whether to go on though the data are not those that the run began with.

    Attributes:
        changes: what is not as it was, of a run that goes on: its data, and its settings; a few words each.
        copies: the pictures evaluated on whose files are the same as one that is trained on, each with that one.

    Raises:
        InputError: for data, settings or weights that cannot be used, and a folder that holds a run already; for data
            that have changed since a run began, without `data_changed`.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        resume: bool = False,
        detector: RetinaNetDetector | None = None,
        loss: Callable[..., dict[str, Tensor]] | None = None,
        transform: nn.Module | None = None,
        data_changed: bool = False,
    ) -> None:
        if not isinstance(config, TrainConfig):
            raise InputError(f"config: {config!r} must be a TrainConfig, as TrainConfig(data='DATA')")
        self.config, self.folder = config, Path(config.out)
        self.accelerator = accelerator_for(config)
        if resume:
            check_data_is_there(config)
        self.annotations, val = read_data(config)
        self.problems = [*self.annotations.problems, *(val.problems if val else ())]
        main = self.accelerator.is_main_process
        data = record_data(self.annotations, val) if main else None
        self.changes = self._changed_data(data, data_changed) if resume else []
        self.copies = copies_of_training(data) if data is not None else []
        self.taken_over: TakenOver | None = None
        detector = self._built(resume) if detector is None else self._given(detector)
        detector.loss = detector.loss if loss is None else as_module(loss)
        detector.trained_on = TrainedOn(self.annotations.white, config.tiling())
        self.transform = transform
        drawn = balanced_draws(self.annotations, config.balance, config.seed) if config.balance else ()
        count, files = len(self.annotations.pictures), file_numbers(self.annotations)
        self.training = TrainStep(self.config, detector, count, self.accelerator, drawn=drawn, files=files)
        self.training.progress.classes = list(self.annotations.classes)
        check_limits(self.config, self.annotations, detector.config, self.training.steps)
        device, tiling = self.accelerator.device, config.tiling()
        self.validation = Evaluator(val, detector.config, device, tiling) if val else None
        if resume:
            if main:
                with only_writer(self.folder):
                    remove_halves(self.folder)
            self.problems += [p for p in read_problems(self.folder / PROBLEMS) if p not in self.problems]
            self._restore(data_changed)
            if data is not None and (data_changed or not (self.folder / DATA_RECORD).exists()):
                write_data_record(self.folder / DATA_RECORD, data)
        elif data is not None:
            begin(self.folder, self.config, data)
            if self.taken_over is not None:
                self.taken_over.write(self.folder / TAKEN_OVER)

    def fit(self) -> None:
        """Take all steps that are left, and leave the weights in the folder.

        Raises:
            Interrupted: where a signal asked for the end; the checkpoint holds all steps so far.
            InputError: for a loss that is not finite, and with `strict` a picture that cannot be read.
            OSError: where the folder cannot be written, or another process of the run was ended from outside.
        """
        alone = only_writer(self.folder) if self.accelerator.is_main_process else nullcontext()
        with alone, saying_what_is_lost(self.folder, self.accelerator.num_processes):
            self._fit()

    def _fit(self) -> None:
        training, means = self.training, Means()
        dataset = build_dataset(self.annotations, self.config, training.detector.config, transform=self.transform)
        self._write_problems()
        recorded = Recorder(self.folder, training.progress.step, writes=self.accelerator.is_main_process)
        read = closing(training.batches(dataset))
        with stopping() as stop, recorded as recorder, self._bar() as show, read as batches:
            while training.progress.step < training.steps and not self._gave_up():
                means.add(self._one_step(batches))
                show(training.progress.step, means.words())
                self._look(recorder, means)
                if training.any_process(stop.asked):
                    self._save()
                    raise Interrupted(f"stopped after step {training.progress.step} of {training.steps}")
        self._finish()

    def set_steps(self) -> None:
        """Make a resumed run as long as its settings now say, and keep them in its folder.

        Raises:
            InputError: where it has done as many steps already, and where another process goes on with it.
        """
        progress = self.training.progress
        if self.training.steps <= progress.step:
            raise InputError(f"--steps: {self.training.steps} must be more than the {progress.step} steps already done")
        progress.worse = 0  # one that has ended for want of patience is given it again
        if self.accelerator.is_main_process:
            with only_writer(self.folder):
                write_settings(self.folder, self.config)

    def summary(self) -> str:
        """What came of the run, in a sentence or two, for people."""
        progress = self.training.progress
        found = f"{progress.best:.3f} after step {progress.best_step}" if progress.best >= 0 else "-"
        best = f"; mAP {found}" if self.validation else ""
        lost = sum(problem.data_loss for problem in self.problems)
        words = f"; lost from the data in {lost} places, see {self.folder / PROBLEMS}" if lost else ""
        longer = f"`retinanet train --resume {self.folder} --steps N` makes it longer"
        return (
            f"{self.folder}: {progress.step} steps{best}{words}; the weights are in {self.folder / RUN_FILE}; {longer}"
        )

    def _changed_data(self, data: RunData | None, data_changed: bool) -> list[str]:
        """What of the data is not as it was when the run began, which the main process finds out for all."""
        before = read_data_record(self.folder / DATA_RECORD) if data else None
        [changes] = broadcast_object_list([data_changes(before, data) if before and data else []])
        if changes and not data_changed:
            said = f"data: {self.config.data} must be what the run began with, and has changed: {'; '.join(changes)}"
            raise InputError(f"{said}; --data-changed goes on all the same")
        return [f"data changed since the run began: {change}" for change in changes]

    def _built(self, resume: bool) -> RetinaNetDetector:
        """The detector that the settings describe; where a checkpoint has its weights, no file of weights is read."""
        classes, contents = self.annotations.classes, None
        is_stored = resume and (self.folder / CHECKPOINT).exists()
        if not is_stored:
            self.config, contents = find_first_weights(self.config)
        detector = build_detector(self.config, classes, is_trained=is_stored or contents is not None)
        if contents is not None:
            self.taken_over = take_over(detector, contents, str(self.config.weights))
        return detector

    def _given(self, detector: RetinaNetDetector) -> RetinaNetDetector:
        """A detector of the user's own, which must know the classes of the data."""
        found, count = detector.config.num_classes, len(self.annotations.classes)
        if found != count:
            raise InputError(f"detector: it has {found} classes, and {self.config.data} has {count}")
        if detector.class_names not in ((), tuple(self.annotations.classes)):
            raise InputError(f"detector: its classes {detector.class_names} must be {tuple(self.annotations.classes)}")
        detector.class_names = tuple(self.annotations.classes)
        detector.freeze(stages=self.config.frozen_stages, norm=self.config.frozen_norm)
        return detector.train()

    def _one_step(self, batches: Iterator[Batch]) -> dict[str, float]:
        started = time.perf_counter()
        read = list(islice(batches, self.config.accumulate))
        waited = time.perf_counter() - started
        self._note_unreadable(read)
        try:
            losses = self.training.step(read)
        except NotFiniteError as error:
            raise InputError(self._keep_batch(error)) from None
        seconds, pictures = time.perf_counter() - started, sum(len(batch.images) for batch in read)
        return losses | {"seconds": seconds, "pictures": pictures, "waited": waited}

    def _look(self, recorder: Recorder, means: Means) -> None:
        """What is due after a step: a line of metrics, an evaluation, a checkpoint."""
        training, step = self.training, self.training.progress.step
        last = step == training.steps
        if step % self.config.log_every == 0 or last:
            epoch = step * training.sampler.per_step / training.sampler.per_epoch
            recorder.write(STEPS, step, means.take() | {"epoch": epoch})
        due = self.config.evaluate_every and step % self.config.evaluate_every == 0
        if self.validation and (due or last):
            self._evaluate(recorder, self.validation)
        if step % self.config.save_every == 0 or last:
            self._save()

    def _evaluate(self, recorder: Recorder, validation: Evaluator) -> None:
        progress, weights = self.training.progress, self.training.weights()
        numbers = validation.numbers(weights) if self.accelerator.is_main_process else {}
        [numbers] = broadcast_object_list([numbers])
        recorder.write(EVALUATIONS, progress.step, {n: v if v >= 0 else math.nan for n, v in numbers.items()})
        progress.worse += 1
        if numbers["map"] > progress.best:
            progress.best, progress.best_step, progress.worse = numbers["map"], progress.step, 0
            self._write_weights()

    def _gave_up(self) -> bool:
        return 0 < self.config.patience <= self.training.progress.worse

    def _finish(self) -> None:
        if self.validation is None or not (self.folder / RUN_FILE).exists():
            self._write_weights()
        self._save()
        if self.accelerator.is_main_process:
            plot_run(self.folder)
            if self.validation:
                self.validation.report(self.folder / RUN_FILE, self.folder / EVALUATION)

    def _write_weights(self) -> None:
        if self.accelerator.is_main_process:
            detector = self.training.detector
            tensors = {name: tensor.cpu() for name, tensor in self.training.weights().items()}
            contents = WeightsFile(
                detector.config, tensors, class_names=detector.class_names, trained_on=detector.trained_on
            )
            write_weights(self.folder / RUN_FILE, contents)

    def _save(self) -> None:
        if self.accelerator.is_main_process:
            path, settings = self.folder / CHECKPOINT, self.config.with_whole_paths().as_dict()
            write_checkpoint(path, self.training.progress, self.training.tensors(), settings)

    def _restore(self, data_changed: bool) -> None:
        """Go on from the checkpoint; a run that was ended before its first one begins again."""
        if not (self.folder / CHECKPOINT).exists():
            return
        progress, tensors, settings = read_checkpoint(self.folder / CHECKPOINT)
        changed = setting_changes(settings, self.config.with_whole_paths().as_dict()) if settings else []
        self.changes += [f"setting changed since the last checkpoint: {change}" for change in changed]
        if data_changed:
            progress.pictures = len(self.annotations.pictures)
        if progress.pictures != len(self.annotations.pictures):
            raise InputError(
                f"{self.folder / CHECKPOINT}: is of a run on {progress.pictures} pictures, and {self.config.data} has "
                f"{len(self.annotations.pictures)}"
            )
        if progress.processes != self.accelerator.num_processes:
            count = f"{progress.processes} processes, and this one has {self.accelerator.num_processes}"
            raise InputError(f"{self.folder / CHECKPOINT}: is of a run in {count}, which draw other pictures")
        before, progress.classes = progress.classes, list(self.annotations.classes)
        try:
            self.training.restore(progress, self._with_rows(tensors, before, progress.classes))
        except InputError as error:
            raise InputError("; ".join([str(error), *(f"since then {change}" for change in changed)])) from None

    def _with_rows(self, tensors: dict[str, Tensor], before: list[str], now: list[str]) -> dict[str, Tensor]:
        """The tensors of a checkpoint whose class layer has rows for the classes of now."""
        if before in ([], now):
            return tensors
        if len(before) != len(now):
            what = f"data: {self.config.data} has {len(now)} classes, and the checkpoint in {self.folder} {len(before)}"
            raise InputError(f"{what}; a new run with --weights {self.folder} keeps what was learnt")
        layer = f"cls_head.{len(self.training.detector.model.cls_head) - 1}"
        return moved_rows(tensors, layer, before, now)

    def _note_unreadable(self, batches: list[Batch]) -> None:
        for path, reason in (unreadable for batch in batches for unreadable in batch.unreadable):
            if self.config.strict:
                raise InputError(reason)
            problem = Problem(path, "", reason, "the picture is left out", data_loss=True)
            if problem not in self.problems:
                self.problems.append(problem)
                self._write_problems()

    def _write_problems(self) -> None:
        if self.accelerator.is_main_process:
            write_problems(self.folder / PROBLEMS, self.problems)

    def _keep_batch(self, error: NotFiniteError) -> str:
        """Save the batch of a loss that is not finite, and say so."""
        tensors = {f"images.{i}": image.contiguous() for i, image in enumerate(error.batch.images)}
        for i, target in enumerate(error.batch.targets):
            tensors |= {f"targets.{i}.{name}": target[name].contiguous() for name in ("boxes", "labels")}
        with atomic_write(self.folder / BAD_BATCH) as beside:
            save_file({name: tensor.as_subclass(Tensor) for name, tensor in tensors.items()}, beside)
        step = self.training.progress.step + 1
        return f"step {step} is not finite: {error}; its batch is in {self.folder / BAD_BATCH}"

    def _bar(self) -> AbstractContextManager[Show]:
        is_main = self.accelerator.is_main_process
        return run_bar(self.training.steps, done=self.training.progress.step, is_shown=is_main)
