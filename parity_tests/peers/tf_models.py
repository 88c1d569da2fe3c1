"""TensorFlow Models' RetinaNet (tf-models-official), run by itself on tf-keras.

    python -m parity_tests.peers.tf_models --out FOLDER

Writes `ckpt-1`, the checkpoint that its trainer saves, and what the package answers. Modules stand in for what it
imports for data and training alone. Sides of pictures divide by 128, as the package pads them.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from parity_tests.peers.hdf5 import digest
from parity_tests.peers.keras_recording import (
    CLASSES,
    WANTED_DELTAS,
    WANTED_LOGITS,
    apart,
    arguments,
    inputs,
    keras_value,
    power_of_two,
    truths,
)  # fmt: skip
from parity_tests.peers.recording import Recording, Tuning
from parity_tests.peers.values import picture

SIZES = {(128, 128): 2, (128, 256): 1, (384, 128): 1}
"""By size the pictures in a batch."""

TRAINED = (128, 128)
"""The size of which targets and losses are recorded; larger ones have a box that several anchors fit best alike."""

PICTURES = {"60x90": (60, 90), "120x77": (120, 77), "660x1300": (660, 1300)}
SIDE = 640
"""Of the square that pictures of these sizes are brought to."""

GAMMA, HUBER, BOX_WEIGHT = 1.5, 0.1, 50
"""Of official/vision/configs/retinanet.py Losses."""

MISSING = (
    *("lxml", "tensorflow_datasets", "orbit", "immutabledict", "tensorflow_hub", "tensorflow_model_optimization"),
    *("pycocotools", "cv2", "tensorflow_text", "sentencepiece", "tf_slim", "seqeval", "sacrebleu"),
)
"""What the package imports and does not need here."""

CLASS_BIAS = -6.0
"""What is aimed at: some dozens of scores above the threshold."""

LAST = ("scores", "boxes")
"""The last layers of both heads."""

IN_XY = [1, 0, 3, 2]
"""Deltas by y, x, height and width as they are recorded: by x, y, width and height."""

CHECKPOINT, VALUE, GRAPH = "ckpt-1", "/.ATTRIBUTES/VARIABLE_VALUE", "_CHECKPOINTABLE_OBJECT_GRAPH"

ASSUMED = """Weights: keras_value of keras_recording by position and kind, `12/kernel:0`. Pictures enter as noise, RGB,
channels last. The parts are put together as official/vision/modeling/factory.py does for retinanet_resnetfpn_coco, with
NMS v2. BatchNorm runs on its moving statistics. Anchors are labelled and the
focal loss is computed in float32. Boxes are yxyx; deltas are recorded as xywh; labels of detections count
from 1."""


class Anything:
    """What can be asked for any name, called as a decorator, and inherited from."""

    def __init__(self, *given: Any, **named: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *given: Any, **named: Any) -> Any:
        return given[0] if len(given) == 1 and callable(given[0]) else Anything()

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return ()


class StandIn(ModuleType):
    """A module from which every name can be imported."""

    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stand-in for each package that is missing."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        is_missing = name.partition(".")[0] in MISSING
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if is_missing else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def package(dtype: str) -> SimpleNamespace:
    """The package in a precision, once a process."""
    os.environ.update(TF_USE_LEGACY_KERAS="1", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    sys.meta_path.insert(0, StandIns())
    keras = importlib.import_module("tf_keras")
    keras.backend.set_floatx(dtype)
    heads = ("heads.dense_prediction_heads", "layers.detection_generator", "retinanet_model")
    names = ("backbones.resnet", "decoders.fpn", *heads)
    parts = {n.rpartition(".")[2]: importlib.import_module(f"official.vision.modeling.{n}") for n in names}
    parts |= {"anchor": importlib.import_module("official.vision.ops.anchor")}
    parts |= {"box_ops": importlib.import_module("official.vision.ops.box_ops")}
    parts |= {"preprocess_ops": importlib.import_module("official.vision.ops.preprocess_ops")}
    parts |= {"focal_loss": importlib.import_module("official.vision.losses.focal_loss")}
    return SimpleNamespace(keras=keras, tensorflow=importlib.import_module("tensorflow"), **parts)


def build(peer: SimpleNamespace) -> Any:
    """The model as the package's factory makes it, with any weights."""
    specs = peer.keras.layers.InputSpec(shape=[None, None, None, 3])
    backbone = peer.resnet.ResNet(50, input_specs=specs)
    decoder = peer.fpn.FPN(backbone.output_specs)
    head = peer.dense_prediction_heads.RetinaNetHead(3, 7, num_classes=CLASSES, num_anchors_per_location=9)
    generator = peer.detection_generator.MultilevelDetectionGenerator(nms_version="v2")
    anchors = {"min_level": 3, "max_level": 7, "num_scales": 3, "aspect_ratios": [0.5, 1.0, 2.0], "anchor_size": 4.0}
    model = peer.retinanet_model.RetinaNetModel(backbone, decoder, head, generator, **anchors)
    dtype = peer.keras.backend.floatx()
    model(peer.tensorflow.zeros((1, 128, 128, 3), dtype), training=True)
    return model


