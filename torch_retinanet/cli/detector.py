"""What commands that detect have in common: the detector, how far it has come, and what it could not read."""

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args, get_type_hints

from torch_retinanet.config import PRESETS
from torch_retinanet.config.pictures import PostprocessingConventions
from torch_retinanet.data.dataset import Unreadable
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.devices import DEVICES, Device, find_device
from torch_retinanet.errors import InputError
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


def add_preset(command: argparse.ArgumentParser) -> None:
    """Add the flag `--preset`."""
    words = "the preset of a weights file whose names fit several (default: the likeliest)"
    command.add_argument("--preset", choices=PRESETS, help=words)


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
        help="the share of a tile that the next one shows too; what is smaller is found once (default: as the "
        "run was trained, or 0.25)",
    )


def find_tiling(options: argparse.Namespace, detector: RetinaNetDetector) -> Tiling | None:
    """How pictures are cut: as the flags say, or else as those were that the model learnt from, which is said then."""
    trained = detector.trained_on.tiling
    if options.tile is None and options.overlap is None:
        if trained is not None:
            words = f"tiles of {trained.size} pixels that overlap by {trained.overlap:g}, as those of its training"
            note(f"retinanet: {options.model}: pictures are cut into {words}; --tile 0 takes them whole")
        return trained
    size = options.tile if options.tile is not None or trained is None else trained.size
    if not size:
        if options.overlap is not None:
            raise InputError(f"--overlap: {options.overlap} must come with --tile")
        return None
    if options.overlap is not None:
        return Tiling(size, options.overlap)
    return Tiling(size) if trained is None else Tiling(size, trained.overlap)


def find_white(detector: RetinaNetDetector, own: int | None) -> int | None:
    """What is white in gray pictures of 16 bits: `own`, which their bits say, or the larger one of its training.

    It is said where it is that of its training.
    """
    white = detector.trained_on.white_beside(own)
    if own is not None and white != own:
        note(f"retinanet: {white} is white in gray of 16 bits, as in the model's training")
    return white


def read_detector(path: str | Path, device: Device | None = None, **given: Any) -> RetinaNetDetector:
    """The detector of a run, a weights file or a repository, on a device, by default on the GPU where there is one.

    Of the `preset` and the fields of the config that are given, those that are not `None` count.

    Raises:
        InputError: for a device that this machine does not have; and as `RetinaNetDetector.from_pretrained`.
    """
    place = find_device(device)
    changes = {name: value for name, value in given.items() if value is not None}
    detector = RetinaNetDetector.from_pretrained(path, **changes)
    if detector.origin:
        note(f"retinanet: {path} {detector.origin}")
    return detector.to(place)


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
