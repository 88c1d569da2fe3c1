"""torchvision's `retinanet_resnet50_fpn` and its second version, run by torchvision itself.

    python -m parity_tests.peers.torchvision --out FOLDER

Variants: `v1` as built without weights (BatchNorm, eps 1e-5); `coco` as the published COCO weights run
(FrozenBatchNorm2d with eps 0); `v2`. The published file of v1 has the old names of head convolutions and no counters.
"""

from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor
from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.resnet import resnet50
from torchvision.ops import FrozenBatchNorm2d, box_iou
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from parity_tests.peers.recording import Recording, Tuning
from parity_tests.peers.torch_recording import (
    CLASSES,
    DTYPES,
    WANTED_DELTAS,
    arguments,
    arrays,
    detections,
    entries,
    gradients,
    inputs,
    levels,
    module_versions,
    truths,
    tune,
    values,
    versions,
    weight_gradients,
)
from parity_tests.peers.values import noise, picture, true_boxes

SIZES = {(128, 128): 2, (160, 224): 1, (224, 160): 1, (256, 192): 1, (100, 150): 1, (97, 161): 2}
"""Sides of P5: even and even, odd and odd, and so on; the last two do not divide by 32."""

SINGLE = ((128, 128), (97, 161))
"""The sizes that are also answered in float32, and the only ones of the variant `coco`."""

PICTURES = {"60x90": (60, 90), "120x77": (120, 77)}

LAST = ("head.classification_head.cls_logits", "head.regression_head.bbox_reg")
WATCHED = (
    "backbone.body.conv1.weight",
    "backbone.body.layer1.0.bn1.weight",
    "backbone.body.layer2.0.downsample.0.weight",
    "backbone.body.layer4.2.conv3.weight",
    "backbone.fpn.inner_blocks.0.0.weight",
    "backbone.fpn.layer_blocks.2.0.bias",
    "backbone.fpn.extra_blocks.p6.weight",
    "backbone.fpn.extra_blocks.p7.bias",
    "head.classification_head.conv.0.0.weight",
    "head.regression_head.bbox_reg.bias",
)


def build(variant: str, **transform: int) -> RetinaNet:
    """The package's model of a variant, with any weights."""
    if variant == "coco":  # what retinanet_resnet50_fpn(weights=COCO_V1) makes, without the download
        body = resnet50(weights=None, norm_layer=FrozenBatchNorm2d)
        body = _resnet_fpn_extractor(body, 3, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256))
        model = RetinaNet(body, CLASSES, **transform)
        overwrite_eps(model, 0.0)
        return model.eval()
    make = retinanet_resnet50_fpn if variant == "v1" else retinanet_resnet50_fpn_v2
    return make(weights=None, weights_backbone=None, num_classes=CLASSES, **transform).eval()


def network(model: RetinaNet, images: Tensor) -> dict[str, Any]:
    """All that the model makes of normalised pictures, stage by stage, by its own parts."""
    body = model.backbone.body(images)
    features = list(model.backbone.fpn(body).values())
    heads = model.head(features)
    sizes = [tuple(images.shape[-2:])] * len(images)
    anchors = model.anchor_generator(ImageList(images, sizes), features)
    return {"body": list(body.values()), "features": features, "heads": heads, "anchors": anchors, "sizes": sizes}


