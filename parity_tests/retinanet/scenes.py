"""Where a run of both sides takes its pictures from: seeded noise or a user's own, and digits with their boxes."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from parity_tests.retinanet.inputs import Scene, Size, random_images
from parity_tests.retinanet.pictures import picture_batch
from parity_tests.rule.record import Array
from torch_retinanet.data.digits import Digits

SMALLEST_MATCH = 24
"""Pixels of a box's short side from which some anchor fits it: anchors begin at 23 by 45, and at 32 by 32."""

PICTURES = 10
"""So many different pictures of digits are trained on, in turn; some sixty are drawn for each that fits."""

Sample = tuple[torch.Tensor, dict[str, Any]]
"""A picture of bytes (3,H,W), and its `boxes` and `labels`."""


class DrawnWhenRead(Sequence[Scene]):
    """The first `count` batches, drawn up to the one that is read: gradients are taken of the first alone.

    Who reads one gets a copy: other runs read the same batches.
    """

    def __init__(self, scenes: Iterator[Scene], count: int) -> None:
        self._scenes, self._count = scenes, count
        self._drawn: list[Scene] = []

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        place = range(self._count)[index]
        last = place if isinstance(place, int) else max(place, default=-1)
        self._drawn += islice(self._scenes, max(0, last + 1 - len(self._drawn)))
        return _copy(self._drawn[place]) if isinstance(place, int) else [_copy(self._drawn[i]) for i in place]


def _copy(scene: Scene) -> Scene:
    boxes, labels = ([values.copy() for values in of_each] for of_each in (scene.boxes, scene.labels))
    return Scene(scene.images.copy(), boxes, labels)


class DigitInputs:
    """Digits, and noise or pictures of a user, all from one seed.

    Args:
        pictures: of a user; by default seeded noise.
        seed: of noise and digits.
    """

    def __init__(self, pictures: Sequence[Image.Image] | None = None, *, seed: int = 0) -> None:
        self.pictures, self.seed = pictures, seed

    def images(self, size: Size) -> Array:
        return random_images(size, seed=self.seed) if self.pictures is None else picture_batch(self.pictures, size)

    def digits(self, size: Size, count: int) -> Scene:
        return digits(size, count, seed=self.seed)

    def training(self, size: Size, batch: int, steps: int) -> Sequence[Scene]:
        return _first_batches(size, batch, steps, self.seed)


@lru_cache(maxsize=4)
def _first_batches(size: Size, batch: int, steps: int, seed: int) -> Sequence[Scene]:
    """Kept for the next run from the same seed."""
    return DrawnWhenRead(matching_digits(size, batch, seed=seed), steps)


def digits(size: Size, count: int, *, seed: int = 0) -> Scene:
    """The first `count` pictures of the training split, as they come."""
    data = Digits("train", length=count, size=size, seed=seed)
    return _scene([data[i] for i in range(count)])


def matching_digits(size: Size, batch: int, *, seed: int = 0) -> Iterator[Scene]:
    """Batches without end of ten pictures that each have a box some anchor fits, half of them mirrored left to right.

    They are cut from the middle of square ones, so that boxes may reach over the border: in a low picture drawn as
    such every digit would be too small. The mirroring is drawn here, once, so that both sides see the same; and each
    edge of a box is moved by up to a quarter of a pixel, so that no anchor meets two boxes alike and leaves the choice
    to rounding.
    """
    data = Digits("train", length=2**31, size=(max(size), max(size)), seed=seed)
    rng = np.random.default_rng(seed)
    matching = cycle(islice((sample for i in range(2**31) if _has_match(sample := _cut(data[i], size))), PICTURES))
    while True:
        scene = _mirrored(_scene(list(islice(matching, batch))), rng.random(batch) < 0.5)
        yield _moved(scene, rng)


def _cut(sample: Sample, size: Size) -> Sample:
    """The middle of a picture, with the boxes whose centre lies in it."""
    image, target = sample
    top, left = (image.shape[1] - size[0]) // 2, (image.shape[2] - size[1]) // 2
    boxes = target["boxes"] - torch.tensor([left, top, left, top])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = ((centres >= 0) & (centres < torch.tensor(size[::-1]))).all(dim=1)
    cut = image[:, top : top + size[0], left : left + size[1]]
    return cut, {"boxes": boxes[inside], "labels": target["labels"][inside]}


def _has_match(sample: Sample) -> bool:
    boxes = sample[1]["boxes"]
    return len(boxes) > 0 and bool((boxes[:, 2:] - boxes[:, :2]).amin(dim=1).max() >= SMALLEST_MATCH)


def _scene(samples: Sequence[Sample]) -> Scene:
    images = np.stack([image.permute(1, 2, 0).numpy() for image, _ in samples])
    boxes = [target["boxes"].numpy().astype(np.float64) for _, target in samples]
    scaled = images.astype(np.float32) / np.float32(127.5) - np.float32(1)
    return Scene(scaled, boxes, [target["labels"].numpy() for _, target in samples])


def _mirrored(scene: Scene, flips: NDArray[np.bool_]) -> Scene:
    width = scene.size[1]
    images = np.where(flips[:, None, None, None], scene.images[:, :, ::-1], scene.images)
    boxes = [
        np.stack([width - b[:, 2], b[:, 1], width - b[:, 0], b[:, 3]], axis=1) if flip else b
        for b, flip in zip(scene.boxes, flips, strict=True)
    ]
    return Scene(images, boxes, scene.labels)


def _moved(scene: Scene, rng: np.random.Generator) -> Scene:
    return scene._replace(boxes=[boxes + rng.uniform(-0.25, 0.25, boxes.shape) for boxes in scene.boxes])
