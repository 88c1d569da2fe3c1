"""What the commands are given, a detector and pictures, and what they leave in a folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from parity_tests.tests.support.detectors import SMALL, detector
from torch_retinanet.weights import RUN_FILE

NAMES = ("cat", "dog", "bird")
"""The classes of the detector, in the order of its labels."""


def save_run(folder: Path) -> Path:
    """Write a detector to the folder, as a training run leaves it there."""
    made = detector(replace(SMALL, num_classes=3, detections_per_picture=2000)).float()
    made.class_names = NAMES
    made.save(folder / RUN_FILE)
    return folder


def photo(path: Path, *, seed: int = 0, size: tuple[int, int] = (50, 70)) -> Path:
    """Write a picture of noise, of a height and a width."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def written(folder: Path) -> list[str]:
    """The files in a folder, by their paths within it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
