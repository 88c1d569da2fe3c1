"""`retinanet-parity`: both sides compared, rung by rung."""

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from parity_tests.cli.options import (
    Parser,
    add_override,
    add_pair,
    add_report_options,
    add_seed,
    add_version,
    check_reports,
    progress_bars,
    refuse_beside,
    report_on,
    settings_of,
)
from parity_tests.ladder.checks import check_folder
from parity_tests.ladder.climb import Report
from parity_tests.ladder.memory import keep_for_reuse, without_collecting
from parity_tests.ladder.processes import climb_in_processes
from parity_tests.retinanet.blind_spots import unseen_overrides
from parity_tests.retinanet.climb import climb_rungs
from parity_tests.retinanet.comparison import PRESETS, DetectorComparison
from parity_tests.retinanet.inputs import read_size
from parity_tests.retinanet.rungs import RUNGS
from parity_tests.retinanet.side import PACKAGES
from parity_tests.rule.errors import UsageError, refusals
from parity_tests.rule.result import PresetResult, Result

STARTED = time.perf_counter()

BESIDE_PAIRS = (
    "preset",
    "sizes",
    "image",
    "dtype",
    "rungs",
    "weights",
    "data",
    "override",
    "seed",
    "ablation",
    "against",
)
"""Options of the RetinaNets, which say nothing of a pair of one's own."""

BESIDE_RUNTIMES = ("dtype", "rungs", "data", "ablation", "repro")
"""Options of both frameworks, which say nothing of a runtime: it runs forward, in float32."""

RUNTIMES = ("bf16", "channels-last", "compiled", "onnx", "openvino", "openvino-bf16")
"""Those of `parity_tests/retinanet/runtimes.py`, which loads torch."""

