"""`retinanet-parity record`: one side's half of the run, for a machine that has the other framework alone."""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from parity_tests.cli.options import Parser, check_target, progress_bars
from parity_tests.errors import InputError
from parity_tests.rungs import PRESETS, RUNGS, climb

LEFT_OUT = {
    "parameters": "fresh values are random, and are compared by their distribution where both frameworks are",
    "metric": "it is computed from detections, which are compared",
}
"""Rungs that a bundle has not, and why."""

SIDES = {"keras": 0, "torch": 1}
"""The sides that can be recorded, by their place in a run."""


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = Parser(
        prog="retinanet-parity record",
        description="Write down what one side makes of the default run, for `retinanet-parity check` elsewhere.",
    )
    parser.add_argument("bundle", type=Path, help="the folder to write; a bundle that is there is replaced")
    parser.add_argument("--side", choices=SIDES, default="keras", help="which side (default: %(default)s)")
    parser.add_argument("--preset", choices=PRESETS, default="notebook", help="its conventions (default: %(default)s)")
    parser.add_argument("--weights", metavar="FILE", type=Path, help="a weights file, instead of seeded random")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of random weights and pictures (default: 0)")
    return parser


def run(options: argparse.Namespace) -> int:
    """Record, and say what was written."""
    from parity_tests.bundle.files import MANIFEST, BundleWriter
    from parity_tests.bundle.recording import Echo, RecordedInputs, Recorder
    from parity_tests.cli.ladder import check_backend, started

    check_backend()
    if options.bundle.exists() and not (options.bundle / MANIFEST).is_file():
        raise InputError(f"{options.bundle}: exists and is no bundle, and is not replaced")
    check_target("bundle", options.bundle.parent / ".bundle")
    began, writer = time.perf_counter(), BundleWriter()
    run = started("" if options.weights else options.preset, weights=options.weights, seed=options.seed)

    def build(dtype: str) -> tuple[Any, Any]:
        recorder = Recorder(run.build(dtype)[SIDES[options.side]], dtype, writer)
        return recorder, Echo(recorder)

    rungs = {name: RUNGS[name] for name in RUNGS if name not in LEFT_OUT}
    recorded = replace(run, build=build, inputs=RecordedInputs(run.inputs, writer))
    with progress_bars() as report:
        climbed = climb(rungs, recorded, report)
    if failed := [record for record in climbed.records if record.verdict != "equal"]:
        raise InputError(f"{options.side}: does not answer {failed[0].rung} {failed[0].case}: {failed[0].reason}")
    for name, values in run.variables.items():
        writer.put("weights", name, values)
    manifest = {
        "side": options.side,
        "preset": run.preset,
        "num_classes": run.config.num_classes,
        "anchor_scale": run.config.anchor_scale,
        "limits": run.limits._asdict(),
        "seed": options.seed,
        "weights": options.weights.name if options.weights else None,
        "rungs": list(rungs),
        "left_out": LEFT_OUT,
        "provenance": climbed.provenance,
        "sources": {tap: lines["reference"] for tap, lines in climbed.sources.items()},
        "inventory": recorded.built()[0].inventory(),
    }
    writer.write(options.bundle, manifest)
    recorded.release()
    size = sum(path.stat().st_size for path in options.bundle.iterdir())
    seconds = time.perf_counter() - began
    print(
        f"{options.bundle}: the {options.side} side of {run.preset}, {size / 1e6:.0f} MB, recorded in {seconds:.0f} s"
    )
    return 0
