"""KerasCV's RetinaNet on tensorflow, with two of its residual networks, run by itself.

    python -m parity_tests.peers.keras_cv --out FOLDER

`resnet50` is built as the preset `retinanet_resnet50_pascalvoc` is, `resnet18` of blocks with two convolutions, with
few classes. Writes `resnet50.keras`, the folder `resnet50` of a preset, the same of `resnet18`, and what the package
answers. Anchors, targets and decoded boxes have float32 alone: in a run in float64 there are neither boxes nor
detections.
"""

import importlib
import importlib.metadata
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from parity_tests.peers import hdf5, keras_cv_parts
from parity_tests.peers.keras_recording import (
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
)
from parity_tests.peers.recording import Recording, Tuning

SIZES = {(128, 128): 2, (160, 224): 1, (224, 160): 1, (256, 192): 1, (96, 160): 1, (122, 154): 2, (127, 155): 1}
"""By size the pictures in a batch. The pyramid doubles a map's sides, which the last two just allow (C5 is 4x5)."""

FEW = ((128, 128), (96, 160), (122, 154))
"""The sizes of the variant `resnet18`."""

TRAINED = ((128, 128), (256, 192), (122, 154))
CLASS_BIAS = {"resnet50": -7.0, "resnet18": -7.0}
"""What is aimed at: some dozens of anchors have a score above 0.5, the package's threshold."""

BACKBONES = {
    "resnet50": {"stackwise_blocks": [3, 4, 6, 3], "block_type": "block"},
    "resnet18": {"stackwise_blocks": [2, 2, 2, 2], "block_type": "basic_block"},
}

RESCALES = ("resnet50",)
"""Variants whose file has the layer that divides pictures by 255, as all backbone presets have."""

HEADS = {"classification_head": "classification", "box_head": "box"}
LAST = {head: f"{head}/prediction_layer" for head in HEADS}
WATCHED = {
    "resnet50": ("v2_stack_1_block1_0_conv/kernel", "v2_stack_3_block3_3_conv/kernel"),
    "resnet18": ("v2_stack_1_block1_0_conv/kernel", "v2_stack_3_block2_2_conv/kernel"),
}
ALL_WATCHED = (
    *("conv1_conv/kernel", "v2_stack_0_block1_1_bn/gamma", "feature_pyramid/conv_c3_1x1/kernel"),
    *("feature_pyramid/conv_c5_3x3/bias", "feature_pyramid/conv_c6_3x3/kernel", "feature_pyramid/conv_c7_3x3/bias"),
    *("classification_head/conv2d_0/kernel", "classification_head/prediction_layer/bias"),
    "box_head/prediction_layer/kernel",
)
SAVED = "2026-01-01@00:00:00"
"""What the layout says of the date a file was saved."""

ASSUMED = """Weights: keras_value of keras_recording by the weight's path; in the pyramid and heads by attribute.
Pictures enter as noise, RGB, channels last, into a network without the layer that divides by 255; `rescaled` is with
it. bounding_box_format is xywh, as in the preset; boxes are recorded as xyxy. BatchNorm runs on its moving statistics
but in what lies under `train`. A picture without boxes has one of four -1 with class -1. Losses are the
package's own `focal` and `smoothl1`, summed by compute_loss; gradients are of their sum."""


def package(dtype: str) -> SimpleNamespace:
    """The package in a precision, once a process; of data sets, which it imports and does not need here, a stand-in."""
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    sys.modules["tensorflow_datasets"] = ModuleType("tensorflow_datasets")
    keras = importlib.import_module("keras")
    keras.config.set_floatx(dtype)
    found = importlib.import_module("keras_cv")
    return SimpleNamespace(keras=keras, cv=found, tensorflow=importlib.import_module("tensorflow"))


def backbone(peer: SimpleNamespace, variant: str, *, rescales: bool = False) -> Any:
    """The residual network of a variant with any weights."""
    return peer.cv.models.ResNetBackbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=rescales,
        **BACKBONES[variant],
    )


def build(peer: SimpleNamespace, variant: str, *, rescales: bool = False) -> Any:
    """The model with any weights."""
    body = backbone(peer, variant, rescales=rescales)
    return peer.cv.models.RetinaNet(num_classes=CLASSES, bounding_box_format="xywh", backbone=body)


def named(model: Any) -> Iterator[tuple[str, Any]]:
    """Every weight with its path; in the pyramid and heads layers count through a process, and attributes name them."""
    yield from ((weight.path, weight) for weight in model.feature_extractor.weights)
    owners = {f"feature_pyramid/{name}": getattr(model.feature_pyramid, name) for name in PYRAMID}
    for head in HEADS:
        layer = getattr(model, head)
        owners |= {f"{head}/conv2d_{number}": conv for number, conv in enumerate(layer.conv_layers)}
        owners[LAST[head]] = layer.prediction_layer
    for owner, layer in owners.items():
        yield from ((f"{owner}/{weight.path.rpartition('/')[2]}", weight) for weight in layer.weights)


PYRAMID = (*(f"conv_c{level}_1x1" for level in (3, 4, 5)), *(f"conv_c{level}_3x3" for level in (3, 4, 5, 6, 7)))


def fill(model: Any, seed: int, tuning: Tuning) -> None:
    """Sets every weight by its name."""
    found = dict(named(model))
    if len(found) != len(model.weights):
        raise AssertionError("A weight has no name.")
    for name, weight in found.items():
        weight.assign(keras_value(name, tuple(weight.shape), seed, tuning))


