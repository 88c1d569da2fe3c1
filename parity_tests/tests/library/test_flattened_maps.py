"""A dense layer behind a flattened map: channels last in Keras, channels first in torch, and its kernel so."""

import keras
import numpy as np
import pytest
import torch
from keras import layers as L
from torch import Tensor, nn
from torch.nn import functional as F

from parity_tests import compare_models, randomise

MAPS = np.random.default_rng(0).normal(size=(3, 6, 5, 2))


def classifier() -> keras.Model:
    images = keras.Input(MAPS.shape[1:])
    x = L.Conv2D(4, 3, activation="relu", name="conv")(images)
    x = L.Dense(6, activation="tanh", name="hidden")(L.Flatten()(x))
    model = keras.Model(images, L.Dense(3, name="classes")(x))
    randomise(model)
    return model


class Classifier(nn.Module):
    def __init__(self, bend: float = 0.0) -> None:
        super().__init__()
        self.conv, self.hidden, self.classes, self.bend = nn.Conv2d(2, 4, 3), nn.Linear(48, 6), nn.Linear(6, 3), bend

    def forward(self, images: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv(images), self.bend)
        made: Tensor = self.classes(torch.tanh(self.hidden(x.flatten(1))))
        return made


def carried(reference: keras.Model, *, reordered: bool) -> Classifier:
    """The port with weights as its author carries them."""
    port = Classifier()
    values = [torch.tensor(value) for value in reference.get_weights()]
    hidden = values[2].T.reshape(6, 4, 3, 4).permute(0, 3, 1, 2).reshape(6, 48) if reordered else values[2].T
    ported = [values[0].permute(3, 2, 0, 1), values[1], hidden, values[3], values[4].T, values[5]]
    with torch.no_grad():
        for parameter, value in zip(port.parameters(), ported, strict=True):
            parameter.copy_(value)
    return port


def test_the_kernel_is_carried_in_the_order_in_which_the_port_flattens() -> None:
    reference = classifier()
    right = compare_models(reference, Classifier(), MAPS)
    assert right.verdict == "equal", right.summary
    assert any(words.startswith("hidden: the port flattens a map channels first") for words in right.warnings)


@pytest.mark.parametrize("bend", [0.05, 0.3])
def test_a_mistake_before_the_map_is_flattened_is_named_there(bend: float) -> None:
    wrong = compare_models(classifier(), Classifier(bend), MAPS)
    assert wrong.summary.startswith("different: hidden.input is where it starts"), wrong.summary


def test_a_port_with_weights_of_its_own_must_have_the_kernel_in_that_order() -> None:
    reference = classifier()
    assert compare_models(reference, carried(reference, reordered=True), MAPS, transfer=False).verdict == "equal"
    forgotten = compare_models(reference, carried(reference, reordered=False), MAPS, transfer=False)
    assert forgotten.summary.startswith("different: hidden is where it starts"), forgotten.summary
