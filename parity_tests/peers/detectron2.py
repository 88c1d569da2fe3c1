"""detectron2's RetinaNet with ResNet-50, run from a checkout of it, which is on no package index.

    python -m parity_tests.peers.detectron2 --source CHECKOUT --out FOLDER

Its RetinaNet needs none of its compiled operators, hence nothing is built. Its box decoding is always in float32, so
that detections are recorded in float32 alone. The weights are two files: `weights.pkl`, as the model zoo has, and
`weights.pth`, as its checkpointer writes.
"""

import logging
import pickle
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
import torchvision
from torch import Tensor

from parity_tests.peers.recording import Recording, Tuning, entry
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
    truths,
    tune,
    values,
    versions,
    weight_gradients,
)
from parity_tests.peers.values import noise, picture, true_boxes

COMMIT = "02b5c4e295e990042a714712c21dc79b731e8833"
CONFIG = "COCO-Detection/retinanet_R_50_FPN_1x.yaml"
SIZES = {(128, 128): 2, (160, 224): 1, (224, 160): 1}
SINGLE = ((128, 128), (160, 224))
"""The sizes that are also answered in float32."""

PICTURES = {"60x90": (60, 90), "120x77": (120, 77), "660x1300": (660, 1300)}
"""The last is recorded up to the network alone."""

SMALL = (160, 266)
"""The shortest and the longest side of the pictures that are detected on; 800 and 1333 are published."""

DEVIATION = 64.0
"""Of what enters the network; the stem's kernel is divided by it."""

LAST = ("head.cls_score", "head.bbox_pred")
STEM = "backbone.bottom_up.stem.conv1.weight"
WATCHED = (
    "backbone.bottom_up.res3.0.shortcut.weight",
    "backbone.bottom_up.res5.2.conv3.weight",
    "backbone.fpn_lateral3.weight",
    "backbone.top_block.p6.weight",
    "backbone.top_block.p7.bias",
    "head.cls_subnet.0.weight",
    "head.bbox_pred.bias",
)


def build(source: Path) -> Any:
    """The model of the published config, with any weights and few classes."""
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    config = get_cfg()
    config.merge_from_file(str(source / "configs" / CONFIG))
    config.MODEL.DEVICE = "cpu"
    config.MODEL.RETINANET.NUM_CLASSES = CLASSES
    return build_model(config).eval()


def network(model: Any, images: Tensor) -> dict[str, Any]:
    """All that the model makes of normalised pictures, stage by stage, by its own parts."""
    body = model.backbone.bottom_up(images)
    features = [model.backbone(images)[name] for name in model.head_in_features]
    logits, deltas = model._transpose_dense_predictions(model.head(features), [CLASSES, 4])
    anchors = model.anchor_generator(features)
    return {"body": list(body.values()), "features": features, "logits": logits, "deltas": deltas, "anchors": anchors}