def outputs(model: RetinaNet, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and deltas."""
    heads = network(model, images)["heads"]
    return heads["cls_logits"], heads["bbox_regression"]


def found(model: RetinaNet, answer: dict[str, Any]) -> list[dict[str, Tensor]]:
    """The detections of a network's answer, split into levels as `RetinaNet.forward` does."""
    counts = [9 * level.shape[-2] * level.shape[-1] for level in answer["features"]]
    heads = {name: list(value.split(counts, dim=1)) for name, value in answer["heads"].items()}
    anchors = [list(boxes.split(counts)) for boxes in answer["anchors"]]
    return list(model.postprocess_detections(heads, anchors, answer["sizes"]))


def answer_size(record: Recording, where: str, model: RetinaNet, size: tuple[int, int], seed: int) -> None:
    """Records one size in the precision of the model."""
    dtype = next(model.parameters()).dtype
    images = inputs(size, SIZES[size], seed).to(dtype)
    answer = network(model, images)
    logits, deltas = answer["heads"]["cls_logits"], answer["heads"]["bbox_regression"]
    levels(record, where, "c", 3, answer["body"])
    levels(record, where, "p", 3, answer["features"])
    for name, value in (("logits", logits), ("deltas", deltas), ("anchors", answer["anchors"][0])):
        record.add(f"{where}/{name}", arrays(value))
    targets = [{"boxes": boxes.to(dtype), "labels": labels} for boxes, labels in truths(size, SIZES[size], seed)]
    losses = model.compute_loss(targets, answer["heads"], answer["anchors"])
    matched = matches(model, targets, answer["anchors"])
    record.add_all(f"{where}/positives", np.argwhere(matched >= 0).astype(np.int32))
    record.add_all(f"{where}/positives_box", matched[matched >= 0].astype(np.int32))
    record.add_all(f"{where}/ignored", np.argwhere(matched == -2).astype(np.int32))
    gradients(record, where, losses, logits, deltas, np.argwhere(matched >= 0))
    if size == (128, 128):
        weight_gradients(record, where, model, losses, WATCHED)
    with torch.no_grad():
        for number, one in enumerate(found(model, answer)):
            detections(record, f"{where}/detections/{number}", one["boxes"], one["scores"], one["labels"])


def matches(model: RetinaNet, targets: list[dict[str, Tensor]], anchors: list[Tensor]) -> np.ndarray:
    """The box of each anchor `[B,A]`; -1 background, -2 ignored."""
    rows = []
    for target, boxes in zip(targets, anchors, strict=True):
        empty = torch.full((len(boxes),), -1)
        rows.append(model.proposal_matcher(box_iou(target["boxes"], boxes)) if len(target["boxes"]) else empty)
    return arrays(torch.stack(rows))


def answer_pictures(record: Recording, where: str, model: RetinaNet, seed: int) -> None:
    """Records what pictures become before the network, and what is detected on both together."""
    dtype = next(model.parameters()).dtype
    images = [torch.from_numpy(picture(name, *size, seed)).permute(2, 0, 1) for name, size in PICTURES.items()]
    scaled = [torchvision.transforms.functional.convert_image_dtype(image, dtype) for image in images]
    with torch.no_grad():
        for name, image in zip(PICTURES, scaled, strict=True):
            fed, _ = model.transform([image])
            record.add(f"{where}/{name}/fed", arrays(fed.tensors))
            record.add_all(f"{where}/{name}/resized", np.array(fed.image_sizes, np.int32))
        fed, _ = model.transform(scaled)
        record.add(f"{where}/both/fed", arrays(fed.tensors))
        for number, one in enumerate(model(scaled)):
            detections(record, f"{where}/both/detections/{number}", one["boxes"], one["scores"], one["labels"])


def answer_training(record: Recording, where: str, model: RetinaNet, seed: int) -> None:
    """Records a pass in training mode: BatchNorm by the batch, whose running statistics move."""
    size = (128, 128)
    dtype = next(model.parameters()).dtype
    model.train()
    answer = network(model, inputs(size, 2, seed).to(dtype))
    targets = [{"boxes": boxes.to(dtype), "labels": labels} for boxes, labels in truths(size, 2, seed)]
    for name, value in model.compute_loss(targets, answer["heads"], answer["anchors"]).items():
        record.add_all(f"{where}/loss/{name}", arrays(value))
    for name in ("bn1", "layer4.2.bn3"):
        module = model.backbone.body.get_submodule(name)
        record.add(f"{where}/{name}/running_mean", arrays(module.running_mean))
        record.add(f"{where}/{name}/running_var", arrays(module.running_var))
    model.eval()


def answer_coder(record: Recording, model: RetinaNet, seed: int) -> None:
    """Records the coding of boxes, with deltas that reach the clamp."""
    anchors = torch.from_numpy(true_boxes("coder/anchors", 64, 300, 400, seed))
    boxes = torch.from_numpy(true_boxes("coder/boxes", 64, 300, 400, seed))
    deltas = 3 * torch.from_numpy(noise("coder/deltas", (64, 4), seed)).double()
    record.add_all("coder/encoded", arrays(model.box_coder.encode_single(boxes, anchors)))
    record.add_all("coder/decoded", arrays(model.box_coder.decode_single(deltas, anchors)))


def old_names(state: dict[str, Tensor]) -> dict[str, str]:
    """The names of the published file of v1 and what they are called today; it has no counters."""
    old = {}
    for name in state:
        parts = name.split(".")
        if parts[0] == "head" and parts[2] == "conv":
            old[".".join([*parts[:3], str(2 * int(parts[3])), parts[-1]])] = name
        elif not name.endswith("num_batches_tracked"):
            old[name] = name
    return old


def save(folder: Path, variant: str, model: RetinaNet, tuning: Tuning) -> dict[str, Any]:
    """Saves the weights as torchvision publishes them, loads them back, and gives the layout of the file."""
    state = model.state_dict()
    known = old_names(state) if variant == "coco" else {name: name for name in state}
    saved = OrderedDict((old, state[name]) for old, name in known.items())
    if variant != "coco":
        saved._metadata = state._metadata  # type: ignore[attr-defined]
    path = folder / f"weights_{variant}.pth"
    torch.save(saved, path)
    model.load_state_dict(torch.load(path, weights_only=True))
    metadata = None if variant == "coco" else {"versions other than 1": module_versions(state)}
    listed = entries(saved, tuning, known)
    return {"container": "torch.save of an OrderedDict of tensors", "_metadata": metadata, "entries": listed}


def main() -> None:
    """Builds, saves, loads and records each variant."""
    options = arguments(__doc__).parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record, layout, seed = Recording(whole=options.whole), {}, options.seed
    for variant in ("v1", "coco", "v2"):
        model = build(variant, min_size=160, max_size=266)
        answer = partial(outputs, model, inputs((128, 128), 1, seed))
        tuning = tune(model, answer, seed, LAST, spread=WANTED_DELTAS)
        model.load_state_dict(values(model, seed, tuning))
        layout[f"weights_{variant}.pth"] = save(options.out, variant, model, tuning)
        for dtype in DTYPES:
            model.to(DTYPES[dtype])
            for size in SIZES:
                if size in SINGLE or (dtype == "float64" and variant != "coco"):
                    answer_size(record, f"{variant}/{size[0]}x{size[1]}/{dtype}", model, size, seed)
            answer_pictures(record, f"{variant}/pictures/{dtype}", model, seed)
        if variant == "v2":
            answer_training(record, "v2/training/float64", model.double(), seed)
    answer_coder(record, model, seed)
    facts = {
        "package": "torchvision",
        "versions": versions(torchvision),
        "seed": str(seed),
        "classes": str(CLASSES),
        "sizes": {f"{h}x{w}": count for (h, w), count in SIZES.items()},
        "pictures": PICTURES,
        "transform": {"min_size": 160, "max_size": 266},
        "assumed": "BatchNorm in inference mode but for training/; pictures as uint8 / 255, both in one batch in "
        "both/; sizes enter the network as they are, without padding",
    }
    record.write(options.out, facts, {"files": layout})


if __name__ == "__main__":
    main()
