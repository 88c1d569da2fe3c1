"""`retinanet benchmark`: how fast this package is on this machine, beside others."""

import argparse
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_retinanet.benchmark.contenders.torchvision import NAME as REFERENCE
from torch_retinanet.benchmark.task import KINDS, Task, write_pictures
from torch_retinanet.cli.detector import add_device, batch_size
from torch_retinanet.devices import find_device
from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.terminal import note, say

if TYPE_CHECKING:
    from torch_retinanet.benchmark.report import Measured

WIDTH = 120
"""Letters in a line where the output is no terminal."""


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    command = commands.add_parser("benchmark", help="measure the speed on this machine, beside other packages")
    command.add_argument(
        "model", nargs="?", metavar="RUN", help="a run or weights file (default: ResNet-50 with random weights)"
    )
    command.add_argument(
        "--tasks",
        nargs="+",
        choices=KINDS,
        default=["network", "detect"],
        help="the network alone, from picture files to boxes, a training step (network detect)",
    )
    command.add_argument(
        "--sizes",
        nargs="+",
        type=_size,
        default=[(640, 640)],
        metavar="HxW",
        help="pixels of the pictures, as 640 or 800x1333 (640)",
    )
    command.add_argument("--batches", nargs="+", type=batch_size, default=[1], metavar="B", help="pictures at once (1)")
    command.add_argument("--boxes", type=batch_size, default=8, help="objects of a picture in a training step (8)")
    command.add_argument("--contenders", nargs="+", default=[], metavar="NAME", help="who is measured (all)")
    command.add_argument("--rounds", type=batch_size, default=5, help="turns of each (5)")
    command.add_argument("--json", type=Path, help="write all that was measured")
    command.add_argument("--plot", type=Path, help="draw the ratios, a .png")
    add_device(command)
    command.set_defaults(run=_benchmark)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if found is None or not 32 <= int(found[1]) <= 10_000 or not 32 <= int(found[2] or found[1]) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} must be pixels from 32 to 10000, as 640 or 800x1333")
    return int(found[1]), int(found[2] or found[1])


def _benchmark(options: argparse.Namespace) -> int:
    from torch_retinanet.benchmark.contenders import chosen
    from torch_retinanet.benchmark.report import as_json, plot, table
    from torch_retinanet.cli.tables import TableConsole

    if options.plot is not None and options.plot.suffix.lower() != ".png":
        raise InputError(f"--plot: {options.plot} must end in .png")
    contenders = chosen(options.contenders)
    missing = {name: one.missing for name, (_, one) in contenders.items() if one.missing}
    present = {name: module for name, (module, _) in contenders.items() if name not in missing}
    if not present:
        raise InputError(f"--contenders: {_missing(missing)}; one at least must be there")
    measured = []
    for one in _measure(options, present):
        TableConsole(WIDTH).print(table(one))
        measured.append(one)
    if missing:
        say(f"not measured: {_missing(missing)}")
    _write(options, json.dumps(as_json(measured, missing), indent=1), plot, measured)
    return 0


def _missing(missing: dict[str, list[str]]) -> str:
    return ", ".join(f"{name} ({' and '.join(packages)} not installed)" for name, packages in missing.items())


def _measure(options: argparse.Namespace, contenders: Mapping[str, str]) -> Iterator["Measured"]:
    """Every task: with one thread by its CPU time, and with all cores by the clock."""
    from torch_retinanet.benchmark.limit import operations, operations_a_second
    from torch_retinanet.benchmark.report import Measured
    from torch_retinanet.benchmark.turns import take_turns

    reference = REFERENCE if REFERENCE in contenders else next(iter(contenders))
    device = find_device(options.device).type
    with tempfile.TemporaryDirectory() as folder:
        for task in _tasks(options, Path(folder), device):
            is_network = task.kind == "network" and device == "cpu"
            for threads in sorted({1, os.cpu_count() or 1}) if device == "cpu" else (1,):
                note(f"retinanet: {task.title}, threads: {threads}; in turn: {', '.join(contenders)}")
                yield Measured(
                    task=task,
                    threads=threads,
                    seconds=list(take_turns(task, contenders, threads=threads, rounds=options.rounds)),
                    reference=reference,
                    operations=operations(task) if is_network else None,
                    operations_a_second=operations_a_second(threads) if is_network else None,
                )


def _tasks(options: argparse.Namespace, folder: Path, device: str) -> Iterator[Task]:
    classes = {"num_classes": _classes(options.model), "weights": options.model} if options.model else {}
    for kind in options.tasks:
        for height, width in options.sizes:
            for batch in options.batches:
                size = {"height": height, "width": width, "batch": batch}
                task = Task(kind=kind, **size, boxes=options.boxes, device=device, **classes)
                yield replace(task, files=write_pictures(task, folder)) if kind == "detect" else task


def _classes(model: str) -> int:
    """How many classes a model has; a model that cannot be read is refused before anything is measured."""
    from torch_retinanet.weights import find_weights

    return find_weights(model).config.num_classes


def _write(options: argparse.Namespace, text: str, plot: Any, measured: Sequence["Measured"]) -> None:
    for path in (options.json, options.plot):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as beside:
                if path == options.json:
                    beside.write_text(text + "\n", encoding="utf-8")
                else:
                    plot(measured).savefig(beside, dpi=120, format="png")
            say(f"written: {path}")
