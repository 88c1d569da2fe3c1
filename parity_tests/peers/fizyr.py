"""keras-retinanet of fizyr with keras-resnet, run by itself on tf-keras.

    python -m parity_tests.peers.fizyr --out FOLDER

Writes `training.h5` and `inference.h5` (the model before and after `convert_model`), `weights.h5` (`save_weights`)
and `snapshot.h5` (the compiled model, as training saves it), and what the package answers. The weights of the optimiser
in `snapshot.h5` are zero. In float64 the package cannot build its inference model (its anchors stay in float32), so
there its parts are called one by one and no detections are recorded.
"""

import importlib
import importlib.metadata
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from parity_tests.peers import fizyr_parts, hdf5
from parity_tests.peers.keras_recording import (
    CLASS_BIAS,
    CLASSES,
    WANTED_DELTAS,
    WANTED_LOGITS,
    apart,
    arguments,
    digests,
    inputs,
    keras_value,
    power_of_two,
    truths,
)  # fmt: skip
from parity_tests.peers.recording import Recording, Tuning

SIZES = {(128, 128): 2, (160, 224): 1, (224, 160): 1, (256, 192): 1, (100, 150): 2, (97, 161): 1, (65, 130): 1}
"""By size the pictures in a batch. Sides of P5: even and even, odd and odd, and so on; no size need divide by 32."""

TRAINED = ((128, 128), (100, 150), (256, 192))

SPREAD = 64.0
"""The spread of pictures without their mean, as of real ones: a power of two, which the stem's tuning undoes."""

TAPS = {"stem": "pool1", "c3": "res3d_relu", "c4": "res4f_relu", "c5": "res5c_relu"} | {
    f"p{level}": f"P{level}" for level in range(3, 8)
}
WATCHED = (
    "conv1/kernel:0", "res2a_branch1/kernel:0", "res3a_branch2b/kernel:0", "res5c_branch2c/kernel:0",
    "C3_reduced/kernel:0", "C5_reduced/bias:0", "P4/kernel:0", "P6/kernel:0", "P7/bias:0",
    "pyramid_classification_0/kernel:0", "pyramid_classification/bias:0", "pyramid_regression/kernel:0",
)  # fmt: skip

ASSUMED = """Weights: keras_value of keras_recording by the weight's own name. Pictures enter as noise times 64, BGR,
channels last. fizyr's defaults: anchors, ResNet-50 with frozen BatchNorm. Labels -1 of a target: -1 in its last column.
Losses are the package's two functions; gradients are of their sum."""


