"""keras-hub's RetinaNetObjectDetector on tensorflow, both flavours of its presets, run by itself.

    python -m parity_tests.peers.keras_hub --out FOLDER

`v1` is built as the preset `retinanet_resnet50_fpn_coco` is (P6 from the pyramid's P5, heads without norm), `v2` as
`retinanet_resnet50_fpn_v2_coco` (P6 from the encoder's C5, heads with GroupNorm), with few classes. Writes the preset
folders `v1` and `v2` (`save_to_preset`) and what the package answers. Its anchors stay in float32 in a run in float64,
where its detector cannot decode: there its parts are called one by one and no detections are recorded.
"""

import importlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from parity_tests.peers import hdf5, keras_hub_parts
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

SIZES = {(128, 128): 2, (160, 224): 1, (224, 160): 1, (256, 192): 1, (96, 160): 1, (122, 154): 2}
"""By size the pictures in a batch. The pyramid doubles a map's sides, which the last size just allows (C5 is 4x5)."""

FEW = ((128, 128), (96, 160), (122, 154))
"""The sizes of the flavour `v2`."""

TRAINED = ((128, 128), (256, 192), (122, 154))
CLASS_BIAS = {"v1": -6.0, "v2": -9.0}
"""What is aimed at: some dozens of anchors have a score above 0.5, the preset's threshold."""

HEADS = ("classification_head/logits_layer", "box_head/logits_layer")
WATCHED = (
    "conv1_conv/kernel", "stack0_block0_1_bn/gamma", "stack1_block0_0_conv/kernel", "stack3_block2_3_conv/kernel",
    "fpn/lateral_conv_P3/kernel", "fpn/output_conv_P5/bias", "fpn/coarser_P6/kernel", "fpn/coarser_P7/bias",
    "classification_head/conv2d_0/kernel", "classification_head/logits_layer/bias", "box_head/logits_layer/kernel",
)  # fmt: skip

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pictures' channels, red first, as torchvision's transform has them, from which the presets were made."""

SAVED = "2026-01-01@00:00:00"
"""What the layout says of the date a preset was saved."""

ASSUMED = """Weights: keras_value of keras_recording by the weight's path. Pictures enter as noise, RGB, channels last.
Encoder: ResNetBackbone as resnet_50_imagenet has it. Boxes are yxyx, as in the presets. BatchNorm runs on its moving
statistics but in what lies under `train`. A picture without boxes has one of four -1 with label -1. Losses are those
of compile() by default, summed by compute_loss; gradients are of their sum."""


def package(dtype: str) -> SimpleNamespace:
    """The package in a precision, once a process."""
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    keras = importlib.import_module("keras")
    keras.config.set_floatx(dtype)
    hub = importlib.import_module("keras_hub")
    return SimpleNamespace(keras=keras, hub=hub, tensorflow=importlib.import_module("tensorflow"))


def converter(peer: SimpleNamespace, side: int) -> Any:
    """The presets' image converter, for pictures of another side than their 800."""
    return peer.hub.layers.RetinaNetImageConverter(
        image_size=(side, side),
        pad_to_aspect_ratio=True,
        crop_to_aspect_ratio=False,
        scale=[1.0 / 255.0 / deviation for deviation in DEVIATION],
        offset=[-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)],
    )


def build(peer: SimpleNamespace, flavour: str) -> Any:
    """The detector of a flavour, as the package's conversion script makes it, with any weights."""
    models = peer.hub.models
    encoder = models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
    )
    second = flavour == "v2"
    backbone = models.RetinaNetBackbone(image_encoder=encoder, min_level=3, max_level=7, use_p5=second)
    preprocessor = models.RetinaNetObjectDetectorPreprocessor(image_converter=converter(peer, 800))
    return models.RetinaNetObjectDetector(
        backbone=backbone, num_classes=CLASSES, preprocessor=preprocessor, use_prediction_head_norm=second
    )


def fill(model: Any, seed: int, tuning: Tuning) -> None:
    """Sets every weight by its path."""
    model.set_weights([keras_value(weight.path, tuple(weight.shape), seed, tuning) for weight in model.weights])


