"""Weights files of peers in Keras, made again from what `layout.json` says of them."""

import json
import zipfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from parity_tests.peers.hdf5 import make
from parity_tests.peers.keras_recording import keras_value


def layout_of(recording: Path, variant: str = "") -> dict[str, Any]:
    """The layout of a recording, or of one of its variants."""
    found: dict[str, Any] = json.loads((recording / "layout.json").read_text())
    return found[variant] if variant else found


def make_file(folder: Path, recording: Path, name: str, variant: str = "", *, seed: int = 0) -> Path:
    """Writes one file of a recording into a folder, and gives its path."""
    layout, path = layout_of(recording, variant), folder / name
    said = layout["files"][name]
    if name.endswith(".json"):
        path.write_text(json.dumps(said))
        return path
    make(path, said, weights_of(layout, seed))
    return path


def weights_of(layout: Mapping[str, Any], seed: int) -> Callable[[str, tuple[int, ...]], np.ndarray]:
    """What gives the weights of a recorded model, each drawn once."""
    tuning = {key: (scale, shift) for key, (scale, shift) in layout["tuning"].items()}
    return lambda weight, shape: _drawn(weight, shape, seed, *tuning.get(weight, (1.0, 0.0)))


@lru_cache(maxsize=400)
def _drawn(weight: str, shape: tuple[int, ...], seed: int, scale: float, shift: float) -> np.ndarray:
    return keras_value(weight, shape, seed, {weight: (scale, shift)})


def make_folder(folder: Path, recording: Path, variant: str) -> Path:
    """Writes all files of a variant into a folder of its name, and gives its path."""
    made = folder / variant
    made.mkdir()
    for name in layout_of(recording, variant)["files"]:
        make_file(made, recording, name, variant)
    return made


def make_archive(folder: Path, recording: Path, variant: str) -> Path:
    """Writes the `.keras` archive of a variant into a folder, and gives its path."""
    path, weights = folder / f"{variant}.keras", make_file(folder, recording, "model.weights.h5", variant)
    with zipfile.ZipFile(path, "w") as archive:
        for name, said in layout_of(recording, variant)["archive"].items():
            archive.writestr(name, json.dumps(said))
        archive.write(weights, weights.name)
    weights.unlink()
    return path


def make_snapshot(path: Path, recording: Path) -> Path:
    """Writes fizyr's model as training saves it: what the training model has, and the weights of an optimiser."""
    layout = layout_of(recording)
    base, more = layout["files"]["training.h5"], layout["snapshot.h5 beyond training.h5"]
    whole = {"attributes": base["attributes"] | more["attributes"], "nodes": [*base["nodes"], *more["nodes"]]}
    make(path, whole, weights_of(layout, 0))
    return path


def weights_in(layout: Mapping[str, Any]) -> dict[str, tuple[list[int], str]]:
    """Shape and dtype of each weight in a file, by its path; those of an optimiser are left aside."""
    nodes = [node for node in layout["nodes"] if "dataset" in node and not node["dataset"].startswith("optimizer/")]
    return {node["dataset"]: (node["shape"], node["dtype"]) for node in nodes}


def named_in(layout: Mapping[str, Any]) -> dict[str, Any]:
    """What the groups of weights are called in a file of Keras 3, by their path."""
    weights = {path.rpartition("/")[0] for path in weights_in(layout)}
    return {node["group"]: node["attributes"] for node in layout["nodes"] if node.get("group") in weights}
