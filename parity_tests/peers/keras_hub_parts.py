"""The parts of keras-hub's RetinaNet one by one: decoding, targets, losses, edges of its rules, preprocessing."""

from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from parity_tests.peers.keras_recording import (
    EDGE_BOXES,
    EDGE_LOGITS,
    EDGE_SCORES,
    add_gradients,
    add_training_pass,
)
from parity_tests.peers.recording import Recording
from parity_tests.peers.values import picture

Truths = list[tuple[np.ndarray, np.ndarray]]

PICTURES = {"60x90": (60, 90), "120x77": (120, 77)}
YXYX = [1, 0, 3, 2]
LOW = 0.05
"""A threshold of scores below the default's 0.5, so that more is kept than 100 detections."""


def decoded(record: Recording, where: str, peer: SimpleNamespace, model: Any, found: Mapping[str, Any],
            pictures: np.ndarray) -> None:  # fmt: skip
    """Keeps anchors and, in float32, decoded boxes and detections with two thresholds; both have float32 alone."""
    anchors = np.concatenate([value.numpy() for value in model.anchor_generator(pictures).values()])
    record.add(f"{where}/anchors", anchors)
    if pictures.dtype != np.float32:
        return
    boxes = peer.keras.utils.bounding_boxes.decode_deltas_to_boxes(
        anchors=peer.tensorflow.constant(anchors),
        boxes_delta=found["bbox_regression"],
        encoded_format="center_xywh",
        anchor_format=model.anchor_generator.bounding_box_format,
        box_format=model.bounding_box_format,
        image_shape=pictures.shape[1:],
    )
    record.add(f"{where}/boxes", boxes.numpy())
    _detections(record, f"{where}/detections", model.decode_predictions(found, pictures))
    layer = peer.hub.layers.NonMaxSuppression("yxyx", from_logits=True, confidence_threshold=LOW)
    _detections(record, f"{where}/detections_low", layer(boxes, found["cls_logits"]))


def _detections(record: Recording, where: str, found: Mapping[str, Any]) -> None:
    for name, value in found.items():
        record.add_all(f"{where}/{name}", value.numpy())


def padded(truths: Truths, dtype: str) -> dict[str, np.ndarray]:
    """Boxes in yxyx and labels of a batch, filled up with -1 to one box at least."""
    count = max(1, *(len(labels) for _, labels in truths))
    boxes, labels = np.full((len(truths), count, 4), -1.0), np.full((len(truths), count), -1.0)
    for number, (some, classes) in enumerate(truths):
        boxes[number, : len(some)], labels[number, : len(some)] = some[:, YXYX], classes
    return {"boxes": boxes.astype(dtype), "labels": labels.astype(dtype)}


def training(record: Recording, where: str, peer: SimpleNamespace, model: Any, pictures: np.ndarray, truths: Truths,
             watched: Iterable[str]) -> None:  # fmt: skip
    """Keeps targets, losses, and gradients of the losses' sum."""
    given = padded(truths, str(pictures.dtype))
    boxes, labels = (value.numpy() for value in model.label_encoder(pictures, given["boxes"], given["labels"]))
    positives = np.argwhere(labels > -1)
    record.add_all(f"{where}/targets/label", labels.astype(np.int8))
    record.add_rows(f"{where}/targets/deltas", boxes, positives)
    for name, weights in {"box": (1.0, 0.0), "class": (0.0, 1.0), "total": (1.0, 1.0)}.items():
        model.compile(loss_weights=dict(zip(("bbox_regression", "cls_logits"), weights, strict=True)))
        with peer.tensorflow.GradientTape() as tape:
            found = model(pictures, training=False)
            loss = model.compute_loss(pictures, given, found, None)
        record.add_all(f"{where}/loss/{name}", loss.numpy())
    known = {weight.path: weight for weight in model.trainable_weights}
    sources = [found["cls_logits"], found["bbox_regression"], *(known[name].value for name in watched)]
    by_logits, by_deltas, *by_weights = (value.numpy() for value in tape.gradient(loss, sources))
    gradients = dict(zip(watched, by_weights, strict=True))
    add_gradients(record, where, by_logits, by_deltas, positives, gradients)


def batch_statistics(record: Recording, where: str, model: Any, pictures: np.ndarray) -> None:
    """Keeps what the model answers in training mode, and the first BatchNorm's statistics thereafter."""
    found = model(pictures.astype(model.compute_dtype), training=True)
    add_training_pass(record, where, found["cls_logits"], found["bbox_regression"], model.weights)


def edges(record: Recording, peer: SimpleNamespace, model: Any) -> None:
    """Keeps what the rules say at their edges: overlaps of 0.5 and 0.4, equal boxes and scores, extreme logits."""
    cases: dict[str, list[list[float]]] = {
        "overlap_half": [[8, 8, 40, 24]],
        "overlap_two_fifths": [[24, 8, 48, 40]],
        "equal_boxes": [[8, 8, 40, 40], [8, 8, 40, 40]],
        "none": [],
    }
    blank = np.zeros((1, 128, 128, 3), dtype=np.float32)
    for name, boxes in cases.items():
        truth = (np.array(boxes, dtype=np.float64).reshape(-1, 4), np.arange(len(boxes)))
        given = padded([truth], "float32")
        aims, labels = (value.numpy() for value in model.label_encoder(blank, given["boxes"], given["labels"]))
        record.add_all(f"edges/{name}/truths", truth[0])
        record.add_all(f"edges/{name}/label", labels.astype(np.int8))
        record.add_rows(f"edges/{name}/deltas", aims, np.argwhere(labels > -1))
    record.add_all("edges/detections/given_boxes", EDGE_BOXES)
    record.add_all("edges/detections/given_scores", EDGE_SCORES)
    for limit in (12, 3):
        layer = peer.hub.layers.NonMaxSuppression("yxyx", from_logits=False, max_detections=limit)
        _detections(record, f"edges/detections/{limit}", layer(EDGE_BOXES[None], EDGE_SCORES[None]))
    logits = peer.tensorflow.constant(EDGE_LOGITS)
    for name, target in {"one": 1.0, "zero": 0.0}.items():
        loss = peer.keras.losses.BinaryFocalCrossentropy(from_logits=True, reduction=None)
        record.add_all(f"edges/focal/{name}", loss(np.full(logits.shape, target, np.float32), logits).numpy())
    record.add_all("edges/focal/logits", EDGE_LOGITS)


def preprocessing(record: Recording, peer: SimpleNamespace, converter: Callable[..., Any], seed: int) -> None:
    """Keeps what the preprocessor makes of pictures and boxes: all of a small picture, a sample of a default one."""
    truths = np.array([[8.0, 6.5, 40.25, 50.0], [30.0, 20.0, 75.0, 58.0]], np.float32)[:, YXYX]
    for side in (64, 800):
        preprocessor = peer.hub.models.RetinaNetObjectDetectorPreprocessor(image_converter=converter(peer, side))
        for name, (height, width) in PICTURES.items():
            where = f"preprocessing/{side}/{name}"
            image = picture(name, height, width, seed).astype(np.float32)
            keep = record.add_all if side == 64 else record.add
            keep(f"{where}/pictures", np.asarray(preprocessor(image[None])))
            given = {"boxes": truths[None], "labels": np.array([[3.0, 1.0]], np.float32)}
            pictures, boxes = preprocessor(image[None], given)[:2]
            record.add(f"{where}/pictures_with_boxes", np.asarray(pictures))
            for part, value in boxes.items():
                record.add_all(f"{where}/{part}", np.asarray(value))
