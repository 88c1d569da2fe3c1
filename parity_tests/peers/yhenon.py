"""yhenon's pytorch-retinanet (0348a9d, 2021-08-20), run from a checkout of it, which is on no package index.

    python -m parity_tests.peers.yhenon --source CHECKOUT --out FOLDER

Its sigmoid is inside the network, hence logits are taken before it by a hook. It detects on one picture at a time.
In float64 its anchors, and 0.1 and 0.2 of its box coding, stay those of float32.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import skimage
import torch
import torchvision
from torch import Tensor, nn

from parity_tests.peers.recording import Recording, Tuning
from parity_tests.peers.torch_recording import (
    CLASSES,
    DTYPES,
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

COMMIT = "0348a9d57b279e3b5b235461b472d37da5feec3d"
SIZES = {(128, 128): 2, (160, 224): 1, (224, 160): 1, (256, 192): 1, (96, 160): 2}
SINGLE = ((128, 128), (96, 160))
"""The sizes that are also answered in float32."""

PICTURES = {"60x90": (60, 90), "120x77": (120, 77), "660x1300": (660, 1300)}
"""The first two are enlarged, the last is made smaller."""

LAST = ("classificationModel.output", "regressionModel.output")
WANTED_DELTAS = 2.0
"""Of a deviation 0.1 or 0.2 each, hence larger than elsewhere."""

WATCHED = (
    "conv1.weight",
    "layer1.0.bn1.weight",
    "layer4.2.conv3.weight",
    "fpn.P3_1.weight",
    "fpn.P6.weight",
    "fpn.P7_2.bias",
    "classificationModel.conv1.weight",
    "regressionModel.output.bias",
)


@contextmanager
def watched(model: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """What some modules give while the model runs, in order; heads once a level."""
    names = ["layer2", "layer3", "layer4", "fpn", "anchors", "classificationModel.output", "regressionModel.output"]
    seen: dict[str, list[Tensor]] = {name: [] for name in names}
    hooks = [
        model.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: seen[name].append(out))
        for name in names
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def rows(maps: list[Tensor], width: int) -> Tensor:
    """Maps of a last convolution as rows of anchors, in the order of the model's own views."""
    return torch.cat([level.permute(0, 2, 3, 1).reshape(len(level), -1, width) for level in maps], dim=1)


