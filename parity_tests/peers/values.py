"""Weights and pictures made from a name and a seed, the same on every side, so that none need be stored."""

import zlib

import numpy as np


def generator(name: str, seed: int) -> np.random.Generator:
    """The random numbers of one name."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def value_of(name: str, shape: tuple[int, ...], seed: int, *, kernel_axes: str = "OIHW") -> np.ndarray:
    """A weight in float32, by what its name and rank say that it is.

    Args:
        name: the peer's own name of it.
        shape: its shape.
        seed: of all weights of one model.
        kernel_axes: the order of a kernel's axes, OIHW of torch or HWIO of Keras.
    """
    draw = generator(name, seed)
    if len(shape) == 4:
        fan_in = np.prod(shape[1:] if kernel_axes == "OIHW" else shape[:3])
        return np.asarray(draw.standard_normal(shape) * np.sqrt(1.0 / fan_in), dtype=np.float32)
    if "var" in name.lower() or name.lower().rpartition("/")[2].rpartition(".")[2] in ("weight", "gamma", "gamma:0"):
        return draw.uniform(0.5, 1.5, shape).astype(np.float32)
    return (draw.standard_normal(shape) * 0.1).astype(np.float32)


def noise(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """What enters a network, in float32: standard normal, hence as large above zero as below it."""
    return generator(name, seed).standard_normal(shape).astype(np.float32)


def picture(name: str, height: int, width: int, seed: int) -> np.ndarray:
    """A picture of uniform noise, `[H,W,3]` in uint8."""
    return generator(name, seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def true_boxes(name: str, count: int, height: int, width: int, seed: int) -> np.ndarray:
    """Boxes `[N,4]` as x1, y1, x2, y2 within a picture, in eighths of a pixel, which float32 holds exactly."""
    draw = generator(name, seed)
    limit = np.array([width, height])
    sides = np.minimum(draw.uniform(20.0, 110.0, (count, 2)), 0.9 * limit)
    corners = draw.uniform(0.0, 1.0, (count, 2)) * (limit - sides)
    return np.asarray(np.round(8 * np.concatenate([corners, corners + sides], axis=1)) / 8, dtype=np.float64)


def sampled(name: str, size: int, count: int) -> np.ndarray:
    """The flat indices, ascending, of the elements of a large tensor that a recording keeps."""
    if size <= count:
        return np.arange(size)
    return np.sort(generator(name, size).choice(size, count, replace=False))
