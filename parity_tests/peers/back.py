"""The way back: files that this project writes, read by the packages whose they are: `make peers-back`.

    python -m parity_tests.peers.back [PRESET ...] [--table FILE]

Weights and statistics are random. Each package reads the file in an environment of its own (`reads_ours`), which
`make peers` sets up, and logits and deltas of both are compared by the rule, in float64 and float32. Returns 1 where
one is different, and 3 where one could not be asked.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from parity_tests.peers.environments import ENVIRONMENTS, SOURCES
from parity_tests.peers.keras_recording import CLASSES
from parity_tests.peers.values import noise, value_of
from parity_tests.rule.budgets import CASCADED, largest
from parity_tests.rule.compare import compare_tensor, compare_values
from parity_tests.rule.drift import PASSING
from parity_tests.rule.record import ALL, EXIT_CODES, Array, Record, Where, verdict_of
from torch_retinanet import RetinaNet, RetinaNetConfig
from torch_retinanet.weights import write_weights
from torch_retinanet.weights.weights_file import WeightsFile, expected_shapes

EVEN, ODD, ANY = (128, 192), (96, 160), (97, 161)
"""Sizes of pictures: P5 has even sides, odd sides, and no side divides by 32."""

SEED, COUNT = 5, 2
"""Of all weights and pictures; and the pictures in a batch."""

PRECISIONS = ("float64", "float32")
OUTPUTS = ("logits", "deltas")


@dataclass(frozen=True, kw_only=True)
class WayBack:
    """A file that is written, and the package that reads it.

    Attributes:
        preset: in whose format.
        file: its name, by which the format is known; of a folder, that.
        environment: of the package.
        sizes: that its network takes; levels that are doubled want sides that divide by 32.
        changes: what is otherwise than in the preset.
        is_checkout: whether the package lies in `.peers/sources`.
        is_coarse: whether it computes a part in float32, whatever its model has.
    """

    preset: str
    file: str
    environment: str
    sizes: tuple[tuple[int, int], ...] = (EVEN, ODD, ANY)
    changes: Mapping[str, Any] = field(default_factory=dict)
    is_checkout: bool = False
    is_coarse: bool = False

    @property
    def title(self) -> str:
        """Preset and file, and what is changed."""
        changes = "".join(f", {name}={value}" for name, value in self.changes.items())
        return f"{self.preset}: {self.file}{changes}"

    def missing(self) -> str:
        """What is not there that it needs, and how to get it; empty where all is."""
        if not self.python.exists():
            return f"{ENVIRONMENTS / self.environment} is missing, which `make peers` makes"
        source = SOURCES / self.environment
        return f"{source} is missing; put a checkout there" if self.is_checkout and not source.exists() else ""

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return ENVIRONMENTS / self.environment / "bin" / "python"


DOUBLED = (EVEN, ODD)

AS_FED: Mapping[str, Any] = {"pixel_std": (1.0, 1.0, 1.0)}
"""For a network without Keras' Rescaling, whose factor is a float32 number in any precision."""

