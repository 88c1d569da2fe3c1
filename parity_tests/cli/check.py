"""`retinanet-parity check`: a recorded side held against the other one, without the framework that was recorded."""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parity_tests.cli.ladder import check_backend
from parity_tests.cli.options import (
    Parser,
    add_override,
    add_pair,
    add_report_options,
    check_reports,
    progress_bars,
    refuse_beside,
    report_on,
    settings_of,
)
from parity_tests.retinanet.blind_spots import unseen_overrides
from parity_tests.retinanet.climb import climb_rungs
from parity_tests.retinanet.rungs import RUNGS
from parity_tests.rule.errors import UsageError

if TYPE_CHECKING:
    from parity_tests.retinanet.side import DetectorSide

WORDS = {"keras": "Keras reference", "torch": "PyTorch model"}


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(
        prog="retinanet-parity check",
        description="Hold what `retinanet-parity record` wrote against the other side.",
        epilog="exit code: 0 equal, 1 different, 2 wrong usage, 3 incomplete",
    )
    parser.add_argument("bundle", type=Path, help="the folder that was recorded")
    add_override(parser)
    add_pair(parser, "the port of a pair of your own is held against the recorded reference of it")
    add_report_options(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Check, report, and give the exit code."""
    check_reports(options)
    if options.pair is not None:
        return _check_pair(options)
    from parity_tests.bundle.check import sampled_sizes, samples_in_words, unrecorded
    from parity_tests.bundle.files import Bundle
    from parity_tests.retinanet.recorded import LEFT_OUT, OTHER, recorded_comparison, recorded_facts
    from parity_tests.rule.result import Result

    began, bundle = time.perf_counter(), Bundle(options.bundle)
    facts = recorded_facts(bundle)
    side, other = facts["side"], OTHER[facts["side"]]
    build = _torch(facts, options.override) if other == "torch" else _keras(facts, options.override)
    with progress_bars() as report:
        run = recorded_comparison(bundle, facts, build)
        found = climb_rungs(run, bundle.rungs, answers=bundle, report=report)
    recorded = {"recorded with": bundle.manifest["provenance"], "left out": facts["left_out"]}
    missing = unrecorded(bundle, [name for name in RUNGS if name not in LEFT_OUT])
    result = Result.of_presets(
        [replace(found, records=[*found.records, *missing])],
        seconds=time.perf_counter() - began,
        settings=settings_of(options) | recorded,
        reference=f"recorded {WORDS[side]}",
        port=WORDS[other],
        more_warnings=[
            *unseen_overrides(options.override, found.records),
            *sampled_sizes(found.records),
            *samples_in_words(bundle),
        ],
    )
    return report_on(result, options)


def _check_pair(options: argparse.Namespace) -> int:
    """Hold the port of a pair of a user's own against its recorded reference."""
    from parity_tests.bundle.models import check_model
    from parity_tests.ladder.model_pair import OF_BUNDLES, load_pair

    refuse_beside(parser(), options, ("override",), "pair")
    pair = load_pair(options.pair)
    pair.only(OF_BUNDLES)
    given = {name: pair.settings[name] for name in ("names", "layouts", "skip", "dtypes") if name in pair.settings}
    own = {"loss": pair.of_side("loss", 1), "optimizer": pair.of_side("optimizers", 1)}
    result = check_model(options.bundle, pair.made("port"), **given, **own)
    return report_on(result, options)


def _torch(facts: Mapping[str, Any], overrides: Sequence[str]) -> "Callable[[str], DetectorSide]":
    from parity_tests.retinanet.setup import override
    from parity_tests.retinanet.side import PACKAGES
    from parity_tests.retinanet.torch_side import TorchDetectorSide
    from parity_tests.retinanet.torch_surroundings import Config
    from parity_tests.rule.errors import refusals

    try:
        config = Config.preset(facts["preset"], num_classes=facts["num_classes"])
        changed, optimizer_overrides = override(replace(config, anchor_scale=facts["anchor_scale"]), overrides)
    except refusals(*PACKAGES) as error:
        raise UsageError(str(error)) from None
    return lambda dtype: TorchDetectorSide(changed, dtype, optimizer_overrides=optimizer_overrides)


def _keras(facts: Mapping[str, Any], overrides: Sequence[str]) -> "Callable[[str], DetectorSide]":
    check_backend()
    from parity_tests.retinanet.keras_side import REFERENCES, KerasDetectorSide

    if overrides:
        raise UsageError(f"--override: {overrides[0]} overrides the PyTorch side, and that was recorded")
    if (preset := facts["preset"]) not in REFERENCES:
        raise UsageError(f"preset {preset!r} must be one of {', '.join(REFERENCES)}")
    classes, scale = facts["num_classes"], facts["anchor_scale"]
    return lambda dtype: KerasDetectorSide(preset, classes, dtype, anchors={"anchor_scale": scale})
