"""What commands that detect have in common: the detector, how far it has come, and what it could not read."""

import argparse
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from torch_retinanet.data.dataset import Unreadable
from torch_retinanet.detector import RetinaNetDetector

T = TypeVar("T")

SHOWN = 20
"""Pictures that could not be read whose reasons are printed."""


def batch_size(text: str) -> int:
    """The value of `--batch`."""
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number of at least 1")
    return int(text)


def read_detector(path: Path) -> RetinaNetDetector:
    """The detector of a run or a weights file, on the GPU where there is one.

    Errors are those of `RetinaNetDetector.from_pretrained`.
    """
    detector = RetinaNetDetector.from_pretrained(path).to(memory_format=torch.channels_last)
    return detector.to("cuda" if torch.cuda.is_available() else "cpu")


def watched(items: Iterable[T], *, total: int, words: str) -> Iterable[T]:
    """The items one by one, with a bar where stderr is a terminal."""
    if not sys.stderr.isatty():
        return items
    from torch_retinanet.data.progress import track

    return track(items, total=total, words=words)


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
        print(f"retinanet: {picture.reason}", file=sys.stderr)
    if len(unreadable) > SHOWN:
        print(f"retinanet: and {len(unreadable) - SHOWN} pictures more", file=sys.stderr)
