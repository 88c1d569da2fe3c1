"""What both models are fed: pictures and weights, the same arrays to both sides, channels last. Needs numpy alone.

Pictures are sign-symmetric and vary across both axes, batches hold two or more; statistics and biases are random,
because mean 0 and variance 1 hide mistakes. All values are float32 numbers, so that both precisions start from the
same.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from parity_tests.sides.names import fan_in

Size = tuple[int, int]
"""Height and width in pixels."""

Labels = NDArray[np.integer]
"""Classes (G,), counted from 0."""


class Scene(NamedTuple):
    """A batch of pictures (B,H,W,3) from -1 to 1, with boxes (G,4) xyxy in pixels and labels (G,) of each."""

    images: Array
    boxes: Sequence[Array]
    labels: Sequence[Labels]

    @property
    def size(self) -> Size:
        """Height and width of the pictures."""
        return self.images.shape[1], self.images.shape[2]


Batches = Sequence[Sequence[Sequence[Scene]]]
"""Of each step its batches, and of each batch its pictures one by one, since they have different sizes."""


class Marks(NamedTuple):
    """What COCO says of the objects of a picture beside their boxes.

    Attributes:
        crowd: (G,) which are neither to be found nor wrong to find.
        area: (G,) in square pixels: that of the object, which is not that of its box.
    """

    crowd: NDArray[np.bool_]
    area: Array


class Inputs(Protocol):
    """Where a run takes its pictures from."""

    seed: int

    def images(self, size: Size) -> Array:
        """A batch (B,H,W,3) from -1 to 1."""

    def digits(self, size: Size, count: int) -> Scene:
        """So many pictures of digits with their boxes."""

    def training(self, size: Size, batch: int, steps: int) -> Sequence[Scene]:
        """The batches of a training run, in order; every picture has a box that some anchor fits."""


COLOURS = 3
"""Channels of a picture in red, green and blue."""

LAST_LAYERS = ("cls_head/4/", "box_head/4/")
"""How the variables of the last layers of the heads begin."""

CLASS_HEAD, BOX_HEAD = 0, 1
"""Which of them is which."""

MAX_PIXELS = 2**21
"""The largest picture compared: some 1344x1344, whose taps in both precisions fill most of a large machine's memory."""


def read_size(text: str) -> Size:
    """The size in `96x160`, height by width."""
    height, cross, width = text.partition("x")
    if not (cross and height.isdecimal() and width.isdecimal() and int(height) > 0 and int(width) > 0):
        raise UsageError(f"--sizes: {text!r} must be HEIGHTxWIDTH in pixels, as 128x128")
    if len(height + width) > 10 or int(height) * int(width) > MAX_PIXELS:
        raise UsageError(f"--sizes: {text!r} must have {MAX_PIXELS} pixels at most")
    return int(height), int(width)


def size_name(size: Size) -> str:
    """`96x160`, height by width."""
    return f"{size[0]}x{size[1]}"


def random_images(size: Size, *, batch: int = 2, seed: int = 0, channels: int = COLOURS) -> Array:
    """Noise (B,H,W,C) from -1 to 1 over a slope along each axis, another in each channel."""
    height, width = size
    rng = np.random.default_rng([seed, height, width])
    noise = rng.uniform(-0.5, 0.5, (batch, height, width, channels))
    slopes = rng.uniform(-0.25, 0.25, (2, batch, 1, 1, channels))
    rows, columns = np.linspace(-1, 1, height)[None, :, None, None], np.linspace(-1, 1, width)[None, None, :, None]
    images: Array = (noise + slopes[0] * rows + slopes[1] * columns).astype(np.float32)
    return images


class LazyWeights(Mapping[str, Array]):
    """Weights that are drawn where they are first asked for: shapes need none."""

    def __init__(self, draw: Callable[[], Mapping[str, Array]]) -> None:
        self._draw = cache(draw)

    def __getitem__(self, name: str) -> Array:
        return self._draw()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._draw())

    def __len__(self) -> int:
        return len(self._draw())


def random_variables(shapes: Mapping[str, tuple[int, ...]], *, seed: int = 0) -> dict[str, Array]:
    """Weights by Keras name, none of them at a value that hides a mistake.

    Kernels keep the size of what passes through them (He et al. 2015, arXiv 1502.01852); a residual branch adds half
    its size, so that sixteen of them do not run away, and the last layer of a head makes it small, so that scores are
    not all 0 or 1.
    """
    rng = np.random.default_rng(seed)
    return {name: _draw(rng, name, shape).astype(np.float32) for name, shape in shapes.items()}


def random_last_layer(
    variables: Mapping[str, Array], times: float = 1.0, *, seed: int = 0, head: int = CLASS_HEAD
) -> dict[str, Array]:
    """Values for the last layer of a head among variables, with so many times its filters."""
    last = {name: value.shape for name, value in variables.items() if name.startswith(LAST_LAYERS[head])}
    return random_variables({name: (*shape[:-1], round(shape[-1] * times)) for name, shape in last.items()}, seed=seed)


def moved_by_an_ulp(variables: Mapping[str, Array], *, seed: int, dtype: str = "float64") -> dict[str, Array]:
    """Variables in a precision, each number moved to the next one up or down at random."""
    rng = np.random.default_rng(seed)
    moved = {}
    for name, values in variables.items():
        towards = np.where(rng.random(values.shape) < 0.5, -np.inf, np.inf).astype(dtype)
        moved[name] = np.nextafter(values.astype(dtype), towards)
    return moved


def _draw(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    layer, variable = name.split("/")[-2:]
    if variable == "kernel":
        calm = 1 / 32 if name.startswith(LAST_LAYERS) else 1
        return rng.normal(0, calm * math.sqrt(2 / fan_in("kernel", shape)), shape)
    if variable == "gamma":
        return rng.uniform(0.5, 1.5, shape) * (0.5 if layer.endswith("_3_bn") else 1)
    if variable == "moving_variance":
        return rng.uniform(0.5, 2, shape)
    return rng.normal(0, 0.25, shape)


CLASSES = 10
"""So many has every preset at least."""

SIDES = 24, 48
"""Pixels of the sides of a box, some anchor of which it fits: they begin at 23 by 45, and at 32 by 32."""

MOST_BOXES = 4
"""Boxes in a picture."""


class NoiseInputs:
    """Where a side that is alone takes its pictures from, since what draws digits is the port's: noise with boxes.

    All follows from one seed; edges of boxes lie on no pixel's, so that nothing ties.
    """

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
    count, picture = int(rng.integers(1, MOST_BOXES, endpoint=True)), np.array(size[::-1], np.float64)
    extents = np.minimum(rng.uniform(*SIDES, (count, 2)), picture)
    corners = rng.uniform(0, 1, (count, 2)) * (picture - extents)
    return np.concatenate([corners, corners + extents], axis=1), rng.integers(CLASSES, size=count)