def tune(flavour: str, seed: int) -> Tuning:
    """The tuning of the last layers of both heads."""
    model = build(package("float32"), flavour)
    fill(model, seed, {})
    found = model(inputs((128, 128), 2, seed, 1.0))
    return {
        f"{HEADS[0]}/kernel": (power_of_two(WANTED_LOGITS, found["cls_logits"].numpy()), 0.0),
        f"{HEADS[0]}/bias": (1.0, CLASS_BIAS[flavour]),
        f"{HEADS[1]}/kernel": (power_of_two(WANTED_DELTAS / 2, found["bbox_regression"].numpy()), 0.0),
    }


def answers(flavour: str, dtype: str, seed: int, tuning: Tuning, whole: bool) -> Recording:
    """All answers of a flavour in one precision."""
    record = Recording(whole=whole)
    peer = package(dtype)
    model = build(peer, flavour)
    fill(model, seed, tuning)
    encoder = model.backbone.image_encoder
    stages = peer.keras.Model(encoder.inputs, encoder.pyramid_outputs)
    for size in SIZES if flavour == "v1" else FEW:
        where, pictures = f"{flavour}/{size[0]}x{size[1]}/{dtype}", inputs(size, SIZES[size], seed, 1.0).astype(dtype)
        maps = {f"c{name[1]}": value for name, value in stages(pictures, training=False).items()}
        maps |= {f"p{name[1]}": value for name, value in model.backbone(pictures, training=False).items()}
        for name, value in maps.items():
            record.add(f"{where}/{name}", value.numpy())
        found = model(pictures, training=False)
        record.add(f"{where}/logits", found["cls_logits"].numpy())
        record.add(f"{where}/deltas", found["bbox_regression"].numpy())
        keras_hub_parts.decoded(record, where, peer, model, found, pictures)
        if size in TRAINED:
            keras_hub_parts.training(record, where, peer, model, pictures, truths(size, SIZES[size], seed), WATCHED)
    if dtype == "float32" and flavour == "v1":
        keras_hub_parts.edges(record, peer, model)
        keras_hub_parts.preprocessing(record, peer, converter, seed)
    keras_hub_parts.batch_statistics(record, f"{flavour}/train/{dtype}", model, inputs((128, 128), 2, seed, 1.0))
    return record


def files(out: Path, flavour: str, seed: int, tuning: Tuning) -> dict[str, Any]:
    """Writes a preset folder, and gives the layout of each file in it."""
    model = build(package("float32"), flavour)
    fill(model, seed, tuning)
    folder = out / flavour
    model.save_to_preset(str(folder))
    known = digests(((weight.path, tuple(weight.shape)) for weight in model.weights), seed, tuning)
    found: dict[str, Any] = {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    found["metadata.json"]["date_saved"] = SAVED
    return {
        "tuning": {name: list(values) for name, values in tuning.items()},
        "files": found | {path.name: hdf5.describe(path, known) for path in sorted(folder.glob("*.h5"))},
    }


def versions() -> dict[str, str]:
    """The versions of what ran."""
    names = ("keras-hub", "keras", "tensorflow-cpu", "numpy", "h5py")
    return {name: importlib.metadata.version(name) for name in names} | {"python": sys.version.split()[0]}


def main() -> None:
    """Records the peer."""
    given = arguments(__doc__)
    record, layout = Recording(whole=given.whole), {}
    for flavour in ("v1", "v2"):
        tuning = apart(tune, flavour, given.seed)
        layout[flavour] = apart(files, given.out, flavour, given.seed, tuning)
        for dtype in ("float32", "float64"):
            found = apart(answers, flavour, dtype, given.seed, tuning, given.whole)
            record.arrays |= found.arrays
            record.shapes |= found.shapes
    facts = {"package": "keras-hub", "versions": versions(), "assumed": ASSUMED, "seed": given.seed,
             "sizes": [[*size, count] for size, count in SIZES.items()],
             "sizes_v2": [[*size, SIZES[size]] for size in FEW], "classes": CLASSES}  # fmt: skip
    record.write(given.out, facts, layout)


if __name__ == "__main__":
    main()
