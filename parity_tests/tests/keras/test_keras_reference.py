"""The four exercises of the notebook, in Keras 3."""

import gc
import re
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keras_reference import FeaturePyramidNetwork, InputError, RetinaNet, RetinaNetConfig, build_head, get_backbone
from keras_reference.backbone import segments
from keras_reference.taps import Taps
from parity_tests.tests.support.keras_values import small_backbone

IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 128, 128, 3)).astype("float32")


@pytest.fixture(scope="module")
def model() -> RetinaNet:
    model = RetinaNet(RetinaNetConfig.notebook())
    model(IMAGES)
    return model


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    """One for pictures of any size, which tests share that ask nothing of its weights."""
    return get_backbone((None, None, 3))


@pytest.fixture(scope="module")
def of_any_size(backbone: keras.Model) -> RetinaNet:
    return RetinaNet(RetinaNetConfig.notebook(2), backbone)


def test_the_backbone_takes_128x128_by_default_and_gives_c3_c4_c5() -> None:
    backbone = get_backbone()
    assert isinstance(backbone, keras.Model)
    assert backbone.input_shape == (None, 128, 128, 3)
    assert backbone.output_names == ["conv3_block4_out", "conv4_block6_out", "conv5_block3_out"]
    assert [output.shape for output in backbone(IMAGES)] == [(2, 16, 16, 512), (2, 8, 8, 1024), (2, 4, 4, 2048)]


@pytest.mark.parametrize("input_shape", [(None, None, 3), (64, None, 3)])
def test_the_backbone_takes_any_shape(input_shape: tuple[int | None, int | None, int], backbone: keras.Model) -> None:
    height, width = input_shape[0] or 96, 160
    made = backbone if input_shape == backbone.input_shape[1:] else get_backbone(input_shape)
    c3, _, c5 = made(np.zeros((1, height, width, 3), "float32"))
    assert c3.shape == (1, height // 8, width // 8, 512)
    assert c5.shape == (1, height // 32, width // 32, 2048)


def test_the_pyramid_owns_its_backbone_and_gives_five_levels() -> None:
    pyramid = FeaturePyramidNetwork()
    assert isinstance(pyramid, keras.layers.Layer)
    assert [level.shape for level in pyramid(IMAGES)] == [(2, side, side, 256) for side in (16, 8, 4, 2, 1)]
    assert pyramid.backbone.input_shape == (None, 128, 128, 3)
    assert (pyramid.conv_c6_3x3.strides, pyramid.conv_c6_3x3.padding) == ((2, 2), "same")
    assert pyramid.conv_c7_3x3.activation is keras.activations.relu


@pytest.mark.parametrize("backbone", [keras.layers.Conv2D(8, 3), keras.Sequential([keras.Input((64, 64, 3))])])
def test_a_backbone_without_three_outputs_is_refused(backbone: Any) -> None:
    with pytest.raises(InputError, match=r"backbone: <.*> must be a functional model with outputs C3, C4, C5"):
        FeaturePyramidNetwork(backbone)


def test_pyramid_and_heads_have_the_width_of_the_config(backbone: keras.Model) -> None:
    config = replace(RetinaNetConfig.notebook(10), width=16)
    model = RetinaNet(config, backbone)
    assert [level.shape[-1] for level in model.fpn(IMAGES[:, :64, :64])] == 5 * [16]
    assert [layer.filters for layer in model.cls_head.layers] == [*4 * [16], 90]
    with pytest.raises(InputError, match="width: 0 must be a whole number of at least 1"):
        replace(config, width=0)


def test_a_head_is_four_convolutions_with_relu_and_one_without() -> None:
    head = build_head(36)
    assert isinstance(head, keras.Sequential)
    assert head.input_shape == (None, None, None, 256)
    assert [layer.filters for layer in head.layers] == [256, 256, 256, 256, 36]
    relu, linear = keras.activations.relu, keras.activations.linear
    assert [layer.activation for layer in head.layers] == [relu, relu, relu, relu, linear]


def test_the_model_gives_boxes_then_class_scores_on_all_anchors(model: RetinaNet) -> None:
    taps = Taps()
    outputs = np.asarray(model(IMAGES, taps=taps))
    assert outputs.shape == (2, 3069, 14)
    assert np.array_equal(outputs[..., :4], taps["deltas"])
    assert np.array_equal(outputs[..., 4:], taps["logits"])


def test_taps_change_nothing(model: RetinaNet) -> None:
    assert np.array_equal(model(IMAGES, taps=Taps()), model(IMAGES))


def test_it_has_its_weights_before_it_has_run() -> None:
    fresh = RetinaNet(RetinaNetConfig.notebook())
    fresh.build((None, None, None, 3))
    names = [variable.path for variable in fresh.variables]
    fresh(IMAGES, taps=Taps())
    assert [variable.path for variable in fresh.variables] == names
    place = r"retina_net(_\d+)?/feature_pyramid_network(_\d+)?/conv2d(_\d+)?/kernel"
    assert sum(bool(re.fullmatch(place, name)) for name in names) == 8


def test_the_segments_of_a_backbone_are_let_go_with_it() -> None:
    backbone = get_backbone((None, None, 3))
    cut = segments(backbone)
    assert segments(backbone) is cut
    gone = weakref.ref(backbone)
    del backbone, cut
    gc.collect()
    assert gone() is None


def test_it_compiles_and_fits_with_the_focal_loss_of_the_notebook() -> None:
    import focal_loss

    from keras_reference.losses import SparseCategoricalFocalLoss

    assert SparseCategoricalFocalLoss is focal_loss.SparseCategoricalFocalLoss
    model = RetinaNet(replace(RetinaNetConfig.notebook(), width=16), small_backbone())
    model.compile(loss=SparseCategoricalFocalLoss(gamma=2), optimizer="SGD")
    labels = np.random.default_rng(0).integers(0, 14, (2, 3069))
    before = np.asarray(model(IMAGES))
    model.optimizer.build(model.trainable_variables)  # or the step would be traced twice
    history = model.fit(IMAGES, labels, batch_size=2, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert not np.array_equal(model(IMAGES), before)


def test_it_is_saved_and_loaded_in_safe_mode(model: RetinaNet, tmp_path: Path) -> None:
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert np.array_equal(loaded(IMAGES), model(IMAGES))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((1, 3, 64, 64), "float32"), r"images: shape \(1, 3, 64, 64\) must be \(B,H,W,3\)"),
        (np.zeros((64, 64, 3), "float32"), r"images: shape \(64, 64, 3\) must be \(B,H,W,3\)"),
        (np.zeros((1, 100, 64, 3), "float32"), "images: sides 100x64 do not divide by 32"),
        (np.zeros((1, 64, 64, 3), "uint8"), "images: dtype .*int8.* must be a floating type"),
        (np.full((1, 64, 64, 3), np.nan, "float32"), "images: some values are NaN or infinite"),
    ],
)
def test_wrong_images_are_refused(images: np.ndarray, sentence: str, of_any_size: RetinaNet) -> None:
    with pytest.raises(InputError, match=sentence):
        of_any_size.call(keras.ops.convert_to_tensor(images))


