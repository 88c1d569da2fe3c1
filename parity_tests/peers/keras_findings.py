"""More of what was found in the originals in Keras, measured; `parity_tests/peers/findings.py` has the command."""

import importlib
import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from parity_tests.peers.finding import Finding, error_of


def fizyr_log() -> str:
    """The crossentropy of a sure mistake."""
    target, score = np.ones((1, 1, 2), np.float32), np.zeros((1, 1, 1), np.float32)
    return f"{float(_fizyr().losses.focal(alpha=0.25)(target, score)) / 0.25:.2f}"


def fizyr_norms() -> str:
    """How many weights of BatchNorm are trained."""
    model = _fizyr().models.backbone("resnet50").retinanet(num_classes=1)
    norms = [layer for layer in model.layers if "BatchNormalization" in type(layer).__name__]
    trained, every = (sum(len(getattr(layer, of)) for layer in norms) for of in ("trainable_weights", "weights"))
    return f"{trained} of {every}"


def fizyr_float64() -> str:
    """What making the inference model ends with, where Keras is set to float64."""
    peer = _fizyr("float64")
    model = peer.models.backbone("resnet50").retinanet(num_classes=1)
    return error_of(lambda: peer.models.convert_model(model))


def fizyr_resize() -> str:
    """How far a resized picture is from one that is resized to the same size."""
    import cv2

    picture = np.tile(np.arange(77, dtype=np.uint8)[None, :, None] * 3, (60, 1, 3))
    found, scale = _fizyr().image.resize_image(picture, min_side=100, max_side=140)
    by_size = cv2.resize(picture, found.shape[1::-1])
    sides = f"{found.shape[1]} of {77 * scale:.2f} pixels"
    return f"{sides}, and bytes by {np.abs(found.astype(int) - by_size).max()}"


def keras_hub_bytes() -> str:
    """What a picture of bytes ends with."""
    from parity_tests.peers import keras_hub

    convert = keras_hub.converter(keras_hub.package("float32"), 64)
    return error_of(lambda: convert(np.zeros((1, 60, 90, 3), np.uint8)))


def keras_hub_padding_by_one() -> str:
    """How many rows a white picture of 60 by 91 takes up, padded to 91 by 91."""
    pictures, _ = _padded((60, 91), 91)
    return f"{pictures.sum() / 91:.1f}"


def keras_hub_boxes() -> str:
    """By how many pixels a white picture, and the box around it, is moved down."""
    pictures, boxes = _padded((60, 90), 64)
    return f"picture {(64 - pictures.sum() / 64) / 2:.1f}, box {boxes[0]:.1f}"


def _padded(size: tuple[int, int], side: int) -> tuple[np.ndarray, np.ndarray]:
    """A white picture in a square `[H,W]`, and the box around it: y1, x1, y2, x2."""
    from parity_tests.peers.keras_hub import package

    convert = package("float32").hub.layers.RetinaNetImageConverter(
        image_size=(side, side), pad_to_aspect_ratio=True, crop_to_aspect_ratio=False, bounding_box_format="yxyx"
    )
    truth = {"boxes": np.array([[[0, 0, *size]]], np.float32), "labels": np.zeros((1, 1), np.float32)}
    found = convert({"images": np.ones((1, *size, 3), np.float32), "bounding_boxes": truth})
    return np.asarray(found["images"])[0, ..., 0], np.asarray(found["bounding_boxes"]["boxes"])[0, 0]


def keras_cv_box_loss() -> str:
    """The loss of a box whose four deltas are 2 off."""
    from parity_tests.peers.keras_cv import package

    loss = package("float32").cv.losses.SmoothL1Loss(l1_cutoff=1.0, reduction="sum")
    return f"{float(loss(np.zeros((1, 4), np.float32), np.full((1, 4), 2.0, np.float32))):.2f}"


def keras_cv_float32() -> str:
    """The precision of anchors in a model of float64, and what decoding ends with."""
    from parity_tests.peers import keras_cv

    peer = keras_cv.package("float64")
    model, pictures = keras_cv.build(peer, "resnet18"), np.zeros((1, 128, 128, 3))
    anchors = next(iter(model.anchor_generator(image_shape=(128, 128, 3)).values()))
    found = model(pictures, training=False)
    ended = error_of(lambda: model.decode_predictions(found, pictures))
    return f"anchors {np.asarray(anchors).dtype}, decoding {ended}"


def keras_cv_focal() -> str:
    """The loss of a logit of -30 where the class is there, on two backends."""
    from parity_tests.peers.keras_recording import apart

    return ", ".join(f"{apart(_focal, backend):.2f} on {backend}" for backend in ("jax", "tensorflow"))


