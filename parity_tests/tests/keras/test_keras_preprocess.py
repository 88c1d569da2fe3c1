"""Pictures as the keras.io example feeds them: flipped, resized, padded."""

from typing import Any

import keras
import numpy as np
import pytest

from keras_reference import (
    InputError,
    preprocess_data,
    random_flip_horizontal,
    resize_and_pad_image,
)
from keras_reference.preprocess import resize
from parity_tests.tests.support.keras_values import numbers, rounding, tensor


def flipping() -> np.random.Generator:
    """A generator whose first two draws flip."""
    return next(g(seed) for seed in range(100) if (g := np.random.default_rng)(seed).uniform(size=2).min() > 0.5)


def after_one_draw(rng: np.random.Generator) -> np.random.Generator:
    rng.uniform()
    return rng


def test_two_flips_change_nothing(dtype: str) -> None:
    image, boxes = tensor(np.arange(24).reshape(2, 4, 3)), tensor([[0.125, 0.25, 0.5, 0.75]])
    rng = flipping()
    once = random_flip_horizontal(image, boxes, rng)
    assert np.array_equal(numbers(once[0], dtype), np.asarray(image)[:, ::-1])
    assert np.array_equal(numbers(once[1], dtype), [[0.5, 0.25, 0.875, 0.75]])
    for flipped, original in zip(random_flip_horizontal(*once, rng), (image, boxes), strict=True):
        assert np.array_equal(numbers(flipped, dtype), original)


def test_one_draw_in_two_flips() -> None:
    rng, image, boxes = np.random.default_rng(0), tensor([[[1, 1, 1], [0, 0, 0]]]), tensor([[0, 0, 1, 1]])
    draws = [random_flip_horizontal(image, boxes, rng)[0] is image for _ in range(200)]
    assert 80 < sum(draws) < 120


@pytest.mark.parametrize(
    ("sides", "limits", "resized", "padded"),
    [
        ((60, 90), (80, 133), (80, 120), (128, 128)),
        ((60, 120), (80, 133), (66, 133), (128, 256)),  # the longer side decides; 66.5 is cut
        ((120, 60), (80, 133), (133, 66), (256, 128)),
        ((64, 64), (128, 256), (128, 128), (128, 128)),  # whole strides stay
        ((100, 100), (30, 60), (30, 30), (128, 128)),
        ((100, 317), (800, 1333), (420, 1333), (512, 1408)),  # in float64 the width is 1332.9999999999998
    ],
)
def test_sizes(sides: Any, limits: Any, resized: Any, padded: Any, dtype: str) -> None:
    picture = np.full((*sides, 3), 7, "uint8")
    image, shape, ratio = resize_and_pad_image(picture, limits[0], limits[1], jitter=None)
    values = numbers(image, dtype)
    assert values.shape == (*padded, 3)
    expected = np.zeros((*padded, 3))
    expected[: resized[0], : resized[1]] = 7
    assert np.allclose(values, expected, rtol=rounding(dtype), atol=0)
    assert tuple(map(int, shape)) == resized
    assert shape == tuple(float(np.float32(ratio) * np.float32(side)) for side in sides)


def test_jitter_draws_the_shorter_side() -> None:
    draws = [
        resize_and_pad_image(np.zeros((10, 12, 3)), 1, jitter=(20, 40), rng=np.random.default_rng(seed))[1]
        for seed in range(20)
    ]
    assert len(set(draws)) == 20
    assert all(20 <= height < 40 and width == pytest.approx(1.2 * height) for height, width in draws)
    assert draws[0][0] == np.float32(np.float32(np.random.default_rng(0).uniform(20, 40)) / 10) * np.float32(10)


@pytest.mark.parametrize("size", [(9, 23), (30, 40), (11, 17), (1, 1)])
def test_resizing_is_that_of_keras(size: tuple[int, int]) -> None:
    image = tensor(np.random.default_rng(0).uniform(0, 255, (11, 17, 3)))
    assert np.allclose(resize(image, size), keras.ops.image.resize(image, size), rtol=0, atol=255 * 40 * 2**-23)


def test_resizing_in_float64_is_exact(dtype: str) -> None:
    ramp = np.tile(np.arange(8.0)[None, :, None], (4, 1, 3))
    centres = (np.arange(24) + 0.5) / 3 - 0.5
    expected = np.clip(centres, 0, 7)[None, :, None] + np.zeros((8, 1, 3))
    assert np.allclose(numbers(resize(tensor(ramp), (8, 24)), dtype), expected, rtol=0, atol=rounding(dtype, 16))


def test_a_sample_is_flipped_scaled_and_padded(dtype: str) -> None:
    picture = np.tile(np.linspace(0, 255, 12).astype("uint8")[None, :, None], (10, 1, 3))
    objects = {"bbox": np.array([[0.125, 0.25, 0.5, 0.75]], "float32"), "label": np.array([5])}
    image, boxes, classes = preprocess_data({"image": picture, "objects": objects}, flipping())
    _, (height, width), _ = resize_and_pad_image(picture, rng=after_one_draw(flipping()))
    expected = [0.5 * width, 0.3125 * height, 0.5 * width, 0.375 * height]
    values = numbers(image, dtype)
    assert np.allclose(numbers(boxes, dtype), [expected], rtol=rounding(dtype), atol=0)
    assert np.array_equal(numbers(classes, "int32"), [5])
    assert values[0, 0, 0] > values[0, int(width) - 1, 0]
    assert not values[int(height) :].any()
    assert not values[:, int(width) :].any()
    assert all(side % 128 == 0 for side in values.shape[:2])


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InputError, match=r"image: shape \(8, 8\) must be \(H,W,3\)"):
        resize_and_pad_image(np.zeros((8, 8)), jitter=None)
    with pytest.raises(InputError, match="rng: None must be a numpy Generator"):
        resize_and_pad_image(np.zeros((8, 8, 3)))
