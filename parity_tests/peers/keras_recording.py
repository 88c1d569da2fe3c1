"""What the recordings of all peers in Keras share: weights, inputs, and how answers are taken; numpy alone."""

import argparse
import math
import multiprocessing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parity_tests.peers.hdf5 import digest
from parity_tests.peers.recording import Recording, Tuning
from parity_tests.peers.values import noise, true_boxes, value_of

CLASSES = 7
WANTED_LOGITS = 2.5
WANTED_DELTAS = 1.0
CLASS_BIAS = -9.0
"""What is aimed at: the scores of some dozens of detections lie between 0.05 and 1."""


EDGE_BOXES = np.array(
    [[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 6], [20, 20, 30, 30], [20, 20, 30, 30], [40, 40, 40, 50],
     [50, 50, 60, 60], [-9, -9, 0, 0], [-9, -9, 1, 1], [70, 70, 80, 80], [70, 70, 80, 75]], np.float32)  # fmt: skip
EDGE_SCORES = np.array(
    [[0.9, 0.9], [0.8, 0.0], [0.7, 0.95], [0.6, 0.0], [0.0, 0.6], [0.55, 0.6], [0.5, 0.0], [0.75, 0.0], [0.65, 0.0],
     [0.85, 0.0], [0.84, 0.0]], np.float32)  # fmt: skip
"""Boxes (11,4) and scores (11,2) at the edges of suppression: overlaps of a half, equal boxes and scores, no width."""

EDGE_LOGITS = np.array([[-30.0], [-17.0], [-15.0], [0.0], [15.0], [17.0], [30.0]], np.float32)
"""Where the focal loss has lost its digits, and between."""


def arguments(description: str | None, *, needs_source: bool = False) -> argparse.Namespace:
    """The options of every peer's script; `source` where its package is in no index."""
    parser = argparse.ArgumentParser(description=description)
    if needs_source:
        parser.add_argument("--source", type=Path, required=True, help="a checkout of the package")
    parser.add_argument("--out", type=Path, required=True, help="the folder that is written")
    parser.add_argument("--seed", type=int, default=0, help="of all weights and pictures")
    parser.add_argument("--whole", action="store_true", help="keep every element of every answer")
    return parser.parse_args()


def apart(work: Callable[..., Any], *given: Any) -> Any:
    """Runs work in a process of its own: Keras keeps the precision that its packages were imported with."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given)


def keras_value(name: str, shape: tuple[int, ...], seed: int, tuning: Tuning) -> np.ndarray:
    """A weight of a recorded model in float32: `value_of` with kernels HWIO, tuned."""
    scale, shift = tuning.get(name, (1.0, 0.0))
    return np.asarray(value_of(name, shape, seed, kernel_axes="HWIO") * np.float32(scale) + np.float32(shift))


def power_of_two(wanted: float, values: np.ndarray) -> float:
    """The power of two that brings the spread of values nearest to what is wanted."""
    return float(2.0 ** round(math.log2(wanted / float(np.std(values)))))


def digests(weights: Iterable[tuple[str, tuple[int, ...]]], seed: int, tuning: Tuning) -> dict[str, str]:
    """By the digest of its numbers each weight's name."""
    return {digest(keras_value(name, shape, seed, tuning)): name for name, shape in weights}


def inputs(size: tuple[int, int], count: int, seed: int, spread: float) -> np.ndarray:
    """Normalised pictures `[B,H,W,3]` in float32: normal noise of this spread."""
    return np.asarray(noise(f"{size[0]}x{size[1]}", (count, *size, 3), seed) * np.float32(spread))


def truths(size: tuple[int, int], count: int, seed: int, classes: int = CLASSES) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes `[N,4]` in float64, x1, y1, x2, y2, and labels `[N]` of each picture.

    The second picture has none. A picture that is large enough for the anchors of P6 has a box that fills it.
    """
    found = []
    for number in range(count):
        boxes = true_boxes(f"{size[0]}x{size[1]}/{number}", 0 if number == 1 else 4, *size, seed)
        if max(size) >= 256 and number == 0:
            boxes = np.concatenate([boxes, [[0.0, 0.0, size[1], size[0]]]])
        found.append((boxes, np.arange(len(boxes)) * 2 % classes))
    return found


def add_gradients(record: Recording, where: str, by_logits: np.ndarray, by_deltas: np.ndarray, positives: np.ndarray,
                  by_weights: Mapping[str, np.ndarray]) -> None:  # fmt: skip
    """Keeps gradients by logits `[B,N,K]`, by deltas `[B,N,4]`, and of each weight the sum of their sizes."""
    record.add(f"{where}/grad_logits", by_logits)
    record.add_rows(f"{where}/grad_logits_positive", by_logits, positives)
    record.add_rows(f"{where}/grad_deltas_positive", by_deltas, positives)
    for name, gradient in by_weights.items():
        record.add_all(f"{where}/grad_sum/{name}", np.abs(gradient).sum(dtype=np.float64))


def add_training_pass(record: Recording, where: str, logits: Any, deltas: Any, weights: Iterable[Any]) -> None:
    """Keeps what a model answers in training mode, and the first BatchNorm's statistics thereafter."""
    record.add(f"{where}/logits", logits.numpy())
    record.add(f"{where}/deltas", deltas.numpy())
    for weight in weights:
        if weight.path.startswith("conv1_bn/moving"):
            record.add_all(f"{where}/{weight.path}", weight.numpy())
