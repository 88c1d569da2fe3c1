"""MONAI's RetinaNet detector in two dimensions (`monai.apps.detection`), run by MONAI itself.

    python -m parity_tests.peers.monai --out FOLDER

Variants: `detector` as `retinanet_resnet50_fpn_detector` makes it, with layers 2 to 4 and a fourth level that is every
second pixel of P5; `p6p7` from its own parts with `LastLevelP6P7`. Its boxes count rows first: y1, x1, y2, x2. What is
learnt in a setting of `SETTINGS` is recorded under its name: `detector/atss/128x128/float64/loss/classification`.
"""

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
import torchvision
from monai.apps.detection.networks.retinanet_detector import RetinaNetDetector, retinanet_resnet50_fpn_detector
from monai.apps.detection.networks.retinanet_network import RetinaNet
from monai.apps.detection.utils.anchor_utils import AnchorGenerator
from monai.apps.detection.utils.detector_utils import preprocess_images
from monai.losses.focal_loss import FocalLoss
from monai.losses.giou_loss import BoxGIoULoss
from monai.networks.blocks.backbone_fpn_utils import _resnet_fpn_extractor
from monai.networks.blocks.feature_pyramid_network import LastLevelP6P7
from monai.networks.nets import resnet
from torch import Tensor

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

SIZES = {(128, 128): 2, (160, 224): 1, (224, 160): 1, (97, 161): 1}
"""The last enters the network as it is; the detector would pad it."""

SINGLE = ((128, 128), (97, 161))
"""The sizes that are also answered in float32."""

PICTURES = {"60x90": (60, 90), "120x77": (120, 77)}
"""Pictures of one batch, which the detector pads."""

SETTINGS = ("regular", "atss", "focal_giou")
"""The matcher by IoU, and ATSS, with the losses of the detector's constructor; and ATSS with focal and GIoU loss."""

DIVISIBLE = 64
"""What sides are padded to: what `retinanet_resnet50_fpn_detector` computes of its last layer, 4."""

ANCHOR_SIZES = ((32, 40, 50), (64, 80, 101), (128, 161, 203), (256, 322, 406), (512, 645, 812))
BODY = {"spatial_dims": 2, "n_input_channels": 3, "conv1_t_size": 7, "conv1_t_stride": 2}
LAST = ("classification_head.cls_logits", "regression_head.bbox_reg")
WATCHED = (
    "feature_extractor.body.conv1.weight",
    "feature_extractor.body.layer2.0.downsample.0.bias",
    "feature_extractor.fpn.inner_blocks.0.weight",
    "feature_extractor.fpn.extra_blocks.p6.weight",
    "classification_head.conv.0.bias",
    "classification_head.conv.1.weight",
    "regression_head.bbox_reg.bias",
)


def build(variant: str) -> RetinaNetDetector:
    """The package's detector of a variant, with any weights."""
    sizes = ANCHOR_SIZES[:4] if variant == "detector" else ANCHOR_SIZES
    anchors = AnchorGenerator(sizes=sizes, aspect_ratios=((0.5, 1.0, 2.0),) * len(sizes))
    if variant == "detector":
        return retinanet_resnet50_fpn_detector(CLASSES, anchors, returned_layers=(2, 3, 4), **BODY).eval()
    body = resnet.resnet50(pretrained=False, progress=False, **BODY)
    extra = LastLevelP6P7(2, 256, 256)
    extractor = _resnet_fpn_extractor(body, 2, 5, returned_layers=[2, 3, 4], extra_blocks=extra)
    return RetinaNetDetector(RetinaNet(2, CLASSES, 9, extractor, size_divisible=DIVISIBLE), anchors).eval()


