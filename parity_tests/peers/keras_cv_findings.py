"""What was found in KerasCV's RetinaNet, measured: `parity_tests/peers/findings.py` lists it."""

from types import SimpleNamespace
from typing import Any

import numpy as np

SIDE = 128
"""Of the square picture whose anchors are looked at."""


def border_of_anchors() -> str:
    """How many of a picture's anchors are cut off, and of what the smallest still has."""
    peer = _package()
    default = peer.cv.models.RetinaNet.default_anchor_generator("xyxy")
    found = [np.concatenate([np.asarray(part) for part in default(image_shape=(SIDE, SIDE, 3)).values()])]
    for generator in default.anchor_generators.values():
        generator.clip_boxes = False
    found.append(np.concatenate([np.asarray(part) for part in default(image_shape=(SIDE, SIDE, 3)).values()]))
    cut, whole = found
    return f"{(cut != whole).any(1).sum()} of {len(cut)}"


def variance_of_decoding() -> str:
    """How many times its anchor a box becomes as high by a delta of 1, where the label encoder divides by 1."""
    peer = _package()
    anchors = peer.cv.models.RetinaNet.default_anchor_generator("xywh")
    encoder = peer.cv.models.retinanet.LabelEncoder("xywh", anchors, box_variance=(1.0, 1.0, 1.0, 1.0))
    model = _model(peer, label_encoder=encoder)
    images, deltas = np.zeros((1, SIDE, SIDE, 3), np.float32), np.zeros((1, 3069, 4), np.float32)
    deltas[..., 2] = 1.0
    model.prediction_decoder = peer.cv.layers.NonMaxSuppression("xywh", from_logits=True, iou_threshold=1.0)
    logits = np.full((1, 3069, 1), -9.0, np.float32)
    logits[0, INSIDE] = 9.0
    found = model.decode_predictions({"box": deltas, "classification": logits}, images)
    anchor = np.concatenate([np.asarray(part) for part in anchors(image_shape=images.shape[1:]).values()])[INSIDE]
    return f"{float(np.asarray(found['boxes'])[0, 0, 3] / anchor[3]):.2f}"


INSIDE = 9 * (16 * 8 + 8)
"""An anchor in the middle of the picture."""


def step_of_smooth_l1() -> str:
    """The loss just below the cutoff, and at it."""
    loss = _package().cv.losses.SmoothL1Loss(l1_cutoff=2.0, reduction="sum")
    below, at = (float(loss(np.zeros((1, 1), np.float32), np.full((1, 1), d, np.float32))) for d in (1.9999, 2.0))
    return f"below {below:.2f}, at it {at:.2f}"


def decoder_by_default() -> str:
    """The layer that chooses detections, where none is given."""
    return type(_model(_package()).prediction_decoder).__name__


def stem_padding() -> str:
    """A picture of ones under a stem of ones: what the first and the last cell have summed."""
    peer = _package()
    layer = _model(peer).feature_extractor.get_layer("conv1_conv")
    layer.kernel.assign(np.ones(layer.kernel.shape, np.float32))
    summed = np.asarray(layer(np.ones((1, 64, 64, 3), np.float32)))[0, ..., 0] / 3
    return f"first {summed[0, 0]:.0f}, last {summed[-1, -1]:.0f}"


def _package() -> SimpleNamespace:
    from parity_tests.peers.keras_cv import package

    return package("float32")


def _model(peer: SimpleNamespace, **given: Any) -> Any:
    """A detector of one class on a ResNet-18."""
    from parity_tests.peers.keras_cv import backbone

    return peer.cv.models.RetinaNet(backbone(peer, "resnet18"), 1, "xywh", **given)
