"""`retinanet-parity ablate`: what each convention changes, and at which picture sizes nobody would see it."""

import argparse
import time
from pathlib import Path

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

STEPS = 800
"""Of training: as many as leave the whole under a quarter of an hour on two cores."""

PRESETS = ("notebook", "keras_io", "torchvision")


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(
        prog="retinanet-parity ablate",
        description="Change one convention at a time in the PyTorch model, and measure what that changes.",
        epilog="exit code: 0 measured, 2 wrong usage",
    )
    parser.add_argument(
        "--preset", choices=PRESETS, default="keras_io", help="whose conventions are changed (default: %(default)s)"
    )
    parser.add_argument(
        "--conventions", nargs="+", metavar="NAME", default=[], help="those that are changed (default: all)"
    )
    parser.add_argument(
        "--steps", type=int, default=STEPS, metavar="N", help="of training on digits (default: %(default)s)"
    )
    add_seed(parser)
    parser.add_argument("--markdown", metavar="FILE", type=Path, help="where to write the table for a README")
    add_report_options(parser, ("json", "html"))
    return parser


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, and write the reports."""
    from parity_tests.ablation.measure import ablate
    from parity_tests.ladder.provenance import peak_memory, provenance
    from parity_tests.report.ablation import ablation_table, as_markdown
    from parity_tests.rule.files import atomic_write
    from parity_tests.rule.result import Result

    check_reports(options)
    check_target("--markdown", options.markdown)
    began = time.perf_counter()
    with progress_bars() as report:
        found = ablate(options.preset, options.conventions, steps=options.steps, seed=options.seed, report=report)
    result = Result(
        records=[],
        reference=f"PyTorch model in the conventions of {options.preset}",
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