def network(detector: RetinaNetDetector, images: Tensor) -> dict[str, Any]:
    """All that the detector makes of pictures, stage by stage, by its own parts."""
    net = detector.network
    body = net.feature_extractor.body(images)
    features = list(net.feature_extractor.fpn(body).values())
    maps = {net.cls_key: net.classification_head(features), net.box_reg_key: net.regression_head(features)}
    detector.generate_anchors(images, maps)
    heads = {name: detector._reshape_maps(found) for name, found in maps.items()}
    cells = [level.shape[2:].numel() for level in features]
    return {"body": list(body.values()), "features": features, "heads": heads, "cells": cells}


def outputs(detector: RetinaNetDetector, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and deltas."""
    heads = network(detector, images)["heads"]
    return heads["classification"], heads["box_regression"]


def answer_size(record: Recording, variant: str, detector: RetinaNetDetector, size: tuple[int, int], seed: int) -> None:
    """Records one size in the precision of the detector."""
    dtype = next(detector.parameters()).dtype
    within = f"{size[0]}x{size[1]}/{str(dtype).removeprefix('torch.')}"
    where = f"{variant}/{within}"
    answer = network(detector, inputs(size, SIZES[size], seed).to(dtype))
    levels(record, where, "c", 3, answer["body"])
    levels(record, where, "p", 3, answer["features"])
    for name, value in (("logits", "classification"), ("deltas", "box_regression")):
        record.add(f"{where}/{name}", arrays(answer["heads"][value]))
    record.add(f"{where}/anchors", arrays(detector.anchors[0]))
    targets = [
        {"boxes": boxes[:, [1, 0, 3, 2]].to(dtype), "labels": labels}
        for boxes, labels in truths(size, SIZES[size], seed)
    ]
    for setting in SETTINGS if variant == "detector" else ("atss",):
        settle(detector, setting)
        answer_losses(record, f"{variant}/{setting}/{within}", detector, answer, targets)
    with torch.no_grad():
        found = detector.postprocess_detections(
            answer["heads"], detector.anchors, [list(size)] * SIZES[size], answer["cells"]
        )
    for number, one in enumerate(found):
        detections(record, f"{where}/detections/{number}", one["boxes"], one["labels_scores"], one["labels"])


def answer_losses(
    record: Recording, where: str, detector: RetinaNetDetector, answer: dict[str, Any], targets: list[dict[str, Tensor]]
) -> None:
    """Records losses, their gradients and the matches, in the setting of the detector."""
    matched = arrays(torch.stack(detector.compute_anchor_matched_idxs(detector.anchors, targets, answer["cells"])))
    record.add_all(f"{where}/positives", np.argwhere(matched >= 0).astype(np.int32))
    record.add_all(f"{where}/positives_box", matched[matched >= 0].astype(np.int32))
    record.add_all(f"{where}/ignored", np.argwhere(matched == -2).astype(np.int32))
    losses = detector.compute_loss(answer["heads"], targets, detector.anchors, answer["cells"])
    heads = answer["heads"]
    gradients(record, where, losses, heads["classification"], heads["box_regression"], np.argwhere(matched >= 0))
    if "/atss/128x128/" in where:
        weight_gradients(record, where, detector.network, losses, WATCHED)


def settle(detector: RetinaNetDetector, setting: str) -> None:
    """Sets the matcher and the losses, as `SETTINGS` says."""
    if setting == "regular":
        detector.set_regular_matcher(fg_iou_thresh=0.5, bg_iou_thresh=0.4, allow_low_quality_matches=True)
    else:
        detector.set_atss_matcher(num_candidates=4, center_in_gt=False)
    if setting == "focal_giou":
        detector.set_cls_loss(FocalLoss(reduction="mean", gamma=2.0))
        detector.set_box_regression_loss(BoxGIoULoss(reduction="mean"), encode_gt=False, decode_pred=True)
    else:
        detector.set_cls_loss(torch.nn.BCEWithLogitsLoss(reduction="mean"))
        loss = torch.nn.SmoothL1Loss(beta=1.0 / 9, reduction="mean")
        detector.set_box_regression_loss(loss, encode_gt=True, decode_pred=False)


def answer_pictures(record: Recording, where: str, detector: RetinaNetDetector, seed: int) -> None:
    """Records what pictures become before the network, and what is detected on both together."""
    dtype, divisible = next(detector.parameters()).dtype, detector.size_divisible
    images = [torch.from_numpy(picture(name, *size, seed)).permute(2, 0, 1) for name, size in PICTURES.items()]
    scaled = [image.to(dtype) / 255 for image in images]
    for name, image in zip(PICTURES, scaled, strict=True):
        record.add(f"{where}/{name}/fed", arrays(preprocess_images([image], 2, divisible)[0]))
    record.add(f"{where}/both/fed", arrays(preprocess_images(scaled, 2, divisible)[0]))
    with torch.no_grad():
        for number, one in enumerate(detector(scaled)):
            at = f"{where}/both/detections/{number}"
            detections(record, at, one["boxes"], one["labels_scores"], one["labels"])


def answer_coder(record: Recording, detector: RetinaNetDetector, seed: int) -> None:
    """Records the coding of boxes, with deltas that reach the clamp."""
    anchors = torch.from_numpy(true_boxes("coder/anchors", 64, 300, 400, seed))
    boxes = torch.from_numpy(true_boxes("coder/boxes", 64, 300, 400, seed))
    deltas = 3 * torch.from_numpy(noise("coder/deltas", (64, 4), seed)).double()
    record.add_all("coder/encoded", arrays(detector.box_coder.encode_single(boxes, anchors)))
    record.add_all("coder/decoded", arrays(detector.box_coder.decode_single(deltas, anchors)))


def save(path: Path, detector: RetinaNetDetector, tuning: Tuning) -> dict[str, Any]:
    """Saves the network's state dict as MONAI documents, loads it back, and gives the layout of the file."""
    state = detector.network.state_dict()
    torch.save(state, path)
    detector.network.load_state_dict(torch.load(path, weights_only=True))
    return {
        "container": "torch.save of an OrderedDict of tensors",
        "_metadata": {"versions other than 1": module_versions(state)},
        "entries": entries(state, tuning),
    }


def main() -> None:
    """Builds, saves, loads and records each variant."""
    warnings.simplefilter("ignore")
    options = arguments(__doc__).parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record, layout, seed = Recording(whole=options.whole), {}, options.seed
    for variant in ("detector", "p6p7"):
        detector = build(variant)
        answer = partial(outputs, detector, inputs((128, 128), 1, seed))
        tuning = tune(detector.network, answer, seed, LAST, spread=WANTED_DELTAS)
        detector.network.load_state_dict(values(detector.network, seed, tuning))
        file = f"weights_{variant}.pt"
        layout[file] = save(options.out / file, detector, tuning)
        for name, dtype in DTYPES.items():
            detector.to(dtype)
            detector.anchors = None
            for size in SIZES:
                if name == "float64" or size in SINGLE:
                    answer_size(record, variant, detector, size, seed)
            answer_pictures(record, f"{variant}/pictures/{name}", detector, seed)
    answer_coder(record, detector, seed)
    facts = {
        "package": "monai",
        "versions": versions(monai, torchvision),
        "seed": str(seed),
        "classes": str(CLASSES),
        "sizes": {f"{h}x{w}": count for (h, w), count in SIZES.items()},
        "pictures": PICTURES,
        "assumed": "AnchorGenerator with torchvision's sizes and indexing ij; true boxes are those of values.py with "
        "rows first; regular is the matcher by IoU (0.5, 0.4, low quality too), atss the ATSS matcher (4, not "
        "centred), both with mean BCE and mean smooth L1 of beta 1/9; focal_giou is ATSS with mean focal loss of "
        "gamma 2 and mean GIoU loss",
    }
    record.write(options.out, facts, {"files": layout})


if __name__ == "__main__":
    main()
