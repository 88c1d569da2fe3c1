"""Each layer of Keras in a model of its own beside its twin in torch, and beside what is nearly one."""

from typing import Any

import keras
import numpy as np
from torch import Tensor, nn

from parity_tests import KerasModel, TorchModule, compare_models, randomise
from parity_tests.rule.result import Result
from parity_tests.tests.support.keras_twins import Make, Twin
from parity_tests.tests.support.trained_twins import TWINS

TAP = {"layer": "layer"}


class OneModule(nn.Module):
    """One module under the name of its twin."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Tensor) -> Tensor:
        found: Tensor = self.layer(*inputs)
        return found


def compared(twin: Twin, module: Make, **settings: Any) -> Result:
    """The layer of Keras in a model of its own, with random weights, against a module of torch."""
    dtype = "int32" if twin.words else "float32"
    inputs = [keras.Input(shape[1:], batch_size=shape[0], dtype=dtype) for shape in twin.shapes]
    layer = twin.layer()
    layer.name = "layer"
    model = keras.Model(
        inputs, layer(*inputs) if twin.takes_apart else layer(inputs if len(inputs) > 1 else inputs[0]), name="own"
    )
    randomise(model)
    fed = [_drawn(twin, i, shape) for i, shape in enumerate(twin.shapes)]
    reference, port = KerasModel(model, TAP), TorchModule(OneModule(module()), TAP)
    return compare_models(reference, port, fed, **twin.settings, **settings)


def _drawn(twin: Twin, seed: int, shape: tuple[int, ...]) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(0, twin.words, shape) if twin.words else rng.normal(0, 6, shape).astype(np.float32)


def not_told(name: str) -> str:
    """What is wrong with what is said of a twin, or an empty string."""
    twin = TWINS[name]
    right = compared(twin, twin.module)
    wrong = compared(twin, twin.wrong, dtypes=("float64",))  # where a mistake is named first
    named = wrong.summary.startswith(("different: layer is where it starts", "different: it starts at layer"))
    if right.verdict != "equal" or not named:
        return f"{name}: {right.summary}; and with a mistake {wrong.summary}"
    return ""
