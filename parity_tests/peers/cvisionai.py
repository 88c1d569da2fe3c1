"""cvisionai's keras_retinanet with keras-resnet, run by itself on tf-keras.

    python -m parity_tests.peers.cvisionai --source CHECKOUT --out FOLDER

It was written for TensorFlow 1: what of that is gone stands in `package`. `training.h5` is the model without
detections, `inference.h5` the whole of it, `weights.h5` what `save_weights` writes. In float64 TensorFlow enlarges
levels in float32.
"""

import importlib
import importlib.metadata
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from parity_tests.peers import fizyr, fizyr_parts, hdf5
from parity_tests.peers.keras_recording import (
    CLASS_BIAS,
    CLASSES,
    WANTED_DELTAS,
    WANTED_LOGITS,
    apart,
    arguments,
    digests,
    inputs,
    power_of_two,
    truths,
)  # fmt: skip
from parity_tests.peers.recording import Recording, Tuning
from parity_tests.peers.values import picture

SIZES = {(128, 128): 2, (160, 224): 1, (224, 160): 1, (256, 192): 1, (100, 150): 2, (97, 161): 1, (65, 130): 1}
"""By size the pictures in a batch. Sides of P5: even and even, odd and odd, and so on; no size need divide by 32."""

TRAINED = ((128, 128), (100, 150), (256, 192))

WATCHED = tuple(name.replace("C5_reduced", "P5") for name in fizyr.WATCHED)

COMMIT = "c28d3efdb5af45abbc7deb5c52761772a1b77dd5"

MOST = 300
"""Detections of a picture, with which others are filled up."""

ASSUMED = """Weights: keras_value of keras_recording by the weight's own name. Pictures enter as noise times 64, BGR,
channels last. Defaults: anchors, ResNet-50 with frozen BatchNorm. Losses are the package's two functions; gradients are
of their sum. Pictures have no mean image. Detections are those of one picture at a time, each with its best class."""


