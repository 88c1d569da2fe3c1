"""Noise with boxes, for a side that is alone: what draws digits is the port's. Needs numpy alone."""

from collections.abc import Sequence

import numpy as np

from parity_tests.retinanet.inputs import Labels, Scene, Size, random_images
from parity_tests.rule.compare import Array

CLASSES = 10
"""So many has every preset at least."""

SIDES = 24, 48
"""Pixels of the sides of a box, some anchor of which it fits: they begin at 23 by 45, and at 32 by 32."""

MOST = 4
"""Boxes in a picture."""


class NoiseInputs:
    """Pictures of noise with boxes anywhere, all from one seed; their edges lie on no pixel's, so that nothing ties."""

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    def images(self, size: Size) -> Array:
        return random_images(size, seed=self.seed)

    def digits(self, size: Size, count: int) -> Scene:
        rng = np.random.default_rng([self.seed, count, *size])
        pictures = [_boxes(size, rng) for _ in range(count)]
        images = random_images(size, batch=count, seed=self.seed)
        return Scene(images, [boxes for boxes, _ in pictures], [labels for _, labels in pictures])

    def training(self, size: Size, batch: int, steps: int) -> Sequence[Scene]:
        return [NoiseInputs(seed=self.seed + step).digits(size, batch) for step in range(steps)]


def _boxes(size: Size, rng: np.random.Generator) -> tuple[Array, Labels]:
    """Boxes (G,4) xyxy within a picture, one at least, and their labels (G,)."""
    count, picture = int(rng.integers(1, MOST, endpoint=True)), np.array(size[::-1], np.float64)
    extents = np.minimum(rng.uniform(*SIDES, (count, 2)), picture)
    corners = rng.uniform(0, 1, (count, 2)) * (picture - extents)
    return np.concatenate([corners, corners + extents], axis=1), rng.integers(CLASSES, size=count)
