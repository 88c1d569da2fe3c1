"""A recording that is read again, and our answers held against it by the comparison rule."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from parity_tests.peers.values import sampled
from parity_tests.rule.budgets import CASCADED, GRADIENT
from parity_tests.rule.compare import compare_values
from parity_tests.rule.record import Record, Where

LOSSES = {"classification": "classification", "bbox_regression": "bbox_regression"}
"""Our losses, and torchvision's."""


OF_ROWS = ("positives_target", "targets/deltas")
"""What has no meaning but in the rows that are recorded."""


def name_within(full: str) -> str:
    """The end of a recorded name: what it is of."""
    return next((name for name in OF_ROWS if full.endswith(name)), full)


def same_name(name: str) -> str:
    """Names that both have."""
    return name


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A recording, and how what is in it is read.

    Attributes:
        folder: of the recording.
        variant: what the names of a variant of the peer begin with, where it has several.
        losses: the peer's name of each of our losses.
        their_name: the peer's name of a weight of ours.
        channels_last: whether its maps and pictures are `[B,H,W,C]`.
        rows_first: whether its boxes are y1, x1, y2, x2.
        deviation: what the noise that enters the network is multiplied by.
        coarse: beginnings of names of what the peer computes in float32, whatever its model has.
        left_out: beginnings of names of what is not compared, each with its reason.
    """

    folder: Path
    variant: str = ""
    losses: Mapping[str, str] = field(default_factory=lambda: LOSSES)
    their_name: Callable[[str], str] = same_name
    channels_last: bool = False
    rows_first: bool = False
    deviation: float = 1.0
    coarse: Sequence[str] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """All that is recorded, by name."""
        return dict(load_file(self.folder / "answers.safetensors"))

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The metadata, of which what is JSON is read."""
        with (self.folder / "answers.safetensors").open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return {name: _read(text) for name, text in header["__metadata__"].items()}

    @property
    def seed(self) -> int:
        """Of all weights and pictures."""
        return int(self.facts["seed"])

    def count(self, size: tuple[int, int]) -> int:
        """Pictures in the batch of a size."""
        sizes = self.facts["sizes"]
        listed = {f"{h}x{w}": count for h, w, count in sizes} if isinstance(sizes, list) else sizes
        return int(listed[f"{size[0]}x{size[1]}"])

    def path(self, *parts: str) -> str:
        """A name of the variant."""
        return "/".join(part for part in (self.variant, *parts) if part)

    def names(self, where: str) -> list[str]:
        """What is recorded under a name, without it: of arrays that are cut, the array alone."""
        found = [name.removeprefix(f"{where}/") for name in self.arrays if name.startswith(f"{where}/")]
        return [name for name in found if not name.endswith(("/whole", "/rows"))]

    def is_left_out(self, name: str) -> bool:
        """Whether a name is one of those that are not compared."""
        return name.startswith(tuple(self.left_out))

    def judge(self, where: str, name: str, value: np.ndarray | None, place: Where) -> Record:
        """Ours against what is recorded as `where/name`, within 1024 roundings of the largest of the whole array.

        What the peer computed in float32 is judged in float32; whole numbers must be the same.
        """
        full = f"{where}/{name}"
        reference, shape = self.arrays[full], tuple(self.facts["shapes"][full])
        if value is None or not _fits(value.shape, shape):
            return compare_values(place.mode, place, name, np.zeros(shape), value, None)
        reference, value, largest = self._paired(full, reference, value.reshape(shape))
        if reference.dtype.kind != "f":
            return compare_values(place.mode, place, name, reference, value.astype(reference.dtype), 0.0)
        is_coarse = place.dtype == "float64" and (reference.dtype == np.float32 or name.startswith(tuple(self.coarse)))
        precision = np.finfo(np.float32 if is_coarse or place.dtype == "float32" else np.float64)
        share = max(GRADIENT if name.startswith("grad_sum") else 0.0, CASCADED * float(precision.eps))
        reference, value = reference.astype(np.float64), value.astype(np.float64)
        record = compare_values(place.mode, place, name, reference, value, share * largest)
        return replace(record, coarse=("reference",)) if is_coarse else record

    def _paired(self, full: str, reference: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """What is recorded of an array and the same of ours, with the largest magnitude of the recorded whole."""
        if f"{full}/whole" not in self.arrays:
            return reference, value, float(np.abs(reference).max(initial=0.0))
        whole, magnitude = self.arrays[f"{full}/whole"], np.abs(value.astype(np.float64))
        if f"{full}/rows" in self.arrays:
            rows = self.arrays[f"{full}/rows"]
            chosen = value[rows[:, 0], rows[:, 1]].reshape(-1)
        else:
            chosen = value.reshape(-1)[sampled(full, value.size, int(self.facts["kept"]))]
        if name_within(full) in OF_ROWS:
            return reference.reshape(-1), chosen, float(np.abs(reference).max(initial=0.0))
        summary = [magnitude.max(initial=0.0), value.mean(dtype=np.float64), magnitude.mean()]
        kept = reference.reshape(-1)
        joined = np.concatenate([kept, whole.astype(kept.dtype)])
        return joined, np.concatenate([chosen, np.array(summary, chosen.dtype)]), float(whole[0])


def _fits(shape: Sequence[int], recorded: Sequence[int]) -> bool:
    """Whether two shapes are the same but for axes of one."""
    return [n for n in shape if n != 1] == [n for n in recorded if n != 1]


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
