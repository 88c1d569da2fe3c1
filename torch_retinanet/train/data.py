"""The pictures of a run: what is trained on, what is evaluated on, and what is wrong with them."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.dataset import PictureDataset
from torch_retinanet.data.formats import list_splits, read_annotations
from torch_retinanet.data.formats.splits import KNOWN_SPLITS, TESTING, TRAINING, VALIDATION, first_of
from torch_retinanet.data.mixing import Mixing
from torch_retinanet.data.nothing_to_train_on import most_frequent, why_nothing_to_train_on
from torch_retinanet.data.screening import screen
from torch_retinanet.data.tiled import tiled
from torch_retinanet.data.transforms import training_transforms
from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.pictures import allow_pixels
from torch_retinanet.train.config import TrainConfig
from torch_retinanet.weights.trained_on import TrainedOn

FLAGS = "data_loss", "assumption"
"""The fields of a problem that are true or false."""


PROBLEMS = "problems.csv"
"""The file of a run that lists what is wrong with its data."""


def read_data(config: TrainConfig) -> tuple[Annotations, Annotations | None]:
    """What a run trains on, and what it evaluates on, if anything; screened.

    Raises:
        InputError: for annotations that cannot be read, hold no picture, or with `strict` would lose anything.
    """
    allow_pixels(config.max_pixels)
    splits = list_splits(config.data)
    split, images = _training_split(config, splits), config.images
    found = read_annotations(config.data, split=split, images=images, classes=config.classes, **_reading(config))
    train = screen(found, decode=False)
    if (tiling := config.tiling()) is not None:
        train = tiled(train, tiling, empty=config.empty_tiles, seed=config.seed)
    if why := why_nothing_to_train_on(train):
        raise InputError(f"data: {config.data} {why}")
    val = _validation_data(config, splits, train.classes)
    val = replace(val, white=TrainedOn(train.white).white_beside(val.white)) if val else None
    if config.strict:
        _refuse_losses([*train.problems, *(val.problems if val else ())])
    return train, val


def _validation_data(config: TrainConfig, splits: Sequence[str], class_names: Sequence[str]) -> Annotations | None:
    """What is asked for, else the split for it where there is one, else nothing."""
    split = config.val_split or (first_of((*VALIDATION, *TESTING), splits) if config.val is None else None)
    if config.val is None and split is None:
        _refuse_without_validation(config)
        return None
    data, images = (config.data, config.images) if config.val is None else (config.val, config.val_images)
    names: dict[str, Any] = {"classes": config.classes, "class_names": class_names}
    val = screen(read_annotations(data, split=split, images=images, **names, **_reading(config)), decode=False)
    if not val.object_count:
        place = f"split {split} of {data}" if split else f"{data}"
        why = most_frequent(val.problems)
        raise InputError(f"val: {place} has no object of the classes {', '.join(class_names)} to evaluate on{why}")
    return val


def _reading(config: TrainConfig) -> dict[str, Any]:
    """How annotations are read, those to train on and those to evaluate on."""
    return {"boxes": config.boxes, "labelled_only": config.labelled_only}


def _training_split(config: TrainConfig, splits: Sequence[str]) -> str | None:
    if config.split is not None or not splits:
        return config.split
    if split := first_of(TRAINING, splits):
        return split
    if len(splits) > 1 or first_of(KNOWN_SPLITS, splits):
        raise InputError(f"split: one of {', '.join(splits)} must be given, since {config.data} has none called train")
    return None  # a list of all pictures, as annotation tools write it


def _refuse_without_validation(config: TrainConfig) -> None:
    for name in ("evaluate_every", "patience"):
        if value := getattr(config, name):
            raise InputError(
                f"{name}: {value!r} must not be given without pictures to evaluate on, as --val names them"
            )


def build_dataset(
    annotations: Annotations, config: TrainConfig, conventions: RetinaNetConfig, *, transform: nn.Module | None = None
) -> PictureDataset:
    """The pictures that a run draws, changed by `transform` or as its settings say, in the sizes of a model."""
    transform = transform or training_transforms(
        conventions,
        flip=config.flip,
        vertical_flip=config.vertical_flip,
        scale=config.scale,
        crop=config.crop,
        colour=config.colour,
    )
    fill = [round(value) for value in conventions.pixel_mean]
    mixing = Mixing(config.mosaic, config.copy_paste, config.mixup, fill)
    channels = conventions.in_channels
    return PictureDataset(annotations, transform=transform, seed=config.seed, channels=channels, mixing=mixing)


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write what is wrong as a CSV: file, location, finding, what training does, whether data is lost or assumed."""
    with (
        atomic_write(path) as beside,
        beside.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(Problem._fields)
        writer.writerows(problems)


def read_problems(path: Path) -> list[Problem]:
    """What `write_problems` wrote; nothing where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        Problem(
            Path(row["file"]), row["location"], row["finding"], row["action"], *(row.get(n) == "True" for n in FLAGS)
        )
        for row in rows
    ]


def _refuse_losses(problems: Sequence[Problem]) -> None:
    lost = [problem for problem in problems if problem.data_loss]
    assumed = [problem for problem in problems if problem.assumption]
    for first in (lost or assumed)[:1]:
        place = f"{first.file}, {first.location}" if first.location else f"{first.file}"
        rule = f"nothing may be lost, and {len(lost)} would be" if lost else "nothing may be taken for granted"
        raise InputError(f"{place}: {first.finding}; with strict {rule}")
