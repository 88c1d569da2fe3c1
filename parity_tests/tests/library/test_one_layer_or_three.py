"""Queries, keys and values of attention: one layer on the one side and three on the other; and equal values."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops
from torch import Tensor, nn
from torch.nn import functional as F

from parity_tests import compare_models, randomise
from parity_tests.ladder.gradients import scales_of

STEPS = np.random.default_rng(0).normal(size=(2, 5, 8))
HEADS = 2


def attended(query: Tensor, key: Tensor, value: Tensor, scale: float = 1.0) -> Tensor:
    q, k, v = (x.view(*x.shape[:2], HEADS, -1).transpose(1, 2) for x in (query * scale, key, value))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class OneLayer(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.norm, self.qkv, self.proj, self.scale = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8), scale

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(self.norm(x)).chunk(3, -1)
        made: Tensor = x + self.proj(attended(query, key, value, self.scale))
        return made


class ThreeLayers(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.ln, self.scale = nn.LayerNorm(8), scale
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(8, 8) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln(x)
        made: Tensor = x + self.o_proj(attended(self.q_proj(y), self.k_proj(y), self.v_proj(y), self.scale))
        return made


class KerasBlock(keras.Model):  # type: ignore[misc]  # keras has no types
    """A block in Keras with a layer for all three, or three, or the attention of Keras."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.before = kind, L.LayerNormalization(epsilon=1e-5)
        if kind == "attention":
            self.mha = L.MultiHeadAttention(HEADS, 4)
            return
        names = ["qkv"] if kind == "one" else ["query", "key", "value"]
        for name in names:
            setattr(self, name, L.Dense(24 // len(names), name=name))
        self.out = L.Dense(8)

    def call(self, x: Any) -> Any:
        y = self.before(x)
        if self.kind == "attention":
            return x + self.mha(y, y)
        three = ops.split(self.qkv(y), 3, -1) if self.kind == "one" else [self.query(y), self.key(y), self.value(y)]
        q, k, v = (ops.transpose(ops.reshape(a, (-1, 5, HEADS, 4)), (0, 2, 1, 3)) for a in three)
        made = ops.matmul(ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) / 2.0), v)
        return x + self.out(ops.reshape(ops.transpose(made, (0, 2, 1, 3)), (-1, 5, 8)))


def keras_block(kind: str) -> keras.Model:
    model = KerasBlock(kind)
    model(STEPS)
    randomise(model)
    return model


@pytest.mark.parametrize(("kind", "port"), [("attention", OneLayer), ("three", OneLayer), ("one", ThreeLayers)])
def test_a_layer_of_keras_and_three_of_torch_hold_the_same(kind: str, port: type[nn.Module]) -> None:
    reference = keras_block(kind)
    right, wrong = (compare_models(reference, port(scale), STEPS) for scale in (1.0, 0.7))
    assert right.verdict == "equal", right.summary
    end = "output" if kind == "attention" else "out.input"
    assert wrong.summary.startswith(f"different: {end} is where it starts"), wrong.summary


@pytest.mark.parametrize(("one", "other"), [(OneLayer, ThreeLayers), (ThreeLayers, OneLayer)])
def test_the_table_that_is_found_can_be_given(one: type[nn.Module], other: type[nn.Module]) -> None:
    reference, port = one(), other()
    randomise(reference)
    found = compare_models(reference, port, STEPS)
    assert found.verdict == "equal", found.summary
    given = compare_models(reference, port, STEPS, names=found.settings["names"])
    assert (given.summary, len(given.records)) == (found.summary, len(found.records))


def test_queries_of_values_that_are_all_alike_have_gradients_of_nothing_but_rounding() -> None:
    gradients = {"block/attn/query/kernel": 1e-17, "block/attn/value/bias": 3.0, "dense/kernel": 1e-17}
    scales = scales_of({name: np.array([value]) for name, value in gradients.items()})
    assert scales == {"block/attn/query/kernel": 3.0, "block/attn/value/bias": 3.0, "dense/kernel": 1e-17}
    assert scales_of({"block/attn/query/kernel": np.array([1.0]), "block/attn/value/bias": np.array([3.0])}) == {
        "block/attn/query/kernel": 1.0,
        "block/attn/value/bias": 3.0,
    }
