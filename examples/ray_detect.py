"""Detection over a folder on the machines of a Ray cluster, or on the processors of one machine.

    pip install "ray[data]"
    python examples/ray_detect.py RUN PICTURES detections --workers 4 --gpus 1

keeps a detector in each worker, and writes Parquet files with a line a picture: its path, boxes xyxy in its pixels,
labels and scores, or the reason why it could not be read. RUN and PICTURES must lie where every machine sees them. The
numbers are those of `retinanet detect`, picture by picture.
"""

import argparse
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray

from torch_retinanet import RetinaNetDetector
from torch_retinanet.data.dataset import Unreadable
from torch_retinanet.data.picture_folder import pictures_below
from torch_retinanet.predict import Detected, detect_pictures
from torch_retinanet.tiles import Tiling

SCHEMA = pa.schema(
    {
        "path": pa.string(),
        "error": pa.string(),
        "boxes": pa.list_(pa.list_(pa.float32())),
        "labels": pa.list_(pa.int64()),
        "scores": pa.list_(pa.float32()),
    }
)
"""A line a picture; an `error` where it could not be read."""


class DetectWithRay:
    """A detector in a worker.

    Args:
        model: a run, a weights file, or a repository of the Hub.
        device: where it detects, as `cuda`.
        threshold: the score that a detection must be above.
        tiling: how pictures are cut, if they are.
    """

    def __init__(self, model: str, device: str, threshold: float, tiling: Tiling | None) -> None:
        self.detector, self.tiling = RetinaNetDetector.from_pretrained(model).to(device), tiling
        self.detector.score_threshold = threshold

    def __call__(self, batch: dict[str, Any]) -> pa.Table:
        """Detections of a batch of paths."""
        found = detect_pictures(self.detector, map(Path, batch["path"]), tiling=self.tiling)
        return pa.Table.from_pylist([_line(one) for one in found], schema=SCHEMA)


def _line(one: Detected | Unreadable) -> dict[str, Any]:
    if isinstance(one, Unreadable):
        return {"path": str(one.path), "error": one.reason, "boxes": [], "labels": [], "scores": []}
    found = {name: values.tolist() for name, values in one.detections.items()}
    return {"path": str(one.path), "error": None, **found}


def detect_folder(options: argparse.Namespace) -> "ray.data.Dataset":
    """The detections of all pictures in a folder and those within it; they are computed when they are asked for."""
    paths = [{"path": str(path.absolute())} for path in pictures_below(options.pictures)]
    tiling = Tiling(options.tile) if options.tile else None
    return ray.data.from_items(paths).map_batches(
        DetectWithRay,
        fn_constructor_args=(options.model, "cuda" if options.gpus else "cpu", options.threshold, tiling),
        batch_size=options.batch,
        concurrency=options.workers,
        num_gpus=options.gpus,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Detect objects on the pictures of a folder with Ray Data.")
    parser.add_argument("model", metavar="RUN", help="a run of `retinanet train`, or a file of weights")
    parser.add_argument("pictures", type=Path, help="a folder of pictures")
    parser.add_argument("out", type=Path, help="a folder for the Parquet files")
    parser.add_argument("--workers", type=int, default=2, help="detectors, each in a process (%(default)s)")
    parser.add_argument("--gpus", type=float, default=0.0, help="of each worker, as 1, or 0.5 (0: on the CPU)")
    parser.add_argument("--threshold", type=float, default=0.3, help="the score to be above (%(default)s)")
    parser.add_argument("--tile", type=int, help="pixels of the squares that pictures are cut into")
    parser.add_argument("--batch", type=int, default=32, help="pictures that a worker takes at once (%(default)s)")
    options = parser.parse_args()
    found = detect_folder(options)
    found.write_parquet(str(options.out.absolute()))