def _focal(backend: str) -> float:
    os.environ.update(KERAS_BACKEND=backend, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", JAX_PLATFORMS="cpu")
    sys.modules["tensorflow_datasets"] = ModuleType("tensorflow_datasets")
    keras_cv = importlib.import_module("keras_cv")
    loss = keras_cv.losses.FocalLoss(from_logits=True, reduction="sum")
    return float(loss(np.ones((1, 1), np.float32), np.full((1, 1), -30.0, np.float32)))


def tf_models_best() -> str:
    """Of anchors that fit a box equally well, and better than all others, those that are positive."""
    peer, levels = _tf_models("float32")
    labeler = peer.anchor.AnchorLabeler()
    box = peer.tensorflow.constant([[60.0, 60.0, 68.0, 68.0]])
    _, _, _, _, weights = labeler.label_anchors(levels, box, np.zeros((1, 1), np.int32))
    anchors = np.concatenate([level.numpy().reshape(-1, 4) for level in levels.values()])
    shared = (np.minimum(anchors[:, 2:], 68.0) - np.maximum(anchors[:, :2], 60.0)).clip(0).prod(1)
    iou = shared / ((anchors[:, 2:] - anchors[:, :2]).prod(1) + 64 - shared)
    return f"{(weights.numpy() > 0).sum()} of {(iou > iou.max() - 1e-6).sum()}"


def tf_models_float32() -> str:
    """The precision of labels' deltas, and of the focal loss of float64 logits."""
    peer, levels = _tf_models("float64")
    box = peer.tensorflow.constant([[60.0, 60.0, 68.0, 68.0]], "float32")
    _, deltas, *_ = peer.anchor.AnchorLabeler().label_anchors(levels, box, np.zeros((1, 1), np.int32))
    loss = peer.focal_loss.FocalLoss(alpha=0.25, gamma=1.5)(np.zeros((1, 1)), peer.tensorflow.zeros((1, 1), "float64"))
    return f"deltas {next(iter(deltas.values())).dtype.name}, focal loss {loss.dtype.name}"


def _tf_models(dtype: str) -> tuple[SimpleNamespace, Any]:
    """The package, and the anchors of a picture of 128x128."""
    from parity_tests.peers.tf_models import package

    peer = package(dtype)
    return peer, peer.anchor.Anchor(3, 7, 3, [0.5, 1.0, 2.0], 4.0, (128, 128)).multilevel_boxes


def _fizyr(dtype: str = "float32") -> SimpleNamespace:
    from parity_tests.peers.fizyr import package

    return package(dtype)


OF_KERAS = (
    Finding(
        name="fizyr_log",
        package="fizyr",
        says="The focal loss cuts probabilities off at 1e-7, and adds 1e-7 within the logarithm once more. A sure "
        "mistake costs, where -log(1e-7) is 16.12",
        figure="15.42",
        measure=fizyr_log,
    ),
    Finding(
        name="fizyr_norms",
        package="fizyr",
        says="All of BatchNorm is untrainable, scales and offsets too. Of its weights are trained",
        figure="0 of 212",
        measure=fizyr_norms,
    ),
    Finding(
        name="fizyr_float64",
        package="fizyr",
        says="The model that detects cannot be made where Keras is set to float64. It ends with",
        figure="TypeError",
        measure=fizyr_float64,
    ),
    Finding(
        name="fizyr_resize",
        package="fizyr",
        says="Pictures are resized by cv2, whose coordinates follow the scale that was asked for, and not the "
        "ratio of sides. A picture of 60x77 at 100 pixels gets a width, and differs from what cv2 makes of "
        "that size",
        figure="128 of 128.33 pixels, and bytes by 1",
        measure=fizyr_resize,
    ),
    Finding(
        name="keras_hub_bytes",
        package="keras_hub",
        says="Its converter of pictures takes none of bytes. One of uint8 ends with",
        figure="TypeError",
        measure=keras_hub_bytes,
    ),
    Finding(
        name="keras_hub_padding_by_one",
        package="keras_hub",
        says="A picture whose padding is an odd number of pixels is stretched by one. A white one of 60x91 takes "
        "up of 91 rows",
        figure="60.7",
        measure=keras_hub_padding_by_one,
    ),
    Finding(
        name="keras_hub_boxes",
        package="keras_hub",
        says="Boxes are moved by whole pixels where the picture moves by a fraction. A white picture of 60x90 in a"
        " square of 64 is moved down, by what its rows sum to, and the box around it",
        figure="picture 10.7, box 10.0",
        measure=keras_hub_boxes,
    ),
    Finding(
        name="keras_cv_box_loss",
        package="keras_cv",
        says="The loss of a box is the mean over its four deltas, that of classes the sum, so that boxes count a "
        "quarter of what they do elsewhere. With all four 2 off it is, where the sum is 6",
        figure="1.50",
        measure=keras_cv_box_loss,
    ),
    Finding(
        name="keras_cv_float32",
        package="keras_cv",
        says="Anchors are float32 in a model of any precision, and one of float64 decodes nothing",
        figure="anchors float32, decoding InvalidArgumentError",
        measure=keras_cv_float32,
    ),
    Finding(
        name="keras_cv_focal",
        package="keras_cv",
        says="On JAX the focal loss cuts probabilities off at 1e-7. A logit of -30 for the right class costs",
        figure="4.03 on jax, 7.50 on tensorflow",
        measure=keras_cv_focal,
    ),
    Finding(
        name="tf_models_best",
        package="tf_models",
        says="Of several anchors that fit a box best one alone is positive: the first, by how float32 rounds. Of the "
        "anchors that fit a box of 8x8 best, positive are",
        figure="1 of 32",
        measure=tf_models_best,
    ),
    Finding(
        name="tf_models_float32",
        package="tf_models",
        says="Anchors are labelled, and the focal loss is computed, in float32, whatever the model has",
        figure="deltas float32, focal loss float32",
        measure=tf_models_float32,
    ),
)
