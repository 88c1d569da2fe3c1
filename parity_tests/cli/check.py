"""`retinanet-parity check`: a recorded side held against the other one, without the framework that was recorded."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity_tests.cli.options import (
    Parser,
    add_report_options,
    check_reports,
    plain_console,
    progress_bars,
    settings_of,
    write_reports,
)
from parity_tests.compare import Record
from parity_tests.errors import InputError
from parity_tests.rungs import RUNGS, Run, climb

MODES = ("isolated", "cascaded")

WORDS = {"keras": "Keras reference", "torch": "PyTorch model"}


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(
        prog="retinanet-parity check",
        description="Hold what `retinanet-parity record` wrote against the other side.",
        epilog="exit code: 0 equal, 1 different, 2 wrong usage, 3 incomplete",
    )
    parser.add_argument("bundle", type=Path, help="the folder that was recorded")
    parser.add_argument(
        "--turn", nargs="+", metavar="NAME=VALUE", default=[], help="conventions of the PyTorch side to turn"
    )
    add_report_options(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Check, report, and give the exit code."""
    check_reports(options)
    from parity_tests.bundle.files import Bundle
    from parity_tests.report import print_report
    from parity_tests.result import Result

    began, bundle = time.perf_counter(), Bundle(options.bundle)
    side = bundle.of("side")
    if side not in WORDS:
        raise InputError(f"{options.bundle}: side {side!r} must be one of {', '.join(WORDS)}")
    other = "torch" if side == "keras" else "keras"
    run = _start(bundle, other, options.turn)
    rungs = {name: RUNGS[name] for name in RUNGS if name in bundle.of("rungs")}
    with progress_bars() as report:
        climbed = climb(rungs, run, report)
    result = Result.of(
        [climbed],
        seconds=time.perf_counter() - began,
        settings=settings_of(options) | {"recorded with": bundle.of("provenance"), "left_out": bundle.of("left_out")},
        reference=f"recorded {WORDS[side]}",
        port=WORDS[other],
        more_warnings=_sampled_sizes(climbed.records),
    )
    print_report(result, plain_console())
    write_reports(result, options)
    return result.exit_code


def _start(bundle: Any, other: str, turns: Sequence[str]) -> Run:
    from parity_tests.bridge.errors import input_errors
    from parity_tests.bundle.replay import Replay, ReplayedInputs
    from parity_tests.matching import Limits

    try:
        config, build = _torch(bundle, turns) if other == "torch" else _keras(bundle, turns)
    except input_errors() as error:
        raise InputError(str(error)) from None
    return Run(
        preset=bundle.of("preset"),
        config=config,
        limits=Limits(**bundle.of("limits")),
        variables=bundle.files["weights"],
        build=lambda dtype: (Replay(bundle, dtype), build(dtype)),
        inputs=ReplayedInputs(bundle),
        metric=lambda *_: {},
    )


def _torch(bundle: Any, turns: Sequence[str]) -> Any:
    from dataclasses import replace

    from parity_tests.bridge.prepare import turn
    from parity_tests.bridge.torch_side import Config, TorchSide

    config = Config.preset(bundle.of("preset"), num_classes=bundle.of("num_classes"))
    turned, optimizer_turns = turn(replace(config, anchor_scale=bundle.of("anchor_scale")), turns)
    return turned, lambda dtype: TorchSide(turned, dtype, optimizer_turns=optimizer_turns)


def _keras(bundle: Any, turns: Sequence[str]) -> Any:
    from types import SimpleNamespace

    from parity_tests.bridge.keras_side import KerasSide

    if turns:
        raise InputError(f"--turn: {turns[0]} turns the PyTorch side, and that was recorded")
    classes, scale = bundle.of("num_classes"), bundle.of("anchor_scale")
    config = SimpleNamespace(num_classes=classes)
    return config, lambda dtype: KerasSide(bundle.of("preset"), classes, dtype, anchor_scale=scale)


def _sampled_sizes(records: Sequence[Record]) -> list[str]:
    """A sentence for the sizes at which modules could not be fed alone."""
    modes = {mode: {r.size: None for r in records if (r.rung, r.mode) == ("forward", mode)} for mode in MODES}
    left_out = [size for size in modes["cascaded"] if size not in modes["isolated"]]
    if not left_out:
        return []
    return [f"at {', '.join(left_out)} taps were recorded as samples and digests: modules were not fed alone there"]
