"""Weights files of torch, made again from what `layout.json` says of them: the peer's own names, shapes and values."""

import json
import pickle
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from parity_tests.peers.recording import tuned_value

Entry = Mapping[str, Any]
Layout = Mapping[str, Any]


def layout_of(folder: Path) -> dict[str, Layout]:
    """The files of a recording, each with its layout."""
    files: dict[str, Layout] = json.loads((folder / "layout.json").read_text())["files"]
    return files


def tensor_of(entry: Entry, seed: int) -> Tensor:
    """One weight of a file: as it was drawn and tuned, or as its contents say; counters are zero."""
    shape, dtype = tuple(entry["shape"]), getattr(torch, entry["dtype"])
    if "contents" in entry:
        return torch.tensor(entry["contents"], dtype=dtype).reshape(shape)
    if not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype)
    name = entry.get("value", entry["name"])
    tuning = {name: (entry["scale"], entry["shift"])} if "scale" in entry else {}
    return torch.from_numpy(tuned_value(name, shape, seed, tuning)).to(dtype)


def state_of(entries: Iterable[Entry], seed: int) -> "OrderedDict[str, Tensor]":
    """The state dict that a layout lists."""
    return OrderedDict((entry["name"], tensor_of(entry, seed)) for entry in entries)


def make(folder: Path, recording: Path, name: str, seed: int = 0, *, renamed: str = "") -> Path:
    """Writes the file, or folder, of this name of a recording into a folder, renamed if asked, and gives its path."""
    layout, path = layout_of(recording)[name], folder / (renamed or name)
    if name == "hub":
        _make_hub(path, layout, seed)
    elif name == "weights.pkl":
        _make_pickle(path, layout, seed)
    else:
        torch.save(_held(layout, recording, seed), path)
    return path


def _held(layout: Layout, recording: Path, seed: int) -> Any:
    """What a file of torch holds: the state dict itself, or a table in which it lies beside other things."""
    if "state_dict" in layout:
        beside = {key: found for key in ("meta", "keys") for key, found in _beside(layout, key).items()}
        return {**beside, "state_dict": state_of(layout["state_dict"], seed)}
    if "entries" not in layout:  # detectron2's, of which the other file has the list
        return {"model": dict(state_of(layout_of(recording)["weights.pkl"]["entries"], seed))}
    state = state_of(layout["entries"], seed)
    if layout.get("_metadata"):
        versions = layout["_metadata"]["versions other than 1"]
        state._metadata = OrderedDict((name, {"version": version}) for name, version in versions.items())  # type: ignore[attr-defined]
    return state


def _beside(layout: Layout, key: str) -> dict[str, Any]:
    found = layout.get(key, {})
    return {key: found} if key == "meta" and found else dict(found)


def _make_hub(path: Path, layout: Layout, seed: int) -> None:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(layout["config.json"]))
    described = layout["model.safetensors"]
    save_file(dict(state_of(described["entries"], seed)), path / "model.safetensors", described["metadata"] or None)


def _make_pickle(path: Path, layout: Layout, seed: int) -> None:
    tensors = state_of([*layout["extra"], *layout["entries"]], seed)
    arrays: dict[str, np.ndarray] = {name: tensor.numpy() for name, tensor in tensors.items()}
    with path.open("wb") as file:
        pickle.dump({"model": arrays, "__author__": layout["__author__"]}, file)
