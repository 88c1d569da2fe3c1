"""What is timed, and the data that it is timed with."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

Kind = Literal["network", "detect", "step"]
KINDS = get_args(Kind)

MEANINGS: dict[Kind, str] = {
    "network": "the network alone",
    "detect": "from picture files to boxes",
    "step": "a training step",
}
"""What each kind is, for people."""

WRITTEN_QUALITY = 90
"""Of the JPEG files that pictures are read from."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One thing that every contender does.

    Attributes:
        kind: the network alone, from picture files to boxes, or a training step.
        height: of each picture in pixels, and so `width`; no contender resizes.
        batch: pictures at once.
        num_classes: K.
        boxes: objects in each picture of a training step.
        weights: a file or run of this package; without it all have random weights, with which few scores pass.
        files: the pictures of `detect`.
        device: where torch computes.
    """

    kind: Kind
    height: int
    width: int
    batch: int = 1
    num_classes: int = 80
    boxes: int = 8
    weights: str | None = None
    files: tuple[str, ...] = ()
    device: str = "cpu"

    @property
    def side(self) -> tuple[int, int]:
        """Short and long side in pixels."""
        return min(self.height, self.width), max(self.height, self.width)

    @property
    def title(self) -> str:
        """Kind, size and batch, for people."""
        return f"{MEANINGS[self.kind]}, {self.height}x{self.width}, batch {self.batch}"

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def pictures(self) -> np.ndarray:
        """The same random pictures (B,H,W,3) each time, in bytes."""
        drawn = np.random.default_rng(0).integers(0, 256, (self.batch, self.height // 8 + 1, self.width // 8 + 1, 3))
        smooth = drawn.astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)
        return smooth[:, : self.height, : self.width]

    def boxes_xyxy(self) -> np.ndarray:
        """The objects (B,G,4) of a training step, in pixels."""
        generator = np.random.default_rng(1)
        sides = np.array([self.width, self.height])
        size = generator.uniform(0.05, 0.4, (self.batch, self.boxes, 2)) * sides
        corner = generator.uniform(0, 1, size.shape) * (sides - size)
        return np.concatenate([corner, corner + size], axis=-1).astype(np.float32)

    def labels(self) -> np.ndarray:
        """Their classes (B,G), from 0."""
        return np.random.default_rng(2).integers(0, self.num_classes, (self.batch, self.boxes))


def write_pictures(task: Task, folder: Path) -> tuple[str, ...]:
    """The pictures of a task as JPEG files in a folder."""
    from PIL import Image

    paths = [folder / f"{task.height}x{task.width}_{i}.jpg" for i in range(task.batch)]
    for path, pixels in zip(paths, task.pictures(), strict=True):
        Image.fromarray(pixels).save(path, quality=WRITTEN_QUALITY)
    return tuple(map(str, paths))
