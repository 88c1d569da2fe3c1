"""What commands that detect have in common: the detector, how far it has come, and what it could not read."""

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args, get_type_hints

from torch_retinanet.config.pictures import PostprocessingConventions
from torch_retinanet.data.dataset import Unreadable
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.devices import DEVICES, Device, find_device
from torch_retinanet.errors import InputError
from torch_retinanet.pictures import WHITE
from torch_retinanet.terminal import note
from torch_retinanet.tiles import Tiling

MODEL = "the folder of a run, a weights file, COCO_V1 for torchvision's weights, or OWNER/NAME on the Hub"
"""What RUN can be."""

SHOWN = 20
"""Pictures that could not be read whose reasons are printed."""


def batch_size(text: str) -> int:
    """The value of `--batch-size` and of `--read-ahead`."""
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number of at least 1")
    return int(text)


def add_device(command: argparse.ArgumentParser) -> None:
    """Add the flag `--device`."""
    command.add_argument("--device", choices=DEVICES, help="where it runs (default: the GPU where there is one)")


def add_nms_classes(command: argparse.ArgumentParser) -> None:
    """Add the flag `--nms-classes`."""
    command.add_argument(
        "--nms-classes",
        choices=get_args(get_type_hints(PostprocessingConventions)["nms_classes"]),
        help="whether a better detection drops others of each class by itself, or of all classes: an object then has "
        "one label (default: as the model says)",
    )


def add_tiles(command: argparse.ArgumentParser) -> None:
    """Add the flags `--tile` and `--overlap`."""
    command.add_argument(
        "--tile",
        type=int,
        metavar="PIXELS",
        help="cut pictures into tiles of this side, to find what is small in them; 0 for whole pictures (default: as "
        "the run was trained)",
    )
    command.add_argument(
        "--overlap",
        type=float,
        metavar="SHARE",
        help="the share of a tile that the next one shows too; what is smaller is found once (0.25)",
    )


def find_tiling(options: argparse.Namespace) -> Tiling | None:
    """How pictures are cut: as the flags say, or else as those were that a run was trained on, which is said then."""
    settings = Path(options.model) / "config.toml"
    if options.tile is None and options.overlap is None and settings.is_file():
        from torch_retinanet.train import TrainConfig

        trained = TrainConfig.from_toml(settings).tiling()
        if trained is not None:
            words = f"pictures are cut into tiles of {trained.size} pixels, as those of its training"
            note(f"retinanet: {options.model}: {words}; --tile 0 takes them whole")
        return trained
    if not options.tile:
        if options.overlap is not None:
            raise InputError(f"--overlap: {options.overlap} must come with --tile")
        return None
    return Tiling(options.tile) if options.overlap is None else Tiling(options.tile, options.overlap)


def find_white(options: argparse.Namespace, white: int) -> int:
    """The value that is white in gray pictures of 16 bits: `white`, which their bits say, or that of a run's training.

    Pictures that happen to be dark are then as bright as those that the weights learned from. It is said then.
    """
    if white == WHITE or not Path(options.model).is_dir():
        return white
    from torch_retinanet.train.data_record import read_data_record
    from torch_retinanet.train.run_folder import DATA_RECORD

    data = read_data_record(Path(options.model) / DATA_RECORD)
    if data is None or not white < data.train.white < WHITE:
        return white
    note(f"retinanet: {options.model}: {data.train.white} is white in gray of 16 bits, as in its training")
    return data.train.white


def read_detector(path: str | Path, device: Device | None = None, **given: Any) -> RetinaNetDetector:
    """The detector of a run, a weights file or a repository, on a device, by default on the GPU where there is one.

    Of the fields of the config that are given, those that are not `None` are changed.

    Raises:
        InputError: for a device that this machine does not have; and as `RetinaNetDetector.from_pretrained`.
    """
    place = find_device(device)
    changes = {name: value for name, value in given.items() if value is not None}
    return RetinaNetDetector.from_pretrained(path, **changes).to(place)


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """Says what is being done, where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(words):
        yield


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Within it Pillow says nothing of metadata that it cannot parse; what cannot be read is an error all the same."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def report_unreadable(unreadable: Sequence[Unreadable]) -> None:
    """Say on stderr why pictures could not be read."""
    for picture in unreadable[:SHOWN]:
        note(f"retinanet: {picture.reason}")
    if len(unreadable) > SHOWN:
        note(f"retinanet: and {len(unreadable) - SHOWN} pictures more")
