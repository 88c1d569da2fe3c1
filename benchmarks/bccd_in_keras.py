"""The first steps of the recipe for blood cells, in PyTorch and in the Keras reference: the same losses.

    .venv/bin/python benchmarks/bccd_in_keras.py BCCD

Both start from the same weights and see the same pictures, in float32; what they may differ is derived from runs of
both in float64. Exits with 1 if they differ further.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from bccd import recipe
from rich.console import Console
from rich.table import Table

from parity_tests.bridge.training_run import TrainingRun
from parity_tests.rungs.trajectory import float32_budgets

STEPS = 500
"""Of the whole run, by which its learning rate rises and falls."""


def main(data: Path, steps: int) -> int:
    """Train four times, print the losses, and say whether they agree."""
    with tempfile.TemporaryDirectory() as folder:
        run, curves = TrainingRun(recipe(data, Path(folder), STEPS), steps), {}
        for dtype in ("float32", "float64"):
            curves[dtype] = run.reference(dtype), run.port(dtype)
    (reference, port), (reference64, port64) = curves["float32"], curves["float64"]
    budgets = float32_budgets((reference, reference64), (port, port64))
    table = Table("step", "Keras", "torch", "difference", "budget", "in float64")
    for row in zip(range(1, steps + 1), reference, port, reference - port, budgets, reference64 - port64, strict=True):
        step, ours, theirs, *differences = row
        table.add_row(str(step), f"{ours:.6f}", f"{theirs:.6f}", *(f"{abs(value):.1e}" for value in differences))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    same = bool((np.abs(reference - port) <= budgets).all())
    print("the losses are the same" if same else "the losses differ")
    return 0 if same else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The recipe for blood cells in PyTorch and in Keras.")
    parser.add_argument("data", type=Path, help="the folder of BCCD")
    parser.add_argument("--steps", type=int, default=20, help="steps of 8 pictures (default: %(default)s)")
    options = parser.parse_args()
    sys.exit(main(options.data, options.steps))
