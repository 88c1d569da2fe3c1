"""Does the default run raise false alarms? The whole ladder from one seed after another, on models that are right.

    .venv/bin/python benchmarks/false_alarms.py --seeds 200 --out docs/false_alarms.jsonl

Weights, pictures, digits and fresh values follow from the seed. Models are built once for each preset and given new
weights. A line of the file is a seed of a preset on some rungs; a run that was ended goes on where it was. Exits with 1
where a seed raised an alarm.
"""

import argparse
import json
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from parity_tests.ladder.processes import HUGE_PAGES, started_with, threads
from parity_tests.retinanet.climb import climb_rungs
from parity_tests.retinanet.comparison import PRESETS, DetectorComparison
from parity_tests.retinanet.rungs import RUNGS
from parity_tests.rule.files import atomic_write

_SIDES: dict[str, Any] = {}
"""The models that this process has built, by preset and precision."""


def main(seeds: range, out: Path, rungs: Sequence[str]) -> int:
    """Climb from every seed that `out` has not, print what was found in all, and say whether there was an alarm."""
    lines = [line for line in _read(out) if line["rungs"] == list(rungs)]
    done = {(line["preset"], line["seed"]) for line in lines}
    left = {preset: [seed for seed in seeds if (preset, seed) not in done] for preset in PRESETS}
    console, count = Console(stderr=True), sum(map(len, left.values()))
    with started_with(threads(max(1, (os.cpu_count() or 1) // len(PRESETS))) | HUGE_PAGES), out.open("a") as file:
        for line in track(_climbed(left, rungs), "seeds", count, console=console, disable=not console.is_terminal):
            lines.append(line)
            print(json.dumps(line), file=file, flush=True)
    print(in_words(lines))
    return int(any(line["alarms"] for line in lines))


def _climbed(left: Mapping[str, Sequence[int]], rungs: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The line of each preset's seeds as it is done, in a process for each preset."""
    with ExitStack() as stack:
        spawn = multiprocessing.get_context("spawn")
        pools = {preset: ProcessPoolExecutor(1, spawn) for preset in left}
        for pool in pools.values():  # of a run that ends early nothing that waits is begun
            stack.callback(pool.shutdown, cancel_futures=True)
        waiting = [pools[preset].submit(climb_from, preset, seed, rungs) for preset in left for seed in left[preset]]
        for future in as_completed(waiting):
            yield future.result()


def _read(out: Path) -> list[dict[str, Any]]:
    """The lines of a file that may not be there yet; one that was not written to its end is taken off."""
    out.parent.mkdir(parents=True, exist_ok=True)
    text = out.read_text() if out.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        with atomic_write(out) as beside:
            beside.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


def climb_from(preset: str, seed: int, rungs: Sequence[str]) -> dict[str, Any]:
    """What the ladder says of a preset from a seed: how many comparisons, which alarms, and the nearest to a budget."""
    share = PRESETS.index(preset), len(PRESETS)
    climbed = climb_rungs(_run(preset, seed), rungs, share=share)
    nearest = max(climbed.records, key=lambda record: record.used or 0)
    alarms = [record for record in climbed.records if record.verdict in ("different", "incomplete")]
    gaps = [name for coverage in climbed.coverage for name in coverage.missing]
    return {
        "preset": preset,
        "seed": seed,
        "rungs": list(rungs),
        "commit": climbed.provenance.get("commit"),
        "comparisons": len(climbed.records),
        "ties": sum(record.verdict == "tie" for record in climbed.records),
        "alarms": [f"{r.rung} {r.where.text}, {r.name}: {r.reason}" for r in alarms] + gaps,
        "used": nearest.used,
        "nearest": f"{nearest.rung} {nearest.where.text}, {nearest.name}",
    }


def _run(preset: str, seed: int) -> DetectorComparison:
    """The default run from a seed, with the models that this process has built."""
    from parity_tests.retinanet.setup import start_run

    run = start_run(preset, seed=seed)
    sides = _SIDES.setdefault(preset, run.sides)
    sides.assign = run.sides.assign
    sides.restore()
    return replace(run, sides=sides)


def in_words(lines: Sequence[dict[str, Any]]) -> str:
    """One line for people: alarms, comparisons, and how near the nearest came to its budget."""
    wrong = [line for line in lines if line["alarms"]]
    nearest = max(lines, key=lambda line: line["used"] or 0)
    climbed, comparisons = Counter(line["seed"] for line in lines), sum(line["comparisons"] for line in lines)
    seeds = sum(count == len(PRESETS) for count in climbed.values())
    alarms = f"{len(wrong)} false alarms" + (f", first {wrong[0]['alarms'][0]}" if wrong else "")
    place = f"{nearest['nearest']} (seed {nearest['seed']} of {nearest['preset']})"
    found = f"{alarms} in {seeds} seeds and {comparisons:,} comparisons"
    return f"{found}; nearest to its budget, {nearest['used']:.0%}, was {place}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The whole ladder from one seed after another.")
    parser.add_argument("--seeds", type=int, default=200, help="how many, at least 1 (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first of them; 0 is the default run's (default: 0)")
    parser.add_argument("--out", type=Path, required=True, help="the file that has a line for each seed and preset")
    parser.add_argument("--rungs", nargs="+", choices=RUNGS, default=list(RUNGS), help="of the ladder (default: all)")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error(f"--seeds: {options.seeds} must be at least 1")
    sys.exit(main(range(options.first, options.first + options.seeds), options.out, options.rungs))