def drawn_names(model: Any) -> list[str]:
    """The name by which the numbers of each weight are drawn; those of last layers say so."""
    names = []
    for number, weight in enumerate(model.weights):
        *_, layer, kind = weight.name.split("/")
        names.append(f"{layer if layer in LAST else number}/{kind}")
    return names


def fill(model: Any, seed: int, tuning: Tuning) -> None:
    """Sets every weight."""
    pairs = zip(drawn_names(model), model.weights, strict=True)
    model.set_weights([keras_value(name, tuple(weight.shape), seed, tuning) for name, weight in pairs])


def maps(model: Any, pictures: np.ndarray) -> dict[str, Any]:
    """Levels, logits and deltas in evaluation."""
    features = model.backbone(pictures, training=False)
    levels = model.decoder(features, training=False)
    scores, boxes, _ = model.head(levels, training=False)
    found = {f"c{i}": features[str(i)] for i in (3, 4, 5)} | {f"p{i}": levels[str(i)] for i in range(3, 8)}
    count = len(pictures)
    outputs = {"logits": (scores, CLASSES), "deltas": (boxes, 4)}
    joined = {
        name: np.concatenate([of[str(i)].numpy().reshape(count, -1, n) for i in range(3, 8)], axis=1)
        for name, (of, n) in outputs.items()
    }
    return {name: value.numpy() for name, value in found.items()} | joined


def tune(seed: int) -> Tuning:
    """The tuning of the last layers of both heads."""
    model = build(package("float32"))
    fill(model, seed, {})
    found = maps(model, inputs((128, 128), 2, seed, 1.0))
    return {
        "scores/kernel:0": (power_of_two(WANTED_LOGITS, found["logits"]), 0.0),
        "scores/bias:0": (1.0, CLASS_BIAS),
        "boxes/kernel:0": (power_of_two(WANTED_DELTAS / 2, found["deltas"]), 0.0),
    }


def answers(dtype: str, seed: int, tuning: Tuning, whole: bool) -> Recording:
    """All answers in one precision."""
    record = Recording(whole=whole)
    peer = package(dtype)
    model = build(peer)
    fill(model, seed, tuning)
    for size, count in SIZES.items():
        where, pictures = f"{size[0]}x{size[1]}/{dtype}", inputs(size, count, seed, 1.0).astype(dtype)
        found = maps(model, pictures)
        for name, value in found.items():
            record.add(f"{where}/{name}", value[..., IN_XY] if name == "deltas" else value)
        levels = peer.anchor.Anchor(3, 7, 3, [0.5, 1.0, 2.0], 4.0, size).multilevel_boxes
        anchors = np.concatenate([levels[str(i)].numpy().reshape(-1, 4) for i in range(3, 8)])
        record.add(f"{where}/anchors", anchors)
        tiled = np.tile(anchors.astype(dtype), (count, 1, 1))
        record.add(f"{where}/boxes", peer.box_ops.decode_boxes(found["deltas"], tiled).numpy())
        if size == TRAINED:
            add_training(record, where, peer, found, levels, truths(size, count, seed))
        if dtype == "float32":
            shape = np.array([size] * count, dtype=np.float32)
            add_detections(record, f"{where}/detections", model(pictures, shape, training=False))
    if dtype == "float32":
        add_pictures(record, peer, seed)
    return record


def add_pictures(record: Recording, peer: SimpleNamespace, seed: int) -> None:
    """Keeps what the parser makes of pictures in evaluation, and by how much they are enlarged, in height and width."""
    for name, (height, width) in PICTURES.items():
        image = peer.preprocess_ops.normalize_image(peer.tensorflow.constant(picture(name, height, width, seed)))
        fed, facts = peer.preprocess_ops.resize_and_crop_image(image, [SIDE, SIDE], padded_size=[SIDE, SIDE])
        record.add(f"preprocessing/{name}/pictures", fed.numpy()[None])
        record.add_all(f"preprocessing/{name}/scales", facts.numpy()[2])


