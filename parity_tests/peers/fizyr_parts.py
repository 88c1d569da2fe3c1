"""The parts of keras-retinanet one by one: decoding, targets, losses, edges of its rules, preprocessing."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np

from parity_tests.peers.keras_recording import CLASSES, add_gradients
from parity_tests.peers.recording import Recording
from parity_tests.peers.values import picture

Truths = list[tuple[np.ndarray, np.ndarray]]

PICTURES = {"60x90": (60, 90), "120x77": (120, 77)}
SIDES = {"100/140": (100, 140), "800/1333": (800, 1333)}
"""The shortest and longest side of a resized picture; the second pair is the package's default."""


def decoded(record: Recording, where: str, peer: SimpleNamespace, anchors: np.ndarray, deltas: np.ndarray,
            pictures: np.ndarray) -> None:  # fmt: skip
    """Keeps boxes as decoded and as clipped, by the package's layers."""
    tiled = np.tile(anchors.astype(deltas.dtype), (len(deltas), 1, 1))
    boxes = peer.layers.RegressBoxes()([tiled, deltas])
    record.add(f"{where}/boxes", boxes.numpy())
    record.add(f"{where}/boxes_clipped", peer.layers.ClipBoxes()([pictures, boxes]).numpy())


def targets(peer: SimpleNamespace, anchors: np.ndarray, size: tuple[int, int], truths: Truths) -> list[np.ndarray]:
    """The package's targets, `[B,N,5]` of boxes and `[B,N,K+1]` of classes."""
    annotations = [{"bboxes": boxes.copy(), "labels": labels} for boxes, labels in truths]
    blank = [np.zeros((*size, 3))] * len(truths)
    return list(peer.anchors.anchor_targets_bbox(anchors, blank, annotations, CLASSES))


def add_targets(record: Recording, where: str, aims: list[np.ndarray]) -> None:
    """Keeps each anchor's state (1, 0, -1) and label (-1 for none), and the deltas of those that have a box."""
    boxes, classes = aims
    if not np.array_equal(boxes[..., -1], classes[..., -1]):
        raise AssertionError(f"{where}: the states of both targets differ.")
    record.add_all(f"{where}/state", classes[..., -1].astype(np.int8))
    labels = np.where(classes[..., :-1].any(-1), classes[..., :-1].argmax(-1), -1)
    record.add_all(f"{where}/label", labels.astype(np.int8))
    record.add_rows(f"{where}/deltas", boxes[..., :-1], np.argwhere(boxes[..., -1] == 1))


def training(record: Recording, where: str, peer: SimpleNamespace, model: Any, network: Any, pictures: np.ndarray,
             aims: list[np.ndarray], watched: Iterable[str]) -> None:  # fmt: skip
    """Keeps both losses and the gradients of their sum, and the sum that Keras itself makes of them."""
    tensorflow = peer.tensorflow
    with tensorflow.GradientTape() as tape:
        found = network(pictures, training=True)
        logits, deltas = found["logits"], found["deltas"]
        box_loss = peer.losses.smooth_l1()(tensorflow.constant(aims[0]), deltas)
        class_loss = peer.losses.focal()(tensorflow.constant(aims[1]), tensorflow.sigmoid(logits))
        total = box_loss + class_loss
        known = {weight.name: weight for weight in model.trainable_weights}
        chosen = [known[name] for name in watched]
    by_logits, by_deltas, *by_weights = (value.numpy() for value in tape.gradient(total, [logits, deltas, *chosen]))
    record.add_all(f"{where}/loss/box", box_loss.numpy())
    record.add_all(f"{where}/loss/class", class_loss.numpy())
    model.compile(loss={"regression": peer.losses.smooth_l1(), "classification": peer.losses.focal()})
    record.add_all(f"{where}/loss/keras_total", np.asarray(model.test_on_batch(pictures, aims)[0]))
    positives = np.argwhere(aims[0][..., -1] == 1)
    gradients = {weight.name: gradient for weight, gradient in zip(chosen, by_weights, strict=True)}
    add_gradients(record, where, by_logits, by_deltas, positives, gradients)


