"""What a peer answers, on its way into `answers.safetensors` and `layout.json`; numpy alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from parity_tests.peers.values import sampled, value_of

KEPT = 320
"""Elements of a large tensor that are kept."""

KEPT_ROWS = 48
"""Rows of a tensor with few rows that matter that are kept."""

Tuning = Mapping[str, tuple[float, float]]
"""By a weight's name what it is multiplied by, and what is then added: so that scores spread from 0.05 to 1."""


class Recording:
    """Named arrays: the large ones as a sample, with a summary of the whole.

    Of an array `x` that is cut, `x` holds the elements at `sampled("x", size, KEPT)` and `x/whole` the largest
    magnitude, the mean and the mean magnitude of all. `x/rows` are the rows that are kept in `x` where they were
    chosen by what they hold.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self.whole = whole
        self.arrays: dict[str, np.ndarray] = {}
        self.shapes: dict[str, list[int]] = {}

    def add(self, name: str, value: Any) -> None:
        """Keeps an array, or a sample of it."""
        found = np.asarray(value)
        self.shapes[name] = list(found.shape)
        if self.whole or found.size <= KEPT:
            self.arrays[name] = np.ascontiguousarray(found)
            return
        self.arrays[name] = found.reshape(-1)[sampled(name, found.size, KEPT)]
        self.arrays[f"{name}/whole"] = self._summary(found)

    def add_all(self, name: str, value: Any) -> None:
        """Keeps an array as it is, however large."""
        self.arrays[name] = np.ascontiguousarray(value)
        self.shapes[name] = list(self.arrays[name].shape)

    def add_rows(self, name: str, value: Any, rows: np.ndarray) -> None:
        """Keeps of `[N,M,...]` the rows `[R,2]` that are given, a sample of them where there are many."""
        found = np.asarray(value)
        chosen = rows[sampled(name, len(rows), KEPT_ROWS)]
        self.shapes[name] = list(found.shape)
        self.arrays[name] = np.ascontiguousarray(found[chosen[:, 0], chosen[:, 1]])
        self.arrays[f"{name}/rows"] = chosen.astype(np.int32)
        self.arrays[f"{name}/whole"] = self._summary(found)

    def write(self, folder: Path, facts: Mapping[str, Any], layout: Mapping[str, Any]) -> None:
        """Writes both files; `facts` go into the metadata, each as JSON unless it is a string."""
        folder.mkdir(parents=True, exist_ok=True)
        every = {**facts, "shapes": self.shapes, "kept": KEPT, "kept_rows": KEPT_ROWS, "whole": self.whole}
        metadata = {key: value if isinstance(value, str) else json.dumps(value) for key, value in every.items()}
        save_file(dict(sorted(self.arrays.items())), folder / "answers.safetensors", metadata)
        (folder / "layout.json").write_text(written(layout) + "\n")

    @staticmethod
    def _summary(found: np.ndarray) -> np.ndarray:
        magnitude = np.abs(found.astype(np.float64))
        return np.array([magnitude.max(), found.mean(dtype=np.float64), magnitude.mean()])


def tuned_value(name: str, shape: tuple[int, ...], seed: int, tuning: Tuning) -> np.ndarray:
    """A weight of a recorded model in float32: `value_of`, tuned."""
    scale, shift = tuning.get(name, (1.0, 0.0))
    return np.asarray(value_of(name, shape, seed) * np.float32(scale) + np.float32(shift))


def entry(name: str, shape: tuple[int, ...], dtype: str, tuning: Tuning, **more: Any) -> dict[str, Any]:
    """One weight of a file: its name in it, shape and dtype, and its tuning where it has one."""
    found: dict[str, Any] = {"name": name, "shape": list(shape), "dtype": dtype, **more}
    known = more.get("value", name)
    return found if known not in tuning else {**found, "scale": tuning[known][0], "shift": tuning[known][1]}


def written(value: Any, indent: str = "") -> str:
    """JSON with a line for each innermost table or list."""
    inner = indent + " "
    if isinstance(value, Mapping) and any(isinstance(part, Mapping | list) and part for part in value.values()):
        if all(not isinstance(part, Mapping) and not _nested(part) for part in value.values()):
            return json.dumps(value)
        rows = [f"{inner}{json.dumps(key)}: {written(part, inner)}" for key, part in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if _nested(value):
        return "[\n" + ",\n".join(inner + written(part, inner) for part in value) + f"\n{indent}]"
    return json.dumps(value)


def _nested(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(part, Mapping | list) for part in value)
