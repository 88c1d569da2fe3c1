"""The first steps of the recipe for blood cells, in PyTorch and in the Keras reference: the same losses.

    .venv/bin/python benchmarks/bccd_in_keras.py BCCD

Both start from the same weights and see the same pictures. What they may differ is derived as on the ladder: in float32
from the runs in float64, and in float64 from a run of the reference whose weights are moved by what sums of them may
round. Exits with 1 if they differ further; some 15 minutes on two cores.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from bccd import recipe
from rich.console import Console
from rich.table import Table

from parity_tests.retinanet.rungs.trajectory import float32_budgets, self_difference, training_budgets
from parity_tests.retinanet.training_run import TrainingRun

STEPS = 500
"""Of the whole run, by which its learning rate rises and falls."""

PLAIN: dict[str, Any] = {"batch": 8, "vertical_flip": 0.0, "colour": 0.0}
"""Settings that differ from the recipe's: more pictures in a batch, which move its statistics less."""


def main(data: Path, steps: int) -> int:
    """Train five times, print the losses, and say whether they agree."""
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(replace(recipe(data, Path(folder), STEPS), **PLAIN), steps)
        (reference, port), (reference64, port64) = ((run.reference(d), run.port(d)) for d in ("float32", "float64"))
        moved = run.reference("float64", moved=1)
    single = np.abs(reference - port), float32_budgets((reference, reference64), (port, port64))
    double = np.abs(reference64 - port64), training_budgets(reference64, self_difference(reference64, [moved]))
    table = Table("step", "Keras", "torch", "float32 apart", "budget", "float64 apart", "budget")
    for step, losses in enumerate(zip(reference, port, *single, *double, strict=True), start=1):
        table.add_row(str(step), *(f"{loss:.6f}" for loss in losses[:2]), *(f"{value:.1e}" for value in losses[2:]))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    same = all(bool((apart <= budgets).all()) for apart, budgets in (single, double))
    print("the losses are the same" if same else "the losses differ")
    return 0 if same else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The recipe for blood cells in PyTorch and in Keras.")
    parser.add_argument("data", type=Path, help="the folder of BCCD")
    parser.add_argument("--steps", type=int, default=20, help="steps of 8 pictures (default: %(default)s)")
    options = parser.parse_args()
    sys.exit(main(options.data, options.steps))
