"""An HDF5 file's structure without its numbers, and the file made again from it; h5py and numpy alone."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Layout = dict[str, Any]


def digest(value: np.ndarray) -> str:
    """What tells one weight's numbers from another's."""
    return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()


def describe(path: Path, names: Mapping[str, str]) -> Layout:
    """The groups, attributes and datasets of a file, in the file's order.

    Args:
        path: the file.
        names: by the digest of a weight's numbers the name it was drawn by. A dataset with other numbers gets no name.

    Returns:
        `{"attributes": ..., "nodes": [...]}`. A node has `group` or `dataset`, its path; a dataset also `shape`,
        `dtype` and, where known, `value`, the name of the weight in it, if that is not the path's own end.
    """
    nodes: list[Layout] = []

    def visit(name: str, found: h5py.Group | h5py.Dataset) -> None:
        attributes = {key: _attribute(value) for key, value in found.attrs.items()}
        more = {"attributes": attributes} if attributes else {}
        if isinstance(found, h5py.Dataset):
            known = names.get(digest(found[()]))
            node = {"dataset": name, "shape": list(found.shape), "dtype": str(found.dtype)}
            nodes.append({**node, **({"value": known} if known is not None else {}), **more})
        elif more or not len(found):
            nodes.append({"group": name, **more})

    with h5py.File(path) as file:
        file.visititems(visit)
        return {"attributes": {key: _attribute(value) for key, value in file.attrs.items()}, "nodes": nodes}


def make(path: Path, layout: Layout, value: Callable[[str, tuple[int, ...]], np.ndarray]) -> None:
    """Writes a file of this structure; `value` gives a weight by its name and shape, and what has no name is zero."""
    with h5py.File(path, "w") as file:
        for key, found in layout["attributes"].items():
            file.attrs[key] = _restored(found)
        for node in layout["nodes"]:
            made = file.require_group(node["group"]) if "group" in node else _dataset(file, node, value)
            for key, found in node.get("attributes", {}).items():
                made.attrs[key] = _restored(found)


def _dataset(
    file: h5py.File, node: Mapping[str, Any], value: Callable[[str, tuple[int, ...]], np.ndarray]
) -> h5py.Dataset:
    shape = tuple(node["shape"])
    numbers = value(node["value"], shape) if "value" in node else np.zeros(shape)
    return file.create_dataset(node["dataset"], data=numbers.astype(node["dtype"]))


def _attribute(value: Any) -> Any:
    """A string as it is, an array of strings or numbers as a list with its kind."""
    if isinstance(value, str):
        return value
    found = np.asarray(value)
    kind = "text" if found.dtype == object else "bytes" if found.dtype.kind == "S" else str(found.dtype)
    texts = found.astype(str) if kind in ("text", "bytes") else found
    return {"kind": kind, "values": texts.tolist()}


def _restored(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if value["kind"] == "text":
        return np.array(value["values"], dtype=h5py.string_dtype())
    return np.array(value["values"], dtype="S" if value["kind"] == "bytes" else value["kind"])


def beyond(layout: Layout, base: Layout) -> Layout:
    """What a file has that another has not, or has otherwise."""
    attributes = {key: found for key, found in layout["attributes"].items() if base["attributes"].get(key) != found}
    return {"attributes": attributes, "nodes": [node for node in layout["nodes"] if node not in base["nodes"]]}