WAYS = (
    WayBack(preset="cvisionai", file="weights.h5", environment="cvisionai", is_checkout=True, is_coarse=True),
    WayBack(preset="deepforest", file="weights.ckpt", environment="deepforest", changes={"bn_eps": 0.0}),
    WayBack(preset="deepforest", file="weights.ckpt", environment="deepforest"),
    WayBack(preset="detectron2", file="weights.pth", environment="detectron2", is_checkout=True, sizes=DOUBLED),
    WayBack(preset="detectron2", file="weights.pkl", environment="detectron2", is_checkout=True, sizes=DOUBLED),
    WayBack(preset="fizyr", file="weights.h5", environment="fizyr"),
    WayBack(preset="keras_cv", file="model.keras", environment="keras_cv", sizes=DOUBLED, changes=AS_FED),
    WayBack(preset="keras_cv", file="model.keras", environment="keras_cv", sizes=DOUBLED, is_coarse=True),
    WayBack(preset="keras_cv", file="model.weights.h5", environment="keras_cv", sizes=DOUBLED),
    WayBack(preset="keras_hub", file="folder", environment="keras_hub", sizes=DOUBLED),
    WayBack(preset="keras_hub_v2", file="folder", environment="keras_hub", sizes=DOUBLED),
    WayBack(preset="mmdet", file="weights.pth", environment="mmdet"),
    WayBack(preset="mmdet_caffe", file="weights.pth", environment="mmdet"),
    WayBack(preset="monai", file="weights.pt", environment="monai"),
    WayBack(preset="monai", file="weights.pt", environment="monai", changes={"max_level": 7, "p6_layer": "conv"}),
    WayBack(preset="tf_models", file="folder", environment="tf_models", sizes=DOUBLED),
    WayBack(preset="torchvision", file="weights.pth", environment="torchvision"),
    WayBack(preset="torchvision_v2", file="weights.pth", environment="torchvision"),
    WayBack(preset="yhenon", file="weights.pt", environment="yhenon", is_checkout=True, sizes=DOUBLED),
)
"""Every file that is written of a RetinaNet whose package is run."""

Answers = dict[str, Array]
"""Logits and deltas by `128x192/logits`."""


def contents_of(way: WayBack) -> WeightsFile:
    """A network with random weights and statistics, in float32 as files are."""
    config = RetinaNetConfig.preset(way.preset, num_classes=CLASSES, **way.changes)
    shapes = expected_shapes(config).items()
    drawn = {name: torch.from_numpy(value_of(name, shape, SEED)) for name, shape in shapes if shape}
    counters = {name: torch.zeros((), dtype=torch.int64) for name, shape in shapes if not shape}
    return WeightsFile(config, drawn | counters)


def given(way: WayBack) -> Answers:
    """What enters the network, `[B,H,W,3]` by the name of its size."""
    return {f"{h}x{w}": noise(f"back/{h}x{w}", (COUNT, h, w, 3), SEED) for h, w in way.sizes}


def ours(contents: WeightsFile, pictures: Mapping[str, Array], dtype: str) -> Answers:
    """What our network answers with the weights that were written."""
    model = RetinaNet(contents.config).eval()
    model.load_state_dict(dict(contents.tensors))
    model.to(getattr(torch, dtype))
    found: Answers = {}
    for size, images in pictures.items():
        tensor = torch.from_numpy(images).permute(0, 3, 1, 2).to(getattr(torch, dtype))
        with torch.no_grad():
            deltas, logits = model(tensor, apart=True)
        found |= {f"{size}/logits": logits.numpy(), f"{size}/deltas": deltas.numpy()}
    return found


