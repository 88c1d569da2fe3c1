"""`retinanet-parity`: both sides compared, rung by rung."""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from parity_tests.beside import Climbed, Progress, climb_beside, peak_memory
from parity_tests.cli.options import (
    Parser,
    add_report_options,
    check_reports,
    plain_console,
    progress_bars,
    settings_of,
    write_reports,
)
from parity_tests.errors import InputError

if TYPE_CHECKING:
    from parity_tests.bridge import Config
    from parity_tests.compare import Record
    from parity_tests.inputs import Scene
    from parity_tests.rungs import Run

STARTED = time.perf_counter()

PRESETS = ("notebook", "keras_io")
"""Those that have a Keras reference."""

RUNGS = (
    *("shapes", "parameters", "forward", "anchors", "targets", "losses", "gradients", "step", "trajectory"),
    *("detections", "metric"),
)
DTYPES = {"float64": ("float64",), "float32": ("float32",), "both": ("float64", "float32")}


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(
        prog="retinanet-parity",
        description="Is the PyTorch model the same network as its Keras reference, and if not, where does it start?",
        epilog="exit code: 0 equal, 1 different, 2 wrong usage, 3 incomplete",
    )
    parser.add_argument(
        "--preset",
        nargs="+",
        metavar="NAME",
        default=[],
        help="conventions of both sides (default: those of the weights file, else notebook and keras_io)",
    )
    parser.add_argument("--sizes", nargs="+", metavar="HxW", default=[], help="picture sizes, as 128x128 96x160")
    parser.add_argument("--image", nargs="+", metavar="FILE", type=Path, help="pictures, instead of seeded noise")
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="both",
        help="precisions to compare; gradients, step, detections and metric have float64 alone (default: %(default)s)",
    )
    parser.add_argument("--rungs", nargs="+", choices=RUNGS, default=RUNGS, help="steps of the ladder (default: all)")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        type=Path,
        help="a .keras, .weights.h5 or .safetensors file, instead of seeded random",
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        type=Path,
        help="annotated pictures in any format, on which the weights detect: rungs detections and metric",
    )
    parser.add_argument(
        "--turn",
        nargs="+",
        metavar="NAME=VALUE",
        default=[],
        help="conventions of the PyTorch side to turn, to see it fail",
    )
    add_report_options(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Climb, report, and give the exit code."""
    _check_backend()
    check_reports(options)
    from parity_tests.provenance import provenance
    from parity_tests.report import print_report
    from parity_tests.result import Result

    presets = options.preset or ([] if options.weights else list(PRESETS))
    with progress_bars() as report:
        if len(presets) > 1 and not options.weights:
            climbed = climb_beside(climb_preset, options, presets, report)
        else:
            climbed = [climb_preset(options, presets[0] if presets else "", report)]
    records = [record for of_preset in climbed for record in of_preset.records]
    result = Result(
        records=records,
        settings=settings_of(options) | {"preset": list(dict.fromkeys(record.preset for record in records))},
        provenance=provenance(),
        cost={
            "seconds": time.perf_counter() - STARTED,
            "peak_gib": sum(of_preset.peak for of_preset in climbed) / 2**30,
        },
    )
    print_report(result, plain_console())
    write_reports(result, options)
    return result.exit_code


def climb_preset(options: argparse.Namespace, preset: str, report: "Callable[[Progress], None]") -> Climbed:
    """What climbing the ladder of one preset gives; without a name it is that of the weights file."""
    run = _prepare(options, preset)
    try:
        return Climbed(preset, _climb(run, options.rungs, report), peak_memory())
    finally:
        run.release()


def _prepare(options: argparse.Namespace, preset: str) -> "Run":
    from parity_tests import bridge, inputs
    from parity_tests.rungs import Run

    sizes = [inputs.read_size(text) for text in options.sizes]
    if options.data and not options.weights:
        raise InputError(f"--data: {options.data} needs --weights, since random ones find nothing")
    try:
        images = partial(bridge.picture_batch, bridge.read_pictures(options.image)) if options.image else None
        preset = bridge.check_preset(preset, options.preset, options.weights)
        config, variables = bridge.prepare(preset, options.weights, sizes)
        turned, optimizer_turns = bridge.turn(config, options.turn)
        scenes = _scenes(options, turned) if options.data else []
    except bridge.INPUT_ERRORS as error:
        raise InputError(str(error)) from None
    return Run(
        preset=preset,
        config=turned,
        optimizer_turns=optimizer_turns,
        variables=variables,
        sizes=sizes,
        dtypes=DTYPES[options.dtype],
        anchor_scale=config.anchor_scale,
        images=images or inputs.random_images,
        scenes=scenes,
    )


def _scenes(options: argparse.Namespace, config: "Config") -> "list[Scene]":
    from parity_tests.bridge.annotated import annotated_scenes  # what reads annotations is in the extra `train`

    return annotated_scenes(options.data, options.weights, config)


def _climb(run: "Run", rungs: Sequence[str], report: "Callable[[Progress], None]") -> list["Record"]:
    """All records of the rungs; what fails to run is kept as incomplete."""
    from parity_tests.bridge import FRAMEWORK_ERRORS
    from parity_tests.compare import ALL, Record
    from parity_tests.rungs import RUNGS as CASES

    cases = [case for rung in CASES if rung in rungs for case in CASES[rung](run)]
    records: list[Record] = []
    for done, case in enumerate(cases):
        report(Progress(run.preset, f"{case.rung} {case.name}", done, len(cases)))
        try:
            records += case.compare()
        except FRAMEWORK_ERRORS as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            records.append(Record(rung=case.rung, case=case.name, name=ALL, verdict="incomplete", reason=reason))
    return [replace(record, preset=run.preset) for record in records]


def _check_backend() -> None:
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend == "torch":
        raise InputError("KERAS_BACKEND: 'torch' runs torch's own kernels and is no independent reference")
    if backend != "tensorflow":
        raise InputError(f"KERAS_BACKEND: {backend!r} must be tensorflow, which the reference is built and judged on")
