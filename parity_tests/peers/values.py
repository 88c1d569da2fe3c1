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
        return (draw.standard_normal(shape) * np.sqrt(1.0 / fan_in)).astype(np.float32)
    if "var" in name.lower() or name.lower().rpartition("/")[2].rpartition(".")[2] in ("weight", "gamma", "gamma:0"):
        return draw.uniform(0.5, 1.5, shape).astype(np.float32)
    return (draw.standard_normal(shape) * 0.1).astype(np.float32)
