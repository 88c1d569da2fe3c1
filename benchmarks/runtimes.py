"""What each runtime costs of a trained detector: rounding, mAP, and CPU time of one thread beside eager torch.

    python benchmarks/runtimes.py RUN --data DATA --split test --calibrate DATA --calibrate-split train

Files are whole: from a picture to detections. Prints a row for each, as in `docs/export.md`.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import torch

from torch_retinanet import RetinaNetDetector
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.engines.certificate import OUTPUTS, OnData
from torch_retinanet.engines.exporters import write_program
from torch_retinanet.engines.on_data import DataCheck, ProgramEngine, evenly
from torch_retinanet.engines.quantised import MOST_PICTURES, quantise
from torch_retinanet.engines.runtimes import KINDS, Run, open_program
from torch_retinanet.predict import Engine

TIMED = 8
"""Pictures that all detect in turn, after one that warms up."""

RUNTIMES = {
    "ONNX Runtime": ("onnx", "fp32"),
    "ONNX Runtime, int8": ("onnx", "int8"),
    "OpenVINO": ("openvino", "fp32"),
    "OpenVINO, bfloat16": ("openvino", "bf16"),
    "torch.export": ("torch-export", "fp32"),
    "AOTInductor": ("aoti", "fp32"),
}
"""By their names in the table: what is exported, and the precision."""


def main() -> None:
    """Measure and print the table of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    for name in ("--data", "--calibrate"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--split", "--calibrate-split"):
        parser.add_argument(name)
    options = parser.parse_args()
    torch.set_num_threads(1)
    detector = RetinaNetDetector.from_pretrained(options.run)
    check = DataCheck(detector, _read(options.data, options.split))
    sample = evenly(_read(options.calibrate, options.calibrate_split), MOST_PICTURES)
    print(f"mAP {check.map:.4f} of eager float32 on {len(check.found.indices)} pictures")
    engines: dict[str, Engine] = {"eager": detector}
    with tempfile.TemporaryDirectory() as folder:
        said = {}
        for name, (to, precision) in RUNTIMES.items():
            path = (Path(folder) / f"{to}-{precision}").with_suffix(KINDS[to].suffix)
            said[name], run = _measured(detector, path, to, precision, check, sample)
            engines[name] = ProgramEngine(run, detector.config.in_channels)
        ratios = _ratios(engines, check.annotations.pictures)
    for name, one in said.items():
        share = "-" if one.share is None else f"{one.share:.3f}"
        print(f"| {name} | {share} | {one.map_difference:+.4f} | {ratios[name]:.2f} |", flush=True)


def _read(data: Path, split: str | None) -> Annotations:
    return screen(read_annotations(data, split=split), decode=False)


def _measured(
    detector: RetinaNetDetector, path: Path, to: str, precision: str, check: DataCheck, sample: Annotations
) -> tuple[OnData, Run]:
    """What pictures say of a runtime, and the runtime."""
    write_program(detector, path, to)
    said = quantise(path, sample, check).said if precision == "int8" else None
    run = open_program(path, OUTPUTS["detections"], threads=1, bf16=precision == "bf16")
    if said is None:
        said = check.equal(path, run) if precision == "fp32" else check.quantised(run)
    return said, run


def _ratios(engines: dict[str, Engine], pictures: Sequence[Path]) -> dict[str, float]:
    """The CPU time of each beside eager torch: the median of pictures on which all take turns."""
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for picture in pictures[: TIMED + 1]:
        for name, engine in engines.items():
            taken[name].append(_seconds(partial(engine.predict, [picture])))
    eager = taken.pop("eager")
    return {
        name: median(one / other for one, other in zip(times[1:], eager[1:], strict=True))
        for name, times in taken.items()
    }


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
