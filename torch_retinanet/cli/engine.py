"""The flags `--engine` and `--precision`, and the engine that they ask for."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import torch

from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.choice import choose
from torch_retinanet.engines.registry import RUNTIMES, build_engine
from torch_retinanet.errors import InputError
from torch_retinanet.inference.way import Precision
from torch_retinanet.pictures import read_picture
from torch_retinanet.predict import Engine
from torch_retinanet.terminal import note

AUTO, DEFAULT = "auto", "eager"


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
        help="what it computes in; bf16 is faster and rounds to 8 bits (default: as the weights are)",
    )


def find_engine(options: argparse.Namespace, detector: RetinaNetDetector, paths: Iterable[Path]) -> Engine:
    """The engine that the flags ask for; of `auto` the fastest on the first picture that can be read, which is said."""
    if options.engine == DEFAULT and options.precision is None:
        return detector
    precision: Precision = options.precision or _precision_of(detector)
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
    return "bf16" if next(detector.parameters()).dtype == torch.bfloat16 else "fp32"