def outputs(model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and deltas."""
    answer = network(model, images)
    return torch.cat(answer["logits"], dim=1), torch.cat(answer["deltas"], dim=1)


def instances(size: tuple[int, int], count: int, seed: int, dtype: torch.dtype) -> list[Any]:
    """True boxes as the package holds them."""
    from detectron2.structures import Boxes, Instances

    found = []
    for boxes, labels in truths(size, count, seed):
        one = Instances(size, gt_classes=labels)
        one.gt_boxes = Boxes(boxes)
        one.gt_boxes.tensor = boxes.to(dtype)  # Boxes itself makes them float32
        found.append(one)
    return found


def answer_size(record: Recording, where: str, model: Any, size: tuple[int, int], seed: int) -> None:
    """Records one size in the precision of the model."""
    dtype, count = next(model.parameters()).dtype, SIZES[size]
    answer = network(model, DEVIATION * inputs(size, count, seed).to(dtype))
    logits, deltas = torch.cat(answer["logits"], dim=1), torch.cat(answer["deltas"], dim=1)
    anchors = torch.cat([level.tensor for level in answer["anchors"]])
    levels(record, where, "c", 3, answer["body"])
    levels(record, where, "p", 3, answer["features"])
    for name, value in (("logits", logits), ("deltas", deltas), ("anchors", anchors)):
        record.add(f"{where}/{name}", arrays(value))
    answer_losses(record, where, model, (logits, deltas), answer["anchors"], instances(size, count, seed, dtype),
                  weights=size == (128, 128))  # fmt: skip
    if dtype == torch.float32:
        with torch.no_grad():
            for number in range(count):
                scores = [level[number].sigmoid() for level in answer["logits"]]
                moved = [level[number] for level in answer["deltas"]]
                found = model.inference_single_image(answer["anchors"], scores, moved, size)
                keep(record, f"{where}/raw_detections/{number}", found)


def answer_losses(
    record: Recording, where: str, model: Any, heads: tuple[Tensor, Tensor], anchors: list[Any], truth: list[Any], *,
    weights: bool
) -> None:  # fmt: skip
    """Records the losses of a first step, when the mean of the positives is still near 100, and of a second."""
    from detectron2.utils.events import EventStorage

    with EventStorage():
        labels, boxes = model.label_anchors(anchors, truth)
        matched = arrays(torch.stack(labels))
        positives = np.argwhere((matched >= 0) & (matched < CLASSES))
        record.add_all(f"{where}/positives", positives.astype(np.int32))
        record.add_all(f"{where}/positives_label", matched[tuple(positives.T)].astype(np.int32))
        record.add_rows(f"{where}/positives_target", arrays(torch.stack(boxes)), positives)
        record.add_all(f"{where}/ignored", np.argwhere(matched == -1).astype(np.int32))
        if hasattr(model, "loss_normalizer"):
            del model.loss_normalizer
        losses = model.losses(anchors, [heads[0]], labels, [heads[1]], boxes)
        record.add_all(f"{where}/normaliser", np.float64(model.loss_normalizer))
        gradients(record, where, losses, *heads, positives)
        if weights:
            weight_gradients(record, where, model, losses, WATCHED)
        again = model.losses(anchors, [heads[0]], labels, [heads[1]], boxes)
        record.add_all(f"{where}/second/normaliser", np.float64(model.loss_normalizer))
        for name, value in again.items():
            record.add_all(f"{where}/second/loss/{name}", arrays(value))


def keep(record: Recording, where: str, found: Any) -> None:
    """Keeps the detections of a picture."""
    detections(record, where, found.pred_boxes.tensor, found.scores, found.pred_classes)


def answer_pictures(record: Recording, model: Any, seed: int) -> None:
    """Records what pictures become before the network, and what is detected on small ones, each alone and together."""
    from detectron2.data.transforms import ResizeShortestEdge

    for where, (short, long) in (("pictures", (800, 1333)), ("small", SMALL)):
        batch = []
        for name, size in PICTURES.items():
            image = picture(name, *size, seed)[..., ::-1]
            resized = ResizeShortestEdge([short, short], long).get_transform(image).apply_image(image)
            given = {"image": torch.as_tensor(resized.astype("float32").transpose(2, 0, 1)), "height": size[0],
                     "width": size[1]}  # fmt: skip
            record.add(f"{where}/{name}/resized", resized)
            record.add(f"{where}/{name}/fed", arrays(model.preprocess_image([given]).tensor))
            batch += [given] if name != "660x1300" else []
        if where == "small":
            with torch.no_grad():
                for number, one in enumerate(model(batch)):
                    keep(record, f"{where}/both/detections/{number}", one["instances"])


def answer_coder(record: Recording, model: Any, seed: int) -> None:
    """Records the coding of boxes, with deltas that reach the clamp."""
    anchors = torch.from_numpy(true_boxes("coder/anchors", 64, 300, 400, seed))
    boxes = torch.from_numpy(true_boxes("coder/boxes", 64, 300, 400, seed))
    deltas = 3 * torch.from_numpy(noise("coder/deltas", (64, 4), seed)).double()
    record.add_all("coder/encoded", arrays(model.box2box_transform.get_deltas(anchors, boxes)))
    record.add_all("coder/decoded", arrays(model.box2box_transform.apply_deltas(deltas, anchors)))


def save(folder: Path, model: Any, tuning: Tuning) -> dict[str, Any]:
    """Saves both files, loads each back by the package's checkpointer, and gives their layouts.

    The model zoo's file also has what are no longer weights today: mean and deviation of pixels, and anchors of cells.
    """
    from detectron2.checkpoint import DetectionCheckpointer

    state = model.state_dict()
    old = {"pixel_mean": model.pixel_mean, "pixel_std": model.pixel_std}
    for number, cell in enumerate(model.anchor_generator.cell_anchors):
        old[f"anchor_generator.cell_anchors.{number}"] = cell
    zoo = {name: tensor.numpy() for name, tensor in {**old, **state}.items()}
    with (folder / "weights.pkl").open("wb") as file:
        pickle.dump({"model": zoo, "__author__": "Detectron2 Model Zoo"}, file)
    DetectionCheckpointer(model, str(folder)).save("weights")
    for name in ("weights.pth", "weights.pkl"):
        DetectionCheckpointer(model).load(str(folder / name))
    extra = [
        entry(name, tuple(tensor.shape), "float32", {}, contents=np.round(arrays(tensor), 5).tolist())
        for name, tensor in old.items()
    ]
    return {
        "weights.pkl": {
            "container": "pickle of a dict",
            "__author__": "Detectron2 Model Zoo",
            "model": "numpy arrays by name: those of extra, then those of entries",
            "extra": extra,
            "entries": entries(state, tuning),
        },
        "weights.pth": {"container": "torch.save of a dict", "model": "tensors of the same entries, without extra"},
    }


def main() -> None:
    """Builds, saves, loads and records the model."""
    parser = arguments(__doc__)
    parser.add_argument("--source", type=Path, required=True, help="a checkout of the package")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    sys.path.insert(0, str(options.source))
    model, seed = build(options.source), options.seed
    options.out.mkdir(parents=True, exist_ok=True)
    record = Recording(whole=options.whole)
    tuning = tune(model, partial(outputs, model, inputs((128, 128), 1, seed)), seed, LAST, spread=WANTED_DELTAS)
    tuning = {**tuning, STEM: (1 / DEVIATION, 0.0)}
    model.load_state_dict(values(model, seed, tuning))
    layout = save(options.out, model, tuning)
    for name, dtype in DTYPES.items():
        model.to(dtype)
        for size in SIZES:
            if name == "float64" or size in SINGLE:
                answer_size(record, f"{size[0]}x{size[1]}/{name}", model, size, seed)
    answer_pictures(record, model, seed)
    answer_coder(record, model, seed)
    facts = {
        "package": "detectron2",
        "commit": COMMIT,
        "config": CONFIG,
        "versions": versions(torchvision, PIL),
        "seed": str(seed),
        "classes": str(CLASSES),
        "sizes": {f"{h}x{w}": count for (h, w), count in SIZES.items()},
        "pictures": PICTURES,
        "small": SMALL,
        "input": str(DEVIATION),
        "assumed": "pictures of values.py are RGB and handed over as BGR; raw_detections/ are those of a size as it "
        "is, before they are scaled and clipped; the loss's mean of positives starts at 100 for each size",
    }
    record.write(options.out, facts, {"files": layout})


if __name__ == "__main__":
    main()
