"""The flags `--engine`, `--precision` and `--batch-size`, and the engine that they ask for."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from torch_retinanet.cli.detector import batch_size
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.choice import choose
from torch_retinanet.engines.registry import RUNTIMES, build_engine
from torch_retinanet.engines.together import CheckedBatches
from torch_retinanet.errors import InputError
from torch_retinanet.inference.way import DTYPES, Precision
from torch_retinanet.pictures import read_picture
from torch_retinanet.predict import Engine
from torch_retinanet.terminal import note

AUTO, DEFAULT = "auto", "eager"

TOGETHER = 8
"""Pictures that a GPU detects together, and that are read ahead on a CPU too."""


def add_engine(command: argparse.ArgumentParser) -> None:
    """Add the flags `--engine` and `--precision`."""
    command.add_argument(
        "--engine",
        choices=(AUTO, *RUNTIMES),
        default=DEFAULT,
        help="what computes: the network as it is (eager, the default), with packed weights, or compiled for fewer "
        "products too; auto measures these three on the first picture, and remembers the fastest; onnx and openvino "
        "export the network first",
    )
    command.add_argument(
        "--precision",
        choices=get_args(Precision),
        help="what it computes in; bf16 is faster and rounds to 8 bits, fp16 is for GPUs (default: as the weights are)",
    )


def add_batch_size(command: argparse.ArgumentParser) -> None:
    """Add the flag `--batch-size`."""
    command.add_argument(
        "--batch-size",
        type=batch_size,
        help="pictures detected together (8 on a GPU; 1 on a CPU, where more are slower); in fp32 the first batch is "
        "detected one by one too, and so are all others where that finds something else",
    )


def find_batch_size(options: argparse.Namespace, detector: RetinaNetDetector) -> int:
    """How many pictures go through the network together."""
    given: int | None = options.batch_size
    return given or (TOGETHER if next(detector.parameters()).is_cuda else 1)


def find_engine(options: argparse.Namespace, detector: RetinaNetDetector, paths: Iterable[Path]) -> Engine:
    """The engine that the flags ask for; in float32, of which the rule is, its batches are checked."""
    precision: Precision = options.precision or _precision_of(detector)
    engine = _find_engine(options, detector, paths, precision)
    return CheckedBatches(engine) if precision == "fp32" and find_batch_size(options, detector) > 1 else engine


def _find_engine(
    options: argparse.Namespace, detector: RetinaNetDetector, paths: Iterable[Path], precision: Precision
) -> Engine:
    """The one of the flags; of `auto` the fastest on the first picture that can be read, which is said."""
    if options.engine == DEFAULT and options.precision is None:
        return detector
    if options.engine != AUTO:
        return build_engine(options.engine, detector, precision)
    for path in paths:
        try:
            picture = read_picture(path, channels=detector.config.in_channels)
        except (InputError, OSError):
            continue
        choice, engine = choose(detector, picture, precision)
        note(f"retinanet: {choice.in_words()}")
        return engine
    return build_engine(DEFAULT, detector, precision)


def _precision_of(detector: RetinaNetDetector) -> Precision:
    of_weights = next(detector.parameters()).dtype
    return next((name for name, dtype in DTYPES.items() if dtype == of_weights), "fp32")