def edges(record: Recording, peer: SimpleNamespace) -> None:
    """Keeps what the rules say at their edges: overlaps of 0.5 and 0.4, equal boxes, equal scores."""
    anchors = peer.anchors.anchors_for_shape((128, 128, 3))
    cases: dict[str, list[list[float]]] = {
        "overlap_half": [[4, 4, 36, 20]],
        "overlap_two_fifths": [[20, 4, 44, 36]],
        "equal_boxes": [[4, 4, 36, 36], [4, 4, 36, 36]],
        "none": [],
    }
    for name, boxes in cases.items():
        truth = (np.array(boxes, dtype=np.float64).reshape(-1, 4), np.arange(len(boxes)))
        record.add_all(f"edges/{name}/truths", truth[0])
        add_targets(record, f"edges/{name}", targets(peer, anchors, (100, 128), [truth]))
    given = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 6], [20, 20, 30, 30], [20, 20, 30, 30],
                      [40, 40, 40, 50], [50, 50, 60, 60], [70, 0, 80, 10]], dtype=np.float32)  # fmt: skip
    scores = np.array([[0.9, 0.9], [0.8, 0.0], [0.7, 0.95], [0.6, 0.0], [0.6, 0.0], [0.5, 0.6], [0.05, 0.0],
                       [0.050001, 0.6]], dtype=np.float32)  # fmt: skip
    record.add_all("edges/detections/given_boxes", given)
    record.add_all("edges/detections/given_scores", scores)
    for limit in (12, 4):
        layer = peer.layers.FilterDetections(max_detections=limit)
        for name, value in zip(("boxes", "scores", "labels"), layer([given[None], scores[None]]), strict=True):
            record.add_all(f"edges/detections/{limit}/{name}", value.numpy())


def preprocessing(record: Recording, peer: SimpleNamespace, seed: int) -> None:
    """Keeps what the package's generator makes of pictures and boxes, one at a time and both as a batch."""
    truths = {name: np.array([[8.0, 6.5, 40.25, 50.0], [30.0, 20.0, 75.0, 58.0]]) for name in PICTURES}
    labels = np.array([3, 1])

    class GivenPictures(peer.generator.Generator):  # type: ignore[misc,name-defined]
        """A data set of made pictures."""

        def __init__(self, names: list[str], sides: tuple[int, int]) -> None:
            self.names = names
            super().__init__(batch_size=len(names), group_method="none", shuffle_groups=False,
                             image_min_side=sides[0], image_max_side=sides[1])  # fmt: skip

        def size(self) -> int:
            return len(self.names)

        def num_classes(self) -> int:
            return CLASSES

        def load_image(self, index: int) -> np.ndarray:
            return picture(self.names[index], *PICTURES[self.names[index]], seed)

        def load_annotations(self, index: int) -> dict[str, np.ndarray]:
            return {"bboxes": truths[self.names[index]].copy(), "labels": labels}

    for sides_name, sides in SIDES.items():
        for names in (["60x90"], ["120x77"], ["60x90", "120x77"]):
            where = f"preprocessing/{sides_name}/{'+'.join(names)}"
            made = GivenPictures(names, sides)
            pictures, aims = made[0]
            record.add(f"{where}/pictures", pictures)
            scales = [made.resize_image(made.load_image(number))[1] for number in range(len(names))]
            record.add_all(f"{where}/scales", np.array(scales))
            if sides_name == "100/140":
                add_targets(record, f"{where}/targets", aims)
        for name, (height, width) in PICTURES.items():
            resized, _ = peer.image.resize_image(picture(name, height, width, seed), *sides)
            keep = record.add_all if sides_name == "100/140" else record.add
            keep(f"preprocessing/{sides_name}/{name}/resized", resized)
            subtracted = peer.image.preprocess_image(picture(name, height, width, seed))
            resized, _ = peer.image.resize_image(subtracted, *sides)
            record.add(f"preprocessing/{sides_name}/{name}/subtracted_first", resized)
