"""The Keras reference as the keras.io example uses it: trained, saved, and one model with its detections."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_reference import (
    DecodePredictions,
    LabelEncoder,
    RetinaNet,
    RetinaNetConfig,
    RetinaNetLoss,
    get_backbone,
)
from parity_tests.tests.support.keras_values import PADDING, small_backbone


def compiled(backbone: keras.Model) -> RetinaNet:
    """A model of two classes as the example compiles it; its optimiser is built, or its step would be traced twice."""
    model = RetinaNet(replace(RetinaNetConfig.keras_io(2), width=16), backbone)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [2.5e-6, 6.25e-4])
    model.compile(loss=RetinaNetLoss(2), optimizer=keras.optimizers.SGD(schedule, momentum=0.9))
    model.build((None, None, None, 3))
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def trained() -> RetinaNet:
    """Two steps as the example trains, on pictures of 64x64 with two classes."""
    rng = np.random.default_rng(0)
    boxes = np.array([[[20, 20, 30, 30], [40, 40, 32, 20]], [[30, 30, 60, 50], PADDING]] * 2)
    ids = np.array([[0, 1], [1, -1]] * 2)
    images, labels = LabelEncoder().encode_batch(rng.uniform(0, 255, (4, 64, 64, 3)), boxes, ids)
    model = compiled(small_backbone())
    history = model.fit(images, labels, batch_size=2, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert int(model.optimizer.iterations) == 2
    return model


IMAGES = np.random.default_rng(1).uniform(-100, 100, (2, 64, 96, 3)).astype("float32")


def test_it_trains_predicts_and_detects(trained: RetinaNet) -> None:
    predictions = trained.predict(IMAGES, verbose=0)
    found = DecodePredictions(confidence_threshold=0.0, max_detections=20)(IMAGES, predictions)
    assert predictions.shape == (2, 9 * (96 + 24 + 6 + 2 + 1), 6)
    assert np.array_equal(found["valid"], [20, 20])
    assert np.isfinite(found["boxes"]).all()


def test_network_and_detections_are_one_model_for_pictures_of_any_size(trained: RetinaNet) -> None:
    image = keras.Input((None, None, 3))
    decode = DecodePredictions(confidence_threshold=0.005, max_detections=20)
    inference = keras.Model(inputs=image, outputs=decode(image, trained(image, training=False)))
    for images in (IMAGES, IMAGES[:1, :, :64]):
        expected = decode(images, trained(images, training=False))
        found = inference.predict(images, verbose=0)
        assert found["boxes"].shape == (len(images), 20, 4)
        assert np.array_equal(found["valid"], expected["valid"])
        assert np.allclose(found["boxes"], expected["boxes"], rtol=1e-3, atol=1e-3)


@pytest.mark.ci
def test_it_is_saved_and_loaded_in_safe_mode_with_its_loss(tmp_path: Path) -> None:
    """With a ResNet-50, which a file of this model means."""
    model = compiled(get_backbone((None, None, 3)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.config == model.config
    assert isinstance(loaded.loss, RetinaNetLoss)
    assert loaded.loss.get_config() == model.loss.get_config()
    assert np.array_equal(loaded(IMAGES), model(IMAGES))


def test_the_layer_of_detections_is_saved_with_its_limits() -> None:
    layer = DecodePredictions(confidence_threshold=0.25, max_detections=7)
    loaded = keras.layers.deserialize(keras.layers.serialize(layer))
    assert loaded.get_config() == layer.get_config()