def theirs(way: WayBack, weights: Path, pictures: Mapping[str, Array], dtype: str) -> Answers:
    """What the package answers with the file, in a process of its own.

    Raises:
        subprocess.CalledProcessError: where it fails; its `stderr` says why.
    """
    asked, answered = weights.with_name("given.npz"), weights.with_name(f"{dtype}.npz")
    arrays: dict[str, Any] = dict(pictures)
    np.savez(asked, **arrays)
    words = ["-m", f"{__package__}.reads_ours", way.preset, str(weights), str(asked), str(answered), dtype]
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    subprocess.run([way.python, *words], env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    return dict(np.load(answered))


def judged(way: WayBack, references: Mapping[str, Answers], ports: Mapping[str, Answers]) -> list[Record]:
    """Records of every size and output, of the answers of both by precision."""
    records: list[Record] = []
    for height, width in way.sizes:
        place = Where(size=(height, width), mode="cascaded", subject=way.title)
        for output in OUTPUTS:
            name = f"{height}x{width}/{output}"
            pairs = {dtype: (references[dtype][name], ports[dtype][name]) for dtype in PRECISIONS}
            double, single = compare_tensor("back", place, output, pairs, PRECISIONS, CASCADED)
            records += [_as_coarse(double, *pairs["float64"]) if way.is_coarse else double, single]
    return records


def _as_coarse(record: Record, reference: Array, port: Array) -> Record:
    """A record in float64 of what the package computed in float32, and which is judged as that."""
    budget = CASCADED * float(np.finfo(np.float32).eps) * largest(reference)
    judged_again = compare_values(record.rung, record.where, record.name, reference, port, budget)
    return replace(judged_again, coarse=("reference",))


def compared(way: WayBack) -> list[Record]:
    """Writes a file, has it read, and compares; one record that is incomplete where the package cannot be asked."""
    if missing := way.missing():
        return [_not_run(way, missing)]
    pictures = given(way)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / way.file
        contents = write_weights(weights, contents_of(way), to=way.preset)
        try:
            references = {dtype: theirs(way, weights, pictures, dtype) for dtype in PRECISIONS}
        except subprocess.CalledProcessError as failed:
            said = failed.stderr.strip().splitlines() or [f"exit status {failed.returncode}"]
            return [_not_run(way, f"the package failed: {said[-1]}")]
    return judged(way, references, {dtype: ours(contents, pictures, dtype) for dtype in PRECISIONS})


def _not_run(way: WayBack, why: str) -> Record:
    return Record(rung="back", where=Where(subject=way.title), name=ALL, verdict="incomplete", reason=why)


def line_of(way: WayBack, records: Sequence[Record]) -> str:
    """How it went, in a line; where it is not equal, what is the first that is not."""
    verdict = verdict_of(records)
    if verdict == "incomplete":
        return f"{way.title}: not run: {next(r.reason for r in records if r.verdict == verdict)}"
    far = ", ".join(f"{dtype} {far['difference']:.0e} ({far['used']:.0%})" for dtype, far in farthest(records).items())
    wrong = next((r for r in records if r.verdict not in PASSING), None)
    first = "" if wrong is None else f"; {wrong.name} at {wrong.case}: {wrong.reason}"
    return f"{way.title}: {verdict}, {len(records)} comparisons; of the largest value, and of the budget: {far}{first}"


def farthest(records: Iterable[Record]) -> dict[str, dict[str, float]]:
    """By precision the largest difference as a share of the largest value, and the largest share of a budget."""
    found = {dtype: {"difference": 0.0, "used": 0.0} for dtype in PRECISIONS}
    for record in records:
        far = found[record.where.dtype]
        far["difference"] = max(far["difference"], (record.difference or 0.0) / (record.scale or 1.0))
        far["used"] = max(far["used"], record.used or 0.0)
    return found


def row_of(way: WayBack, records: Sequence[Record]) -> dict[str, Any]:
    """What the table of the docs has of it."""
    return {
        "preset": way.preset,
        "file": way.file,
        "changes": dict(way.changes),
        "sizes": [f"{height}x{width}" for height, width in way.sizes],
        "comparisons": len(records),
        "different": sum(record.verdict not in PASSING for record in records),
        "largest": farthest(records),
    }


def keep(path: Path, rows: Mapping[str, Any]) -> None:
    """Writes rows by their titles into the file of a table, in the place of older ones; others stay."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    every = dict(sorted((known | dict(rows)).items()))
    path.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Have the files of the presets that are named read, by default of all; the exit code of the worst verdict."""
    presets = sorted({way.preset for way in WAYS})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", metavar="PRESET", help=f"of {', '.join(presets)}; by default all")
    parser.add_argument("--table", type=Path, metavar="FILE", help="keep the figures of those that ran as JSON")
    given_options = parser.parse_args(arguments)
    for preset in given_options.presets:
        if preset not in presets:
            parser.error(f"{preset!r} must be one of {', '.join(presets)}")
    every: list[Record] = []
    for way in WAYS:
        if way.preset in (given_options.presets or presets):
            every += (records := compared(way))
            print(line_of(way, records), flush=True)
            if given_options.table is not None and verdict_of(records) != "incomplete":
                keep(given_options.table, {way.title: row_of(way, records)})
    return EXIT_CODES[verdict_of(every)]


if __name__ == "__main__":
    sys.exit(main())
