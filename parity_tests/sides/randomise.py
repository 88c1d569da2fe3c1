"""Weights that hide no mistake: fresh ones have biases of 0, means of 0 and variances of 1. Needs numpy alone."""

import math
from typing import Any

import numpy as np

from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from parity_tests.sides.adapters import adapted
from parity_tests.sides.names import canonical, fan_in


def randomise(model: Any, seed: int = 0) -> None:
    """Give a torch module or a Keras model random weights and statistics, in place, the same for the same seed.

    Kernels keep the size of what passes through them (He et al. 2015, arXiv 1502.01852); factors lie about 1, variances
    between 0.5 and 2, offsets and means about 0.

    Raises:
        UsageError: for what is neither, and for a Keras model that has no weights yet.
    """
    adapter, rng = adapted("model", model), np.random.default_rng(seed)
    if not adapter.has_parameters:
        raise UsageError(f"model: {adapter.words} has no weights, and must be a torch module or a Keras model")
    parameters = adapter.open("float32", {}).parameters()
    adapter.assign({name: _draw(rng, name, value).astype(np.float32) for name, value in parameters.items()})


def _draw(rng: np.random.Generator, name: str, value: Array) -> Array:
    leaf = canonical(name)[-1]
    if value.ndim > 1:
        return rng.normal(0, math.sqrt(2 / fan_in(name, value.shape)), value.shape)
    if leaf == "running_var":
        return rng.uniform(0.5, 2, value.shape)
    return rng.uniform(0.5, 1.5, value.shape) if leaf == "weight" else rng.normal(0, 0.25, value.shape)