def outputs(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and deltas."""
    with watched(model) as seen, torch.no_grad():
        model(images)
    return rows(seen[LAST[0]], CLASSES), rows(seen[LAST[1]], 4)


def annotated(size: tuple[int, int], count: int, seed: int, dtype: torch.dtype) -> Tensor:
    """True boxes `[B,N,5]` with their classes last, filled up with -1 as its collater does."""
    found = torch.full((count, 4, 5), -1.0, dtype=dtype)
    for number, (boxes, labels) in enumerate(truths(size, count, seed)):
        found[number, : len(boxes), :4] = boxes.to(dtype)
        found[number, : len(boxes), 4] = labels.to(dtype)
    return found


def answer_size(record: Recording, where: str, model: Any, size: tuple[int, int], seed: int) -> None:
    """Records one size in the precision of the model."""
    dtype = next(model.parameters()).dtype
    images, truth = inputs(size, SIZES[size], seed).to(dtype), annotated(size, SIZES[size], seed, dtype)
    model.train()
    model.freeze_bn()
    with watched(model) as seen:
        losses = dict(zip(("classification", "regression"), model([images, truth]), strict=True))
    model.eval()
    levels(record, where, "c", 3, [seen[name][0] for name in ("layer2", "layer3", "layer4")])
    levels(record, where, "p", 3, seen["fpn"][0])
    logits, deltas = rows(seen[LAST[0]], CLASSES), rows(seen[LAST[1]], 4)
    anchors = seen["anchors"][0]
    for name, value in (("logits", logits), ("deltas", deltas), ("anchors", anchors[0])):
        record.add(f"{where}/{name}", arrays(value))
    answer_losses(record, where, model, (logits, deltas, anchors, truth))
    if size == (128, 128):
        weight_gradients(record, where, model, losses, WATCHED)
    for number in range(SIZES[size]):
        with torch.no_grad():
            scores, labels, boxes = model(images[number : number + 1])
        detections(record, f"{where}/detections/{number}", boxes, scores, labels)


def answer_losses(record: Recording, where: str, model: Any, given: tuple[Tensor, Tensor, Tensor, Tensor]) -> None:
    """Records its losses of logits and deltas, and their gradients by both."""
    logits, deltas = (value.detach().requires_grad_() for value in given[:2])
    losses = dict(zip(("classification", "regression"), model.focalLoss(logits.sigmoid(), deltas, *given[2:]),
                      strict=True))  # fmt: skip
    matched, best = matches(given[2][0], given[3])
    record.add_all(f"{where}/positives", np.argwhere(matched >= 0.5).astype(np.int32))
    record.add_all(f"{where}/positives_box", best[matched >= 0.5].astype(np.int32))
    record.add_all(f"{where}/ignored", np.argwhere((matched >= 0.4) & (matched < 0.5)).astype(np.int32))
    gradients(record, where, losses, logits, deltas, np.argwhere(matched >= 0.5))


def matches(anchors: Tensor, truth: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """By its own IoU the best of each anchor `[B,A]` and the box that it is with; 0 where a picture has none."""
    calc_iou = importlib.import_module("retinanet.losses").calc_iou
    best, which = [], []
    for boxes in truth:
        known = boxes[boxes[:, 4] != -1][:, :4]
        overlaps = calc_iou(anchors, known) if len(known) else torch.zeros(len(anchors), 1)
        highest = overlaps.max(dim=1)
        best.append(arrays(highest.values))
        which.append(arrays(highest.indices))
    return np.stack(best), np.stack(which)


def answer_pictures(record: Recording, model: Any, seed: int) -> None:
    """Records what pictures become before the network, and what is detected on one of them."""
    loader = importlib.import_module("retinanet.dataloader")
    for name, size in PICTURES.items():
        image = picture(name, *size, seed).astype(np.float32) / 255.0
        sample = loader.Resizer()(loader.Normalizer()({"img": image, "annot": np.array([[8.0, 10, 50, 40, 1]])}))
        fed = sample["img"].permute(2, 0, 1).float()
        record.add(f"pictures/{name}/fed", arrays(fed))
        record.add_all(f"pictures/{name}/scale", np.array(sample["scale"], np.float64))
        record.add_all(f"pictures/{name}/annotation", arrays(sample["annot"]))
        if name == "60x90":
            with torch.no_grad():
                scores, labels, boxes = model.float()(fed[None])
            best = scores.argsort(descending=True, stable=True)[:300]
            detections(record, f"pictures/{name}/detections", boxes[best] / sample["scale"], scores[best], labels[best])
            record.add_all(f"pictures/{name}/detections/all", np.array(len(scores), np.int32))


def answer_coder(record: Recording, model: Any, seed: int) -> None:
    """Records how deltas become boxes, and how boxes are clipped."""
    anchors = torch.from_numpy(true_boxes("coder/anchors", 64, 300, 400, seed))
    deltas = 12 * torch.from_numpy(noise("coder/deltas", (64, 4), seed)).double()
    decoded = model.regressBoxes(anchors[None], deltas[None])
    record.add_all("coder/decoded", arrays(decoded[0]))
    record.add_all("coder/clipped", arrays(model.clipBoxes(decoded.clone(), torch.zeros(1, 3, 300, 400))[0]))


def save(folder: Path, model: nn.Module, tuning: Tuning) -> dict[str, Any]:
    """Saves the state dict as its published weights are, loads it back, and gives the layout of the file."""
    state = model.state_dict()
    torch.save(state, folder / "weights.pt")
    model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return {
        "container": "torch.save of an OrderedDict of tensors",
        "_metadata": {"versions other than 1": module_versions(state)},
        "entries": entries(state, tuning),
    }


def main() -> None:
    """Builds, saves, loads and records the model."""
    parser = arguments(__doc__)
    parser.add_argument("--source", type=Path, required=True, help="a checkout of the package")
    options = parser.parse_args()
    sys.path.insert(0, str(options.source))
    model = importlib.import_module("retinanet.model").resnet50(num_classes=CLASSES, pretrained=False).eval()
    options.out.mkdir(parents=True, exist_ok=True)
    record, seed = Recording(whole=options.whole), options.seed
    answer = partial(outputs, model, inputs((128, 128), 1, seed))
    tuning = tune(model, answer, seed, LAST, spread=WANTED_DELTAS)
    model.load_state_dict(values(model, seed, tuning))
    layout = {"files": {"weights.pt": save(options.out, model, tuning)}}
    for name, dtype in DTYPES.items():
        model.to(dtype)
        for size in SIZES:
            if name == "float64" or size in SINGLE:
                answer_size(record, f"{size[0]}x{size[1]}/{name}", model, size, seed)
    answer_pictures(record, model, seed)
    answer_coder(record, model, seed)
    facts = {
        "package": "yhenon/pytorch-retinanet",
        "commit": COMMIT,
        "versions": versions(torchvision, skimage),
        "seed": str(seed),
        "classes": str(CLASSES),
        "sizes": {f"{h}x{w}": count for (h, w), count in SIZES.items()},
        "pictures": PICTURES,
        "assumed": "training mode with frozen BatchNorm for losses; a picture is its uint8 / 255 in float32; one "
        "picture at a time is detected on; of the detections on a picture of another size, the best 300 are kept",
    }
    record.write(options.out, facts, layout)


if __name__ == "__main__":
    main()