def package(dtype: str, source: Path) -> SimpleNamespace:
    """The package in a precision, once a process."""
    os.environ.update(TF_USE_LEGACY_KERAS="1", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    sys.path.insert(0, str(source))
    keras = sys.modules["keras"] = importlib.import_module("tf_keras")
    keras.backend.set_floatx(dtype)
    tensorflow = importlib.import_module("tensorflow")
    resize = tensorflow.compat.v1.image.resize_images
    tensorflow.image.resize_images = lambda images, size: tensorflow.cast(resize(images, size), images.dtype)
    keras.initializers.normal = keras.initializers.RandomNormal
    prior = importlib.import_module("keras_retinanet.initializers").PriorProbability
    drawn = prior.__call__
    prior.__call__ = lambda self, shape, dtype: drawn(self, shape, tensorflow.as_dtype(dtype).as_numpy_dtype)
    names = ("models.retinanet", "losses", "layers", "utils.anchors", "utils.image")
    parts = {name.rpartition(".")[2]: importlib.import_module(f"keras_retinanet.{name}") for name in names}
    resnets = importlib.import_module("keras_resnet.models")
    return SimpleNamespace(keras=keras, tensorflow=tensorflow, resnets=resnets, **parts)


def network(peer: SimpleNamespace) -> Any:
    """The part of the model that is trained: deltas and scores."""
    pictures = peer.keras.layers.Input((None, None, 3))
    resnet = peer.resnets.ResNet50(pictures, include_top=False, freeze_bn=True)
    model = peer.retinanet.retinanet(pictures, resnet, CLASSES)
    return peer.keras.Model(model.inputs, model.outputs[1:])


def whole(peer: SimpleNamespace) -> Any:
    """The model with detections: deltas, scores, detections. In float64 it cannot be built."""
    pictures = peer.keras.layers.Input((None, None, 3))
    resnet = peer.resnets.ResNet50(pictures, include_top=False, freeze_bn=True)
    return peer.retinanet.retinanet_bbox(pictures, CLASSES, backbone=resnet)


def fill(model: Any, seed: int, tuning: Tuning) -> None:
    """Sets every weight by its name, but for anchors, which are the package's own and have one name."""
    before = model.get_weights()
    fizyr.fill(model, seed, tuning)
    pairs = zip(model.weights, before, strict=True)
    model.set_weights([value if is_anchors(weight.name) else weight.numpy() for weight, value in pairs])


def is_anchors(name: str) -> bool:
    """Whether a weight is the anchors of a cell."""
    return "Variable" in name


def tune(seed: int, source: Path) -> Tuning:
    """The tuning of the stem and of the last layers of both heads."""
    peer = package("float32", source)
    model = whole(peer)
    tuning: dict[str, tuple[float, float]] = {"conv1/kernel:0": (1 / fizyr.SPREAD, 0.0)}
    fill(model, seed, tuning)
    found = fizyr.network(peer, model)(inputs((128, 128), 2, seed, fizyr.SPREAD))
    return tuning | {
        "pyramid_classification/kernel:0": (power_of_two(WANTED_LOGITS, found["logits"].numpy()), 0.0),
        "pyramid_classification/bias:0": (1.0, CLASS_BIAS),
        "pyramid_regression/kernel:0": (power_of_two(WANTED_DELTAS, found["deltas"].numpy()), 0.0),
    }


def targets(peer: SimpleNamespace, size: tuple[int, int], known: fizyr_parts.Truths) -> list[np.ndarray]:
    """The package's targets: `[B,N,5]` of boxes and their state, and `[B,N,K]` of classes, -1 where ignored."""
    found = [
        peer.anchors.anchor_targets_bbox((*size, 3), np.column_stack([boxes, labels]), CLASSES)
        for boxes, labels in known
    ]
    states = [labels.max(axis=1, keepdims=True) for labels, _ in found]
    boxes = [np.append(deltas, state, axis=1) for (_, deltas), state in zip(found, states, strict=True)]
    return [np.stack(boxes), np.stack([labels for labels, _ in found])]


def add_targets(record: Recording, where: str, aims: list[np.ndarray]) -> None:
    """Keeps targets in the form of fizyr's, whose classes end with the state too."""
    fizyr_parts.add_targets(record, where, [aims[0], np.append(aims[1].clip(min=0), aims[0][..., -1:], axis=-1)])


def add_detections(record: Recording, where: str, peer: SimpleNamespace, rows: np.ndarray, most: int = MOST) -> None:
    """Keeps what the package's layer leaves of boxes with scores `[B,N,4+K]`, each with its best class."""
    layer = peer.layers.NonMaximumSuppression(max_boxes=most)
    kept = [layer([one[None, :, :4], one[None, :, 4:], one[None]])[0].numpy() for one in rows]
    filled = [np.pad(one, ((0, most - len(one)), (0, 0)), constant_values=-1) for one in kept]
    found = np.stack(filled)
    best = np.where(found[..., 4:].max(-1) >= 0, found[..., 4:].argmax(-1), -1)
    values = {"boxes": found[..., :4], "scores": found[..., 4:].max(-1), "labels": best.astype(np.int32)}
    for name, value in values.items():
        record.add_all(f"{where}/{name}", value)


def answers(dtype: str, source: Path, seed: int, tuning: Tuning, every: bool) -> Recording:
    """All answers in one precision."""
    record = Recording(whole=every)
    peer = package(dtype, source)
    model = network(peer)
    fill(model, seed, tuning)
    taps = fizyr.network(peer, model)
    for size, count in SIZES.items():
        where, pictures = f"{size[0]}x{size[1]}/{dtype}", inputs(size, count, seed, fizyr.SPREAD).astype(dtype)
        found = {name: value.numpy() for name, value in taps(pictures).items()}
        for name, value in found.items():
            record.add(f"{where}/{name}", value)
        anchors = peer.anchors.anchors_for_shape((*size, 3))
        record.add(f"{where}/anchors", anchors)
        tiled = np.tile(anchors.astype(dtype), (count, 1, 1))
        boxes = peer.layers.RegressBoxes()([tiled, found["deltas"]]).numpy()
        record.add(f"{where}/boxes", boxes)
        if size in TRAINED:
            aims = targets(peer, size, truths(size, count, seed))
            add_targets(record, f"{where}/targets", aims)
            if dtype == "float32":  # in float64 its losses cannot be computed
                given = [aim.astype(dtype) for aim in aims]  # as the package's generator makes batches of them
                fizyr_parts.training(record, where, peer, model, taps, pictures, given, WATCHED)
        if dtype == "float32":
            add_detections(record, f"{where}/detections", peer, np.concatenate([boxes, found["scores"]], axis=-1))
    if dtype == "float32":
        detecting = whole(peer)
        fill(detecting, seed, tuning)
        alone = detecting(inputs((128, 128), 2, seed, fizyr.SPREAD)[:1])[2].numpy()[0]
        kept = record.arrays["128x128/float32/detections/boxes"][0, : len(alone)]
        if not np.allclose(alone[:, :4], kept, atol=1e-3):
            raise AssertionError("the whole model detects something else than its layers one by one.")
        edges(record, peer)
        preprocessing(record, peer, seed)
    return record


def edges(record: Recording, peer: SimpleNamespace) -> None:
    """Keeps what the rules say at their edges: an overlap of 0.5, equal boxes, none, equal scores, IoU of 0.4."""
    cases: dict[str, list[list[float]]] = {
        "overlap_half": [[4, 4, 36, 19.5]],
        "equal_boxes": [[4, 4, 36, 36], [4, 4, 36, 36]],
        "outside": [[60, 60, 127, 127]],
        "none": [],
    }
    for name, boxes in cases.items():
        truth = (np.array(boxes, dtype=np.float64).reshape(-1, 4), np.arange(len(boxes)))
        record.add_all(f"edges/{name}/truths", truth[0])
        known = np.column_stack(truth) if len(boxes) else np.zeros((0, 5))
        labels, deltas = peer.anchors.anchor_targets_bbox((128, 128, 3), known, CLASSES, mask_shape=(100, 128, 3))
        aims = [np.append(deltas, labels.max(axis=1, keepdims=True), axis=1)[None], labels[None]]
        add_targets(record, f"edges/{name}", aims)
    given = np.array([[0, 0, 10, 10], [0, 0, 10, 4], [0, 0, 10, 6], [20, 20, 30, 30], [20, 20, 30, 30],
                      [40, 40, 40, 50], [50, 50, 60, 60], [70, 0, 80, 10]], dtype=np.float32)  # fmt: skip
    scores = np.array([[0.9, 0.9], [0.8, 0.0], [0.7, 0.95], [0.6, 0.0], [0.2, 0.6], [0.5, 0.6], [0.05, 0.0],
                       [0.001, 0.0005]], dtype=np.float32)  # fmt: skip
    record.add_all("edges/detections/given_boxes", given)
    record.add_all("edges/detections/given_scores", scores)
    for most in (12, 4):
        add_detections(record, f"edges/detections/{most}", peer, np.concatenate([given, scores], axis=1)[None], most)


def preprocessing(record: Recording, peer: SimpleNamespace, seed: int) -> None:
    """Keeps what the package makes of pictures that are read as BGR, and by how much they are enlarged."""
    for sides in ((100, 140), (1080, 1920)):
        for name, (height, width) in fizyr_parts.PICTURES.items():
            where = f"preprocessing/{sides[0]}/{sides[1]}/{name}"
            fed, scale = peer.image.resize_image(
                peer.image.preprocess_image(picture(name, height, width, seed)), min_side=sides[0], max_side=sides[1]
            )
            record.add(f"{where}/pictures", fed[None])
            record.add_all(f"{where}/scales", np.array([scale]))


def files(out: Path, source: Path, seed: int, tuning: Tuning) -> dict[str, Any]:
    """Writes every format of weights, and gives their layouts."""
    peer = package("float32", source)
    model = whole(peer)
    fill(model, seed, tuning)
    peer.keras.Model(model.inputs, model.outputs[:2]).save(out / "training.h5")
    model.save(out / "inference.h5")
    model.save_weights(out / "weights.h5")
    drawn = [(w.name, tuple(w.shape)) for w in model.weights if not is_anchors(w.name)]
    known = digests(drawn, seed, tuning)
    return {
        "tuning": {name: list(values) for name, values in tuning.items()},
        "files": {name: hdf5.describe(out / name, known) for name in ("training.h5", "inference.h5", "weights.h5")},
    }


def versions() -> dict[str, str]:
    """The versions of what ran."""
    names = ("keras-resnet", "tf-keras", "tensorflow-cpu", "numpy", "h5py", "opencv-python-headless")
    return {name: importlib.metadata.version(name) for name in names} | {"python": sys.version.split()[0]}


def main() -> None:
    """Records the peer."""
    given = arguments(__doc__, needs_source=True)
    given.out.mkdir(parents=True, exist_ok=True)
    tuning = apart(tune, given.seed, given.source)
    layout = apart(files, given.out, given.source, given.seed, tuning)
    record = Recording(whole=given.whole)
    for dtype in ("float32", "float64"):
        found = apart(answers, dtype, given.source, given.seed, tuning, given.whole)
        record.arrays |= found.arrays
        record.shapes |= found.shapes
    sizes = [[*size, count] for size, count in SIZES.items()]
    facts = {"package": "cvisionai/keras_retinanet", "commit": COMMIT, "versions": versions(), "assumed": ASSUMED,
             "seed": given.seed, "sizes": sizes, "spread": fizyr.SPREAD, "classes": CLASSES}  # fmt: skip
    record.write(given.out, facts, layout)


if __name__ == "__main__":
    main()