def labelled(peer: SimpleNamespace, levels: Any, known: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """Classes `[B,N]`, boxes `[B,N,4]` and the weights of both `[B,N]`, as the package labels anchors: in float32."""
    labeler, found = peer.anchor.AnchorLabeler(), []
    for boxes, labels in known:
        given = peer.tensorflow.constant(boxes[:, IN_XY], "float32")
        classes, deltas, _, *weights = labeler.label_anchors(levels, given, labels[:, None].astype(np.int32))
        flat = [
            np.concatenate([of[level].numpy().reshape(-1, n) for level in of]) for of, n in ((classes, 1), (deltas, 4))
        ]
        found.append([flat[0][:, 0], flat[1], *(weight.numpy() for weight in weights)])
    return [np.stack(values) for values in zip(*found, strict=True)]


def add_training(
    record: Recording,
    where: str,
    peer: SimpleNamespace,
    outputs: dict[str, Any],
    levels: Any,
    known: Sequence[tuple[np.ndarray, np.ndarray]],
) -> None:
    """Keeps targets, losses as RetinaNetTask.build_losses has them, and the gradients of their sum by the outputs."""
    classes, boxes, of_class, of_box = labelled(peer, levels, known)
    positives = np.argwhere(of_box > 0)
    record.add_all(f"{where}/targets/label", np.where(of_class > 0, classes, -2).astype(np.int8))
    record.add_rows(f"{where}/targets/deltas", boxes[..., IN_XY], positives)
    tf, reduction = peer.tensorflow, peer.keras.losses.Reduction.SUM
    logits, deltas = (tf.constant(outputs[name]) for name in ("logits", "deltas"))
    normaliser = of_box.sum() + 1.0
    with tf.GradientTape() as tape:
        tape.watch([logits, deltas])
        focal = peer.focal_loss.FocalLoss(alpha=0.25, gamma=GAMMA, reduction=reduction)
        huber = peer.keras.losses.Huber(HUBER, reduction=reduction)
        by_class = focal(tf.one_hot(classes.astype(np.int32), CLASSES), logits, of_class / normaliser)
        by_box = BOX_WEIGHT * huber(boxes.astype(deltas.dtype.as_numpy_dtype), deltas, of_box / normaliser)
        total = tf.cast(by_class, deltas.dtype) + by_box
    record.add_all(f"{where}/loss/classification", by_class.numpy())
    record.add_all(f"{where}/loss/bbox_regression", by_box.numpy())
    by_logits, by_deltas = (gradient.numpy() for gradient in tape.gradient(total, [logits, deltas]))
    record.add(f"{where}/grad_logits", by_logits)
    record.add_rows(f"{where}/grad_logits_positive", by_logits, positives)
    record.add_rows(f"{where}/grad_deltas_positive", by_deltas[..., IN_XY], positives)


def add_detections(record: Recording, where: str, found: Any) -> None:
    """Keeps detections, filled up with -1."""
    kept = np.arange(found["detection_scores"].shape[1]) < found["num_detections"].numpy()[:, None]
    names = {"boxes": "detection_boxes", "scores": "detection_scores", "labels": "detection_classes"}
    for name, theirs in names.items():
        value = found[theirs].numpy()
        record.add_all(f"{where}/{name}", np.where(kept if value.ndim == 2 else kept[..., None], value, -1))


def files(out: Path, seed: int, tuning: Tuning) -> dict[str, Any]:
    """Writes the checkpoint, and gives its layout: of each variable the place, the layer's name, shape and numbers."""
    peer = package("float32")
    model = build(peer)
    fill(model, seed, tuning)
    tensorflow = peer.tensorflow
    step = tensorflow.Variable(0, dtype=tensorflow.int64)
    tensorflow.train.Checkpoint(global_step=step, model=model).save(str(out / "ckpt"))
    reader = tensorflow.train.load_checkpoint(str(out / CHECKPOINT))
    room = importlib.import_module("tensorflow.core.protobuf.trackable_object_graph_pb2")
    graph = room.TrackableObjectGraph.FromString(reader.get_tensor(GRAPH))
    said = {value.checkpoint_key: value.full_name for node in graph.nodes for value in node.attributes}
    drawn = zip(drawn_names(model), model.weights, strict=True)
    known = {digest(keras_value(name, tuple(w.shape), seed, tuning)): name for name, w in drawn}
    keys = sorted(key for key in said if key.startswith("model/"))
    shapes = reader.get_variable_to_shape_map()
    entries = [
        {"name": key.removesuffix(VALUE), "full_name": said[key], "shape": shapes[key],
         "drawn": known[digest(reader.get_tensor(key))]}
        for key in keys
    ]  # fmt: skip
    return {"tuning": {name: list(values) for name, values in tuning.items()}, CHECKPOINT: entries}


def versions() -> dict[str, str]:
    """The versions of what ran."""
    names = ("tf-models-official", "tf-keras", "tensorflow-cpu", "numpy")
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
    facts = {"package": "tf-models-official", "versions": versions(), "assumed": ASSUMED, "seed": given.seed,
             "sizes": sizes, "classes": CLASSES}  # fmt: skip
    record.write(given.out, facts, layout)


if __name__ == "__main__":
    main()