def tune(variant: str, seed: int) -> Tuning:
    """The tuning of the last layers of both heads."""
    model = build(package("float32"), variant)
    fill(model, seed, {})
    found = model(inputs((128, 128), 2, seed, 1.0))
    return {
        f"{LAST['classification_head']}/kernel": (power_of_two(WANTED_LOGITS, found["classification"].numpy()), 0.0),
        f"{LAST['classification_head']}/bias": (1.0, CLASS_BIAS[variant]),
        f"{LAST['box_head']}/kernel": (power_of_two(WANTED_DELTAS, found["box"].numpy()), 0.0),
    }


def answers(variant: str, dtype: str, seed: int, tuning: Tuning, whole: bool) -> Recording:
    """All answers of a variant in one precision."""
    record = Recording(whole=whole)
    peer = package(dtype)
    model = build(peer, variant)
    fill(model, seed, tuning)
    watched = (*ALL_WATCHED, *WATCHED[variant])
    for size in SIZES if variant == "resnet50" else FEW:
        where, pictures = f"{variant}/{size[0]}x{size[1]}/{dtype}", inputs(size, SIZES[size], seed, 1.0).astype(dtype)
        stages = model.feature_extractor(pictures, training=False)
        levels = model.feature_pyramid(stages, training=False)
        for name, value in stages.items():
            record.add(f"{where}/c{name[1]}", value.numpy())
        for number, value in enumerate(levels, start=3):
            record.add(f"{where}/p{number}", value.numpy())
        found = model(pictures, training=False)
        record.add(f"{where}/logits", found["classification"].numpy())
        record.add(f"{where}/deltas", found["box"].numpy())
        keras_cv_parts.decoded(record, where, peer, model, found, pictures)
        if size in TRAINED:
            known = dict(named(model))
            aims = truths(size, SIZES[size], seed)
            keras_cv_parts.training(record, where, peer, model, pictures, aims, {name: known[name] for name in watched})
    if dtype == "float32" and variant == "resnet50":
        keras_cv_parts.edges(record, peer, model)
        keras_cv_parts.preprocessing(record, peer, seed)
        _rescaled(record, peer, variant, seed, tuning)
    keras_cv_parts.batch_statistics(record, f"{variant}/train/{dtype}", model, inputs((128, 128), 2, seed, 1.0))
    return record


def _rescaled(record: Recording, peer: SimpleNamespace, variant: str, seed: int, tuning: Tuning) -> None:
    model = build(peer, variant, rescales=True)
    fill(model, seed, tuning)
    found = model(255 * inputs((128, 128), 2, seed, 1.0), training=False)
    record.add("rescaled/logits", found["classification"].numpy())
    record.add("rescaled/deltas", found["box"].numpy())


def files(out: Path, variant: str, seed: int, tuning: Tuning) -> dict[str, Any]:
    """Writes the files of a variant, and gives their layouts: of a preset's folder, and what `.keras` says."""
    peer = package("float32")
    model = build(peer, variant, rescales=variant in RESCALES)
    fill(model, seed, tuning)
    known = digests(((name, tuple(weight.shape)) for name, weight in named(model)), seed, tuning)
    folder, archive = out / variant, out / f"{variant}.keras"
    importlib.import_module("keras_cv.src.utils.preset_utils").save_to_preset(model, str(folder))
    model.save(archive)
    with zipfile.ZipFile(archive) as within:
        said = {name: json.loads(within.read(name)) for name in ("config.json", "metadata.json")}
    found: dict[str, Any] = {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    for texts in (said, found):
        texts["metadata.json"]["date_saved"] = SAVED
        _number_objects(texts["config.json"], {})
    return {
        "tuning": {name: list(values) for name, values in tuning.items()},
        "archive": said,
        "files": found | {path.name: hdf5.describe(path, known) for path in sorted(folder.glob("*.h5"))},
    }


def _number_objects(said: Any, seen: dict[int, int]) -> None:
    """Numbers what is shared from 0 on, where Keras writes its address."""
    for key, value in said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ():
        if key == "shared_object_id":
            said[key] = seen.setdefault(value, len(seen))
        else:
            _number_objects(value, seen)


def versions() -> dict[str, str]:
    """The versions of what ran."""
    names = ("keras-cv", "keras", "tensorflow-cpu", "numpy", "h5py")
    return {name: importlib.metadata.version(name) for name in names} | {"python": sys.version.split()[0]}


def main() -> None:
    """Records the peer."""
    given = arguments(__doc__)
    record, layout = Recording(whole=given.whole), {}
    for variant in BACKBONES:
        tuning = apart(tune, variant, given.seed)
        layout[variant] = apart(files, given.out, variant, given.seed, tuning)
        for dtype in ("float32", "float64"):
            found = apart(answers, variant, dtype, given.seed, tuning, given.whole)
            record.arrays |= found.arrays
            record.shapes |= found.shapes
    facts = {"package": "keras-cv", "versions": versions(), "assumed": ASSUMED, "seed": given.seed,
             "sizes": [[*size, count] for size, count in SIZES.items()],
             "sizes_resnet18": [[*size, SIZES[size]] for size in FEW], "classes": CLASSES}  # fmt: skip
    record.write(given.out, facts, layout)


if __name__ == "__main__":
    main()
