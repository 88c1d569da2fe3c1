"""`retinanet-parity record`: one side's half of the run, where its framework is; checked where the other one is."""

import argparse
import time
from pathlib import Path

from parity_tests.cli.ladder import check_backend
from parity_tests.cli.options import Parser, add_pair, add_seed, check_target, progress_bars, refuse_beside
from parity_tests.retinanet.comparison import PRESETS, DetectorComparison
from parity_tests.retinanet.rungs import RUNGS, cases_of
from parity_tests.retinanet.side import PACKAGES
from parity_tests.rule.errors import UsageError, refusals
from parity_tests.rule.printable import say


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(
        prog="retinanet-parity record",
        description="Write down what one side makes of the default run, for `retinanet-parity check` elsewhere.",
    )
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, required=True, help="where to write; a bundle that is there is replaced"
    )
    parser.add_argument("--side", choices=("keras", "torch"), default="keras", help="which side (default: %(default)s)")
    parser.add_argument("--preset", choices=PRESETS, default="notebook", help="its conventions (default: %(default)s)")
    parser.add_argument("--weights", metavar="FILE", type=Path, help="a weights file, instead of seeded random")
    add_seed(parser)
    add_pair(parser, "the reference of a pair of your own is recorded, instead of a side of the RetinaNets")
    return parser


def run(options: argparse.Namespace) -> int:
    """Record, and say what was written."""
    from parity_tests.bundle.files import check_replaceable
    from parity_tests.bundle.record import record
    from parity_tests.retinanet.recorded import LEFT_OUT, facts_of

    check_target("--out", options.out.parent / ".bundle")
    check_replaceable(options.out)
    if options.pair is not None:
        return _record_pair(options)
    began, run = time.perf_counter(), _started(options)
    cases = cases_of(run, [name for name in RUNGS if name not in LEFT_OUT])
    given = {"seed": options.seed, "weights": options.weights and options.weights.name}
    with progress_bars() as report:
        record(cases, run.sides, run.weights, options.out, about=facts_of(run, options.side) | given, report=report)
    size = sum(path.stat().st_size for path in options.out.iterdir()) / 1e6
    what, seconds = f"the {options.side} side of {run.preset}", time.perf_counter() - began
    say(f"{options.out}: {what}, {size:.0f} MB, recorded in {seconds:.0f} s")
    return 0


def _record_pair(options: argparse.Namespace) -> int:
    """Record the reference of a pair of a user's own."""
    from parity_tests.bundle.models import record_model
    from parity_tests.ladder.model_pair import OF_BUNDLES, load_pair

    refuse_beside(parser(), options, ("side", "preset", "weights", "seed"), "pair")
    pair = load_pair(options.pair)
    pair.only(OF_BUNDLES)
    given = {name: pair.settings[name] for name in ("batches", "rungs") if name in pair.settings}
    own = {"loss": pair.of_side("loss", 0), "optimizer": pair.of_side("optimizers", 0)}
    record_model(pair.made("reference"), pair.inputs, options.out, **given, **own)
    say(f"{options.out}: the reference of {options.pair}, recorded")
    return 0


def _started(options: argparse.Namespace) -> DetectorComparison:
    """What the side is recorded from; every refusal is an `UsageError`."""
    from parity_tests.retinanet.one_side import start_one_side

    if options.side == "keras":
        check_backend()
    try:
        preset = "" if options.weights else options.preset
        return start_one_side(options.side, preset, weights=options.weights, seed=options.seed)
    except refusals(*PACKAGES) as error:
        raise UsageError(str(error)) from None
