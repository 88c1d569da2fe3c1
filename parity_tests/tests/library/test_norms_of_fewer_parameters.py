"""BatchNorm without a factor or an offset in the reference, beside one of torch that has both."""

import keras
import pytest
import torch
from torch import nn

from parity_tests import compare_models, randomise
from parity_tests.tests.support.small_models import pictures

L = keras.layers

IMAGES = pictures(2, 8, 6, 3)


def in_keras(**lacking: bool) -> keras.Model:
    norm = L.BatchNormalization(epsilon=1e-5, name="norm", **lacking)
    layers = [L.Conv2D(4, 3, padding="same", name="conv"), norm, L.ReLU(), L.Conv2D(2, 1, name="last")]
    model = keras.Sequential([keras.Input(IMAGES.shape[1:]), *layers])
    randomise(model)
    return model


def in_torch() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))


@pytest.mark.parametrize("lacking", [{"scale": False}, {"center": False}, {"scale": False, "center": False}])
def test_it_is_matched_and_what_the_reference_has_not_is_named(lacking: dict[str, bool]) -> None:
    lacks = [{"scale": "1.weight", "center": "1.bias"}[name] for name in lacking]
    result = compare_models(in_keras(**lacking), in_torch(), IMAGES, dtypes=("float64",))
    assert result.summary.startswith(f"incomplete: {len(lacks)} name"), result.summary
    assert f"not compared, first {lacks[0]} (parameters of the port)" in result.summary
    skip = dict.fromkeys(lacks, "the reference has none")
    result = compare_models(in_keras(**lacking), in_torch(), IMAGES, skip=skip, dtypes=("float64",))
    assert result.verdict == "equal", result.summary


def test_one_with_a_factor_of_its_own_is_not() -> None:
    port = in_torch()
    with torch.no_grad():
        port.get_parameter("1.weight").fill_(1.5)
    result = compare_models(in_keras(scale=False), port, IMAGES, dtypes=("float64",))
    assert result.verdict == "incomplete"
    assert "norm/beta of the reference and 1.weight of the port have no partner" in result.summary