@pytest.mark.parametrize("num_classes", [0, -3, 2.0, True])
def test_there_is_at_least_one_class(num_classes: int) -> None:
    with pytest.raises(InputError, match=r"num_classes: .* must be a whole number of at least 1"):
        RetinaNetConfig.notebook(num_classes)


@pytest.mark.parametrize(
    ("convention", "sentence"),
    [
        ({"p7_relu": "between"}, "p7_relu: 'between' must be one of 'after', 'before'"),
        ({"head_init": None}, "head_init: None must be one of 'glorot_uniform', 'normal_prior'"),
        ({"anchor_scale": 0.0}, "anchor_scale: 0.0 must be a number above 0"),
        ({"anchor_scale": "2"}, "anchor_scale: '2' must be a number above 0"),
        ({"anchor_scales": ()}, r"anchor_scales: \(\) must have a number or more"),
        ({"anchor_ratios": (1.0, -1.0)}, "anchor_ratios: -1.0 must be a number above 0"),
    ],
)
def test_a_value_that_its_convention_does_not_know_is_refused(convention: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        replace(RetinaNetConfig.keras_io(), **convention)


def test_a_model_is_made_from_a_config() -> None:
    classes: Any = 10
    with pytest.raises(InputError, match="config: 10 must be a RetinaNetConfig"):
        RetinaNet(classes)


def test_the_example_of_keras_io_puts_the_relu_before_p7(backbone: keras.Model) -> None:
    assert RetinaNetConfig.keras_io().as_dict() == {
        "num_classes": 80,
        "p7_relu": "before",
        "head_init": "normal_prior",
        "anchor_scale": 4.0,
        "anchor_scales": (1.0, 2 ** (1 / 3), 2 ** (2 / 3)),
        "anchor_ratios": (0.5, 1.0, 2.0),
        "anchor_sizes": (),
        "min_level": 3,
        "max_level": 7,
        "in_channels": 3,
        "width": 256,
    }
    pyramid, taps = FeaturePyramidNetwork(backbone, p7_relu="before"), Taps()
    levels = pyramid(IMAGES[:, :64, :64], taps=taps)
    assert np.array_equal(levels[4], pyramid.conv_c7_3x3(keras.ops.relu(taps["p6"])))
    assert np.asarray(taps["p6"]).min() < 0
    assert np.asarray(levels[4]).min() < 0


def test_fresh_heads_of_keras_io_score_every_class_at_one_in_a_hundred() -> None:
    head = build_head(18, head_init="normal_prior", prior=0.01)
    kernels = [layer.kernel for layer in head.layers]
    assert [float(np.std(kernel)) for kernel in kernels] == pytest.approx([0.01] * 5, rel=0.02)
    assert not np.array_equal(kernels[0], kernels[1])
    assert all(not np.any(layer.bias) for layer in head.layers[:-1])
    assert keras.ops.sigmoid(head.layers[-1].bias).numpy() == pytest.approx(np.full(18, 0.01), rel=1e-6)
    assert not np.any(build_head(36, head_init="normal_prior").layers[-1].bias)
