"""`retinanet-parity ablate`: what each convention changes, and at which picture sizes nobody would see it."""

import argparse
import time
from pathlib import Path
from typing import Any

from parity_tests.cli.options import (
    Parser,
    add_report_options,
    add_seed,
    check_reports,
    check_target,
    plain_console,
    progress_bars,
    settings_of,
    write_reports,
)
from parity_tests.ladder.climb import Report
from parity_tests.rule.errors import UsageError, refusals

STEPS = 800
"""Of training: as many as leave the whole under a quarter of an hour on two cores."""

PICTURES = 50
"""Annotated pictures that are looked at."""

PRESETS, PRESET = ("notebook", "keras_io", "torchvision"), "keras_io"
"""Those whose conventions are changed on digits, and which without a word."""

OF_DIGITS, OF_OWN = ("steps", "seed"), ("split", "images", "classes", "pictures")
"""Options of the model that is trained on digits, and of one's own weights and pictures."""


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(
        prog="retinanet-parity ablate",
        description="Change one convention at a time in the PyTorch model, and measure what that changes: on a model "
        "that is trained on digits before, or on your own.",
        epilog="exit code: 0 measured, 2 wrong usage",
    )
    parser.add_argument(
        "--preset",
        help=f"whose conventions are changed: {', '.join(PRESETS)} (default: {PRESET}); that of --weights, where their "
        "names do not say it",
    )
    parser.add_argument(
        "--conventions",
        nargs="+",
        metavar="NAME",
        default=[],
        help="those that are changed (default: all); of --weights also NAME=VALUE",
    )
    parser.add_argument(
        "--steps", type=int, default=STEPS, metavar="N", help="of training on digits (default: %(default)s)"
    )
    add_seed(parser)
    own = parser.add_argument_group("your own weights and pictures, in place of a model that is trained on digits")
    own.add_argument("--weights", metavar="FILE", type=Path, help="what `retinanet convert` reads; needs --data")
    own.add_argument("--data", metavar="DATA", type=Path, help="annotated pictures in any format")
    own.add_argument("--split", help="a split of them (default: test, if there is one)")
    own.add_argument("--images", type=Path, help="the folder of the pictures, where it does not follow from DATA")
    own.add_argument("--classes", type=Path, help="a file with the names of the classes")
    own.add_argument(
        "--pictures", type=int, default=PICTURES, metavar="N", help="evenly from first to last (default: %(default)s)"
    )
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="where to write the table for a README")
    add_report_options(parser, ("json", "html"))
    return parser


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, and write the reports."""
    from parity_tests.ladder.provenance import peak_memory, provenance
    from parity_tests.report.ablation import ablation_table, as_markdown
    from parity_tests.rule.files import atomic_write
    from parity_tests.rule.result import Result

    check_reports(options)
    check_target("--markdown", options.markdown)
    began = time.perf_counter()
    _check_own(options)
    with progress_bars() as report:
        found = (_on_own_pictures if options.weights else _on_digits)(options, report)
    result = Result(
        records=[],
        reference=f"PyTorch model in the conventions of {found['preset']}",
        port="the same with one convention changed",
        settings=settings_of(options),
        provenance=provenance(),
        cost={"seconds": time.perf_counter() - began, "peak_gib": peak_memory() / 2**30},
        ablation=found,
    )
    console = plain_console()
    console.print(ablation_table(found))
    console.print(result.summary, highlight=False, soft_wrap=True)
    write_reports(result, options)
    if options.markdown:
        with atomic_write(options.markdown) as beside:
            beside.write_text(as_markdown(found), encoding="utf-8")
    return 0


def _check_own(options: argparse.Namespace) -> None:
    """Refuse what does not belong together.

    Raises:
        UsageError: naming the option.
    """
    if (options.weights is None) != (options.data is None):
        given, lacking = ("weights", "data") if options.data is None else ("data", "weights")
        raise UsageError(f"--{given}: {getattr(options, given)} needs --{lacking}")
    of = OF_DIGITS if options.weights else OF_OWN
    if wrong := next((name for name in of if getattr(options, name) != parser().get_default(name)), None):
        raise UsageError(f"--{wrong}: does not go with {'--weights' if options.weights else 'digits'}; leave it out")
    if not options.weights and options.preset not in (None, *PRESETS):
        raise UsageError(f"--preset: {options.preset!r} must be one of {', '.join(PRESETS)}, or go with --weights")
    if options.pictures < 1:
        raise UsageError(f"--pictures: {options.pictures} must be at least 1")


def _on_digits(options: argparse.Namespace, report: Report) -> dict[str, Any]:
    from parity_tests.ablation.measure import ablate

    return ablate(options.preset or PRESET, options.conventions, steps=options.steps, seed=options.seed, report=report)


def _on_own_pictures(options: argparse.Namespace, report: Report) -> dict[str, Any]:
    from parity_tests.ablation.own_pictures import OwnPictures, ablate_pictures

    own = {name: getattr(options, name) for name in ("data", "split", "images", "classes")}
    try:
        pictures = OwnPictures(**own, count=options.pictures)
        return ablate_pictures(options.weights, pictures, options.conventions, preset=options.preset, report=report)
    except refusals("torch_retinanet") as error:
        raise UsageError(str(error)) from None
