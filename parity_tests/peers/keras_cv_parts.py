"""The parts of KerasCV's RetinaNet one by one: decoding, targets, losses, edges of its rules, preprocessing."""

from collections.abc import Mapping
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
SIDES = (64, 640)
LOW = 0.05
"""A threshold of scores below the default's 0.5, so that more is kept than 100 detections."""

FORMAT = "xywh"


def decoded(record: Recording, where: str, peer: SimpleNamespace, model: Any, found: Mapping[str, Any],
            pictures: np.ndarray) -> None:  # fmt: skip
    """Keeps anchors and, in float32, which alone it can decode, boxes and the detections of three decoders."""
    anchors = peer.tensorflow.concat(list(model.anchor_generator(image_shape=pictures.shape[1:]).values()), axis=0)
    record.add(f"{where}/anchors", _xyxy(peer, anchors))
    if pictures.dtype != np.float32:
        return
    converters = peer.cv.src.bounding_box.converters
    boxes = converters._decode_deltas_to_boxes(
        anchors=anchors,
        boxes_delta=found["box"],
        anchor_format=FORMAT,
        box_format=FORMAT,
        variance=[0.1, 0.1, 0.2, 0.2],
    )
    record.add(f"{where}/boxes", _xyxy(peer, boxes))
    _detections(record, f"{where}/detections", peer, model.decode_predictions(found, pictures))
    low = peer.cv.layers.NonMaxSuppression(FORMAT, from_logits=True, confidence_threshold=LOW)
    of_classes = peer.cv.layers.MultiClassNonMaxSuppression(FORMAT, from_logits=True, confidence_threshold=LOW)
    _detections(record, f"{where}/detections_low", peer, low(boxes, found["classification"]))
    _detections(record, f"{where}/detections_of_classes", peer, of_classes(boxes, found["classification"]))


def _detections(record: Recording, where: str, peer: SimpleNamespace, found: Mapping[str, Any]) -> None:
    record.add_all(f"{where}/boxes", _xyxy(peer, found["boxes"]))
    record.add_all(f"{where}/confidence", found["confidence"].numpy())
    record.add_all(f"{where}/labels", found["classes"].numpy().astype(np.int64))


def _xyxy(peer: SimpleNamespace, boxes: Any) -> np.ndarray:
    return np.asarray(peer.cv.bounding_box.convert_format(boxes, source=FORMAT, target="xyxy"))


def padded(truths: Truths, dtype: str) -> dict[str, np.ndarray]:
    """Boxes in xywh and classes of a batch, filled up with -1 to one box at least."""
    count = max(1, *(len(labels) for _, labels in truths))
    boxes, classes = np.full((len(truths), count, 4), -1.0), np.full((len(truths), count), -1.0)
    for number, (some, labels) in enumerate(truths):
        boxes[number, : len(some)] = np.concatenate([some[:, :2], some[:, 2:] - some[:, :2]], axis=1)
        classes[number, : len(some)] = labels
    return {"boxes": boxes.astype(dtype), "classes": classes.astype(dtype)}


def training(record: Recording, where: str, peer: SimpleNamespace, model: Any, pictures: np.ndarray, truths: Truths,
             watched: Mapping[str, Any]) -> None:  # fmt: skip
    """Keeps targets, losses, and gradients of the losses' sum by outputs and by the weights that are watched."""
    given = padded(truths, str(pictures.dtype))
    boxes, labels = (value.numpy() for value in model.label_encoder(pictures, dict(given)))
    positives = np.argwhere(labels > -1)
    record.add_all(f"{where}/targets/label", labels.astype(np.int8))
    record.add_rows(f"{where}/targets/deltas", boxes, positives)
    for name, weights in {"box": (1.0, 0.0), "class": (0.0, 1.0), "total": (1.0, 1.0)}.items():
        loss_weights = dict(zip(("box", "classification"), weights, strict=True))
        model.compile(box_loss="smoothl1", classification_loss="focal", loss_weights=loss_weights)
        with peer.tensorflow.GradientTape() as tape:
            found = model(pictures, training=False)
            loss = model.compute_loss(pictures, dict(given), found, None)
        record.add_all(f"{where}/loss/{name}", loss.numpy())
    sources = [found["classification"], found["box"], *(weight.value for weight in watched.values())]
    by_logits, by_deltas, *by_weights = (value.numpy() for value in tape.gradient(loss, sources))
    gradients = dict(zip(watched, by_weights, strict=True))
    add_gradients(record, where, by_logits, by_deltas, positives, gradients)


