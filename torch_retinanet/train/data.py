"""The pictures of a run: what is trained on, what is evaluated on, and what is wrong with them."""

import csv
from collections.abc import Sequence
from pathlib import Path

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.dataset import PictureDataset
from torch_retinanet.data.formats import list_splits, read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.data.transforms import training_transforms
from torch_retinanet.errors import InputError
from torch_retinanet.train.config import TrainConfig
from torch_retinanet.weights.whole_file import written_beside

PROBLEMS = "problems.csv"
"""The file of a run that lists what is wrong with its data."""


def read_data(config: TrainConfig) -> tuple[Annotations, Annotations | None]:
    """What a run trains on, and what it evaluates on, if anything; screened.

    Raises:
        InputError: for annotations that cannot be read, hold no picture, or with `strict` would lose anything.
    """
    splits = list_splits(config.data)
    split = config.split or ("train" if "train" in splits else None)
    train = screen(read_annotations(config.data, split=split, images=config.images), decode=False)
    if not len(train.pictures):
        raise InputError(f"data: {config.data} has no picture to train on")
    if not len(train.boxes):
        raise InputError(f"data: {config.data} has no object to train on")
    val = _validation_data(config, splits, train.classes)
    if config.strict:
        _refuse_losses([*train.problems, *(val.problems if val else ())])
    return train, val


def _validation_data(config: TrainConfig, splits: Sequence[str], class_names: Sequence[str]) -> Annotations | None:
    """What is asked for, else the split `val` where there is one, else nothing."""
    split = config.val_split or ("val" if config.val is None and "val" in splits else None)
    if config.val is None and split is None:
        return None
    images = config.images if config.val is None else None
    found = read_annotations(config.val or config.data, split=split, images=images, class_names=class_names)
    return screen(found, decode=False)


def build_dataset(annotations: Annotations, config: TrainConfig, conventions: RetinaNetConfig) -> PictureDataset:
    """The pictures that a run draws, changed as its settings say, in the sizes of a model's conventions."""
    transform = training_transforms(
        conventions,
        flip=config.flip,
        vertical_flip=config.vertical_flip,
        scale=config.scale,
        crop=config.crop,
        colour=config.colour,
    )
    return PictureDataset(annotations, transform=transform, seed=config.seed)


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write what is wrong as a CSV: file, place, what, what training does, whether anything is lost."""
    with (
        written_beside(path) as beside,
        beside.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(Problem._fields)
        writer.writerows(problems)


def _refuse_losses(problems: Sequence[Problem]) -> None:
    lost = [problem for problem in problems if problem.lost]
    if lost:
        first = lost[0]
        place = f"{first.file}, {first.place}" if first.place else f"{first.file}"
        raise InputError(f"{place}: {first.what}; with strict nothing may be lost, and {len(lost)} would be")
