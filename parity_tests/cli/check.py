"""`retinanet-parity check`: a recorded side held against the other one, without the framework that was recorded."""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from parity_tests.cli.ladder import check_backend
from parity_tests.cli.options import (
    Parser,
    add_report_options,
    add_turn,
    check_reports,
    plain_console,
    progress_bars,
    settings_of,
    write_reports,
)
from parity_tests.retinanet.blind_spots import unseen_turns
from parity_tests.retinanet.rungs import climb
from parity_tests.rule.errors import InputError

if TYPE_CHECKING:
    from parity_tests.bundle.files import Bundle
    from parity_tests.retinanet.side import Side

WORDS = {"keras": "Keras reference", "torch": "PyTorch model"}


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(
        prog="retinanet-parity check",
        description="Hold what `retinanet-parity record` wrote against the other side.",
        epilog="exit code: 0 equal, 1 different, 2 wrong usage, 3 incomplete",
    )
    parser.add_argument("bundle", type=Path, help="the folder that was recorded")
    add_turn(parser)
    add_report_options(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Check, report, and give the exit code."""
    check_reports(options)
    from parity_tests.bundle.check import OTHER, replayed, rungs_of, sampled_sizes, samples_in_words, unrecorded
    from parity_tests.bundle.files import Bundle
    from parity_tests.report import print_report
    from parity_tests.rule.result import Result

    began, bundle = time.perf_counter(), Bundle(options.bundle)
    side = bundle.of("side")
    if side not in OTHER:
        raise InputError(f"{options.bundle}: side {side!r} must be one of {', '.join(OTHER)}")
    if OTHER[side] == "keras":
        check_backend()
    build = _torch(bundle, options.turn) if OTHER[side] == "torch" else _keras(bundle, options.turn)
    with progress_bars() as report:
        climbed = climb(rungs_of(bundle), replayed(bundle, build), report)
    recorded = {"recorded with": bundle.of("provenance"), "left out": bundle.of("left_out")}
    result = Result.of(
        [replace(climbed, records=[*climbed.records, *unrecorded(bundle)])],
        seconds=time.perf_counter() - began,
        settings=settings_of(options) | recorded,
        reference=f"recorded {WORDS[side]}",
        port=WORDS[OTHER[side]],
        more_warnings=[
            *unseen_turns(options.turn, climbed.records),
            *sampled_sizes(climbed.records),
            *samples_in_words(bundle),
        ],
    )
    print_report(result, plain_console())
    write_reports(result, options)
    return result.exit_code


def _torch(bundle: "Bundle", turns: Sequence[str]) -> "Callable[[str], Side]":
    from parity_tests.retinanet.errors import input_errors
    from parity_tests.retinanet.prepare import turn
    from parity_tests.retinanet.torch_side import Config, TorchSide

    try:
        config = Config.preset(bundle.of("preset"), num_classes=bundle.of("num_classes"))
        turned, optimizer_turns = turn(replace(config, anchor_scale=bundle.of("anchor_scale")), turns)
    except input_errors() as error:
        raise InputError(str(error)) from None
    return lambda dtype: TorchSide(turned, dtype, optimizer_turns=optimizer_turns)


def _keras(bundle: "Bundle", turns: Sequence[str]) -> "Callable[[str], Side]":
    from parity_tests.retinanet.keras_side import REFERENCES, KerasSide

    if turns:
        raise InputError(f"--turn: {turns[0]} turns the PyTorch side, and that was recorded")
    if (preset := bundle.of("preset")) not in REFERENCES:
        raise InputError(f"{bundle.folder}: preset {preset!r} must be one of {', '.join(REFERENCES)}")
    classes, scale = bundle.of("num_classes"), bundle.of("anchor_scale")
    return lambda dtype: KerasSide(preset, classes, dtype, anchor_scale=scale)