def batch_statistics(record: Recording, where: str, model: Any, pictures: np.ndarray) -> None:
    """Keeps what the model answers in training mode, and the first BatchNorm's statistics thereafter."""
    found = model(pictures.astype(model.compute_dtype), training=True)
    add_training_pass(record, where, found["classification"], found["box"], model.feature_extractor.weights)


def edges(record: Recording, peer: SimpleNamespace, model: Any) -> None:
    """Keeps what the rules say at their edges: overlaps of 0.5 and 0.4, equal boxes and scores, extreme logits."""
    cases: dict[str, list[list[float]]] = {
        "overlap_half": [[12, 12, 44, 28]],
        "overlap_two_fifths": [[28, 12, 52, 44]],
        "equal_boxes": [[12, 12, 44, 44], [12, 12, 44, 44]],
        "corner": [[0, 0, 20, 20]],
        "none": [],
    }
    blank = np.zeros((1, 128, 128, 3), dtype=np.float32)
    for name, boxes in cases.items():
        truth = (np.array(boxes, dtype=np.float64).reshape(-1, 4), np.arange(len(boxes)))
        aims, labels = (value.numpy() for value in model.label_encoder(blank, padded([truth], "float32")))
        record.add_all(f"edges/{name}/truths", truth[0])
        record.add_all(f"edges/{name}/label", labels.astype(np.int8))
        record.add_rows(f"edges/{name}/deltas", aims, np.argwhere(labels > -1))
    record.add_all("edges/detections/given_boxes", EDGE_BOXES)
    record.add_all("edges/detections/given_scores", EDGE_SCORES)
    given = peer.cv.bounding_box.convert_format(EDGE_BOXES[None], source="xyxy", target=FORMAT)
    for limit in (12, 3):
        layer = peer.cv.layers.NonMaxSuppression(FORMAT, from_logits=False, max_detections=limit)
        _detections(record, f"edges/detections/{limit}", peer, layer(given, EDGE_SCORES[None]))
    for name, target in {"one": 1.0, "zero": 0.0}.items():
        loss = peer.cv.losses.FocalLoss(from_logits=True, reduction="none")
        record.add_all(f"edges/focal/{name}", loss(np.full_like(EDGE_LOGITS, target), EDGE_LOGITS).numpy())
    record.add_all("edges/focal/logits", EDGE_LOGITS)


def preprocessing(record: Recording, peer: SimpleNamespace, seed: int) -> None:
    """Keeps what the guide's resizing and the backbone's rescaling make of pictures and boxes."""
    truths = np.array([[8.0, 6.5, 32.25, 43.5], [30.0, 20.0, 45.0, 38.0]], np.float32)
    rescaled = peer.keras.layers.Rescaling(1 / 255.0)
    for side in SIDES:
        layer = peer.cv.layers.Resizing(side, side, pad_to_aspect_ratio=True, bounding_box_format=FORMAT)
        for name, (height, width) in PICTURES.items():
            where = f"preprocessing/{side}/{name}"
            image = picture(name, height, width, seed).astype(np.float32)
            given = {"boxes": truths[None], "classes": np.array([[3.0, 1.0]], np.float32)}
            found = layer({"images": image[None], "bounding_boxes": given})
            keep = record.add_all if side == SIDES[0] else record.add
            keep(f"{where}/pictures", np.asarray(rescaled(found["images"])))
            record.add_all(
                f"{where}/boxes", _xyxy(peer, peer.cv.bounding_box.to_dense(found["bounding_boxes"])["boxes"])
            )