def package(dtype: str) -> SimpleNamespace:
    """The package in a precision, once a process: its anchors take the precision that they are imported in."""
    os.environ.update(TF_USE_LEGACY_KERAS="1", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    keras = sys.modules["keras"] = importlib.import_module("tf_keras")
    keras.backend.set_floatx(dtype)
    names = ("models", "losses", "layers", "utils.anchors", "utils.image", "preprocessing.generator")
    parts = {name.rpartition(".")[2]: importlib.import_module(f"keras_retinanet.{name}") for name in names}
    return SimpleNamespace(keras=keras, tensorflow=importlib.import_module("tensorflow"), **parts)


def fill(model: Any, seed: int, tuning: Tuning) -> None:
    """Sets every weight by its name."""
    model.set_weights([keras_value(weight.name, tuple(weight.shape), seed, tuning) for weight in model.weights])


def network(peer: SimpleNamespace, model: Any) -> Any:
    """The model with all that is recorded of it as outputs: taps, logits, deltas."""
    head = model.get_layer("classification_submodel")
    before_sigmoid = peer.keras.Model(head.inputs, head.get_layer("pyramid_classification_reshape").output)
    outputs = {name: model.get_layer(layer).output for name, layer in TAPS.items()}
    logits = [before_sigmoid(outputs[f"p{level}"]) for level in range(3, 8)]
    outputs |= {"logits": peer.tensorflow.concat(logits, 1), "deltas": model.outputs[0], "scores": model.outputs[1]}
    return peer.keras.Model(model.inputs, outputs)


def tune(seed: int) -> Tuning:
    """The tuning of the stem and of the last layers of both heads."""
    peer = package("float32")
    model = peer.models.backbone("resnet50").retinanet(num_classes=CLASSES)
    tuning: dict[str, tuple[float, float]] = {"conv1/kernel:0": (1 / SPREAD, 0.0)}
    fill(model, seed, tuning)
    found = network(peer, model)(inputs((128, 128), 2, seed, SPREAD))
    return tuning | {
        "pyramid_classification/kernel:0": (power_of_two(WANTED_LOGITS, found["logits"].numpy()), 0.0),
        "pyramid_classification/bias:0": (1.0, CLASS_BIAS),
        "pyramid_regression/kernel:0": (power_of_two(WANTED_DELTAS, found["deltas"].numpy()), 0.0),
    }


def answers(dtype: str, seed: int, tuning: Tuning, whole: bool) -> Recording:
    """All answers in one precision."""
    record = Recording(whole=whole)
    peer = package(dtype)
    model = peer.models.backbone("resnet50").retinanet(num_classes=CLASSES)
    fill(model, seed, tuning)
    taps = network(peer, model)
    for size, count in SIZES.items():
        where, pictures = f"{size[0]}x{size[1]}/{dtype}", inputs(size, count, seed, SPREAD).astype(dtype)
        found = {name: value.numpy() for name, value in taps(pictures).items()}
        for name, value in found.items():
            record.add(f"{where}/{name}", value)
        anchors = peer.anchors.anchors_for_shape((*size, 3))
        record.add(f"{where}/anchors", anchors)
        fizyr_parts.decoded(record, where, peer, anchors, found["deltas"], pictures)
        if size in TRAINED:
            aims = fizyr_parts.targets(peer, anchors, size, truths(size, count, seed))
            fizyr_parts.add_targets(record, f"{where}/targets", aims)
            fizyr_parts.training(record, where, peer, model, taps, pictures, aims, WATCHED)
        if dtype == "float32":
            names = ("boxes", "scores", "labels")
            for name, value in zip(names, peer.models.convert_model(model).predict_on_batch(pictures), strict=True):
                record.add_all(f"{where}/detections/{name}", value)
    if dtype == "float32":
        fizyr_parts.edges(record, peer)
        fizyr_parts.preprocessing(record, peer, seed)
    return record


def files(out: Path, seed: int, tuning: Tuning) -> dict[str, Any]:
    """Writes every format of weights, and gives their layouts."""
    peer = package("float32")
    model = peer.models.backbone("resnet50").retinanet(num_classes=CLASSES)
    fill(model, seed, tuning)
    model.save(out / "training.h5")
    peer.models.convert_model(model).save(out / "inference.h5")
    model.save_weights(out / "weights.h5")
    optimizer = peer.keras.optimizers.Adam(learning_rate=1e-5, clipnorm=0.001)
    optimizer.build(model.trainable_variables)
    losses = {"regression": peer.losses.smooth_l1(), "classification": peer.losses.focal()}
    model.compile(optimizer, loss=losses)
    model.save(out / "snapshot.h5")
    known = digests(((weight.name, tuple(weight.shape)) for weight in model.weights), seed, tuning)
    made = {name: hdf5.describe(out / name, known) for name in ("training.h5", "inference.h5", "weights.h5")}
    snapshot = hdf5.beyond(hdf5.describe(out / "snapshot.h5", known), made["training.h5"])
    deep = peer.models.backbone("resnet101").retinanet(num_classes=CLASSES)
    return {
        "tuning": {name: list(values) for name, values in tuning.items()},
        "files": made,
        "snapshot.h5 beyond training.h5": snapshot,
        "resnet101": {weight.name: list(weight.shape) for weight in deep.weights},
    }


def versions() -> dict[str, str]:
    """The versions of what ran."""
    names = ("keras-retinanet", "keras-resnet", "tf-keras", "tensorflow-cpu", "numpy", "h5py", "opencv-python-headless")
    return {name: importlib.metadata.version(name) for name in names} | {"python": sys.version.split()[0]}


def main() -> None:
    """Records the peer."""
    given = arguments(__doc__)
    given.out.mkdir(parents=True, exist_ok=True)
    tuning = apart(tune, given.seed)
    layout = apart(files, given.out, given.seed, tuning)
    record = Recording(whole=given.whole)
    for dtype in ("float32", "float64"):
        found = apart(answers, dtype, given.seed, tuning, given.whole)
        record.arrays |= found.arrays
        record.shapes |= found.shapes
    sizes = [[*size, count] for size, count in SIZES.items()]
    facts = {"package": "keras-retinanet", "versions": versions(), "assumed": ASSUMED, "seed": given.seed,
             "sizes": sizes, "spread": SPREAD, "classes": CLASSES}  # fmt: skip
    record.write(given.out, facts, layout)


if __name__ == "__main__":
    main()