DTYPES = {"float64": ("float64",), "float32": ("float32",), "both": ("float64", "float32")}


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(
        prog="retinanet-parity",
        description="Is the PyTorch model the same network as its Keras reference, and if not, where does it start?",
        epilog="exit code: 0 equal, 1 different, 2 wrong usage, 3 incomplete",
    )
    add_version(parser)
    parser.add_argument(
        "--preset",
        nargs="+",
        metavar="NAME",
        default=[],
        help="conventions of both sides (default: those of the weights file, else notebook and keras_io)",
    )
    parser.add_argument("--sizes", nargs="+", metavar="HxW", default=[], help="picture sizes, as 128x128 96x160")
    parser.add_argument(
        "--image", nargs="+", metavar="FILE", type=Path, default=[], help="pictures, instead of seeded noise"
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="both",
        help="precisions to compare; what trains, detects or prepares has float64 alone (default: %(default)s)",
    )
    parser.add_argument(
        "--rungs",
        nargs="+",
        choices=RUNGS,
        default=list(RUNGS),
        metavar="NAME",
        help=f"steps of the ladder: {', '.join(RUNGS)} (default: all)",
    )
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
    add_override(parser)
    add_seed(parser)
    parser.add_argument(
        "--against",
        metavar="RUNTIME",
        choices=RUNTIMES,
        help=f"hold the torch network, run by another runtime, against eager torch: {', '.join(RUNTIMES)}",
    )
    parser.add_argument(
        "--ablation", metavar="FILE", type=Path, help="what `ablate --json` wrote, to be part of the reports"
    )
    add_pair(parser, "compare a pair of your own, instead of the RetinaNets")
    parser.add_argument(
        "--repro",
        metavar="FOLDER",
        type=Path,
        help="where to write the first module that differs, with a script that runs it alone",
    )
    add_report_options(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Climb, report, and give the exit code."""
    check_reports(options)
    if options.pair is not None:
        refuse_beside(parser(), options, BESIDE_PAIRS, "pair")
        result = _compare_pair(options.pair, options.repro)
        return report_on(result, options)
    if options.against is not None:
        refuse_beside(parser(), options, BESIDE_RUNTIMES, "against")
        return report_on(_compare_runtime(options), options)
    check_backend()
    check_folder("--repro", options.repro)

    ablation = _read_ablation(options.ablation) if options.ablation else None
    options.preset = _presets(options)
    with progress_bars() as report:
        if len(options.preset) > 1:
            found = climb_in_processes(climb_preset, options, options.preset, report)
        else:
            found = [climb_preset(options, options.preset[0], report)]
    seconds = time.perf_counter() - STARTED
    unseen = unseen_overrides(options.override, [record for each in found for record in each.records])
    result = Result.of_presets(
        found, seconds=seconds, settings=settings_of(options), more_warnings=unseen, ablation=ablation
    )
    if options.repro and result.verdict == "different":
        result = replace(result, warnings=[*result.warnings, _write_repro(options, result)])
    return report_on(result, options)


def _write_repro(options: argparse.Namespace, result: Result) -> str:
    """Cut the first module out that differs, with both networks built anew."""
    from parity_tests.retinanet.repro import NOTHING, module_that_differs, write_detector_repro

    record = module_that_differs(result.records)
    if record is None:
        return NOTHING
    run = _started(options, record.preset)
    try:
        return write_detector_repro(run, record, options.repro, options.override)
    finally:
        run.sides.release()


def _compare_pair(name: str, repro: Path | None) -> Result:
    """Compare a pair of a user's own."""
    from parity_tests.ladder.compare_models import compare_models
    from parity_tests.ladder.model_pair import load_pair

    pair = load_pair(name)
    return compare_models(pair.made("reference"), pair.made("port"), pair.inputs, repro=repro, **pair.settings)


def _compare_runtime(options: argparse.Namespace) -> Result:
    """Hold a runtime of the torch network against eager torch; Keras is not needed."""
    from parity_tests.retinanet.runtimes import compare_runtime

    options.preset = _presets(options)[:1]
    run = _started(options, options.preset[0])
    try:
        return compare_runtime(run, options.against)
    finally:
        run.sides.release()


def _presets(options: argparse.Namespace) -> list[str]:
    """Those that are climbed, each once; the empty name is that of the weights file."""
    if options.data and not options.weights:
        raise UsageError(f"--data: {options.data} needs --weights, since random ones find nothing")
    presets = list(dict.fromkeys(options.preset)) or ([""] if options.weights else list(PRESETS))
    if options.weights and len(presets) > 1:
        several = " ".join(presets)
        raise UsageError(f"--preset: {several} are several, and {options.weights} holds the weights of one")
    return presets


def _read_ablation(path: Path) -> Mapping[str, Any]:
    from parity_tests.report import read_json

    ablation = read_json(path).ablation
    if ablation is None:
        raise UsageError(f"--ablation: {path} holds none; `retinanet-parity ablate --json` writes one")
    return ablation


def climb_preset(options: argparse.Namespace, preset: str, report: Report) -> PresetResult:
    """What climbing the ladder of one preset gives, of those that are climbed beside each other."""
    run = _started(options, preset)
    share = options.preset.index(preset), len(options.preset)
    try:
        return climb_rungs(replace(run, dtypes=DTYPES[options.dtype]), options.rungs, share=share, report=report)
    finally:
        run.sides.release()


def _started(options: argparse.Namespace, preset: str) -> DetectorComparison:
    """The comparison that the options ask for."""
    return started(
        preset,
        weights=options.weights,
        overrides=options.override,
        sizes=[read_size(text) for text in options.sizes],
        images=options.image,
        data=options.data,
        seed=options.seed,
    )


def started(preset: str, **settings: Any) -> DetectorComparison:
    """`start_run`, of which every refusal is an `UsageError`."""
    keep_for_reuse()
    with without_collecting():
        from parity_tests.retinanet import frameworks  # noqa: F401
        from parity_tests.retinanet.setup import start_run

    try:
        return start_run(preset, **settings)
    except refusals(*PACKAGES) as error:
        raise UsageError(str(error)) from None


def check_backend() -> None:
    """Refuse a backend of Keras that cannot judge.

    Raises:
        UsageError: naming it.
    """
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend == "torch":
        raise UsageError("KERAS_BACKEND: 'torch' runs torch's own kernels and is no independent reference")
    if backend != "tensorflow":
        raise UsageError(f"KERAS_BACKEND: {backend!r} must be tensorflow, which the reference is built and judged on")
