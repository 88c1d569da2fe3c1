"""DeepForest's RetinaNet, torchvision's under its own settings, built and saved by DeepForest itself.

    python -m parity_tests.peers.deepforest --out FOLDER

Two files: `hub/`, config.json and model.safetensors as its models on the Hub have; and `weights.ckpt`, the Lightning
checkpoint that it trains to. Nothing is downloaded: torchvision's own weights, which it starts from, are stood in for.
Built on torchvision's COCO weights the FrozenBatchNorm2d has an eps of 0; loaded from the Hub it has 1e-5.
"""

import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import deepforest
import numpy as np
import pytorch_lightning
import torch
import torchvision
from deepforest import main as main_module
from deepforest.models.retinanet import RetinaNetHub
from torch import Tensor
from torchvision.models import ResNet50_Weights, WeightsEnum, resnet50
from torchvision.models.detection import retinanet_resnet50_fpn

from parity_tests.peers.recording import Recording, Tuning
from parity_tests.peers.torch_recording import (
    CLASSES,
    DTYPES,
    WANTED_DELTAS,
    arguments,
    detections,
    entries,
    inputs,
    tune,
    values,
    versions,
)
from parity_tests.peers.torchvision import LAST, answer_size, outputs
from parity_tests.peers.values import picture

SIZES = ((128, 128), (97, 161))
PICTURE = (60, 90)
LABELS = {f"kind {number}": number for number in range(CLASSES)}


def stand_in(weights: WeightsEnum, *_: Any, **__: Any) -> dict[str, Tensor]:
    """Any state dict of the model whose weights would be downloaded."""
    if isinstance(weights, ResNet50_Weights):
        return dict(resnet50(weights=None).state_dict())
    return dict(retinanet_resnet50_fpn(weights=None, weights_backbone=None).state_dict())


def build() -> Any:
    """DeepForest with its model on top of torchvision's (stood in for) COCO weights."""
    given = {"model": {"name": None}, "num_classes": CLASSES, "label_dict": LABELS, "accelerator": "cpu"}
    return main_module.deepforest(config_args=given)


def save_hub(folder: Path, model: RetinaNetHub, tuning: Tuning) -> dict[str, Any]:
    """Saves as for the Hub, and gives the layout of both files."""
    model.save_pretrained(folder)
    return {
        "config.json": json.loads((folder / "config.json").read_text()),
        "model.safetensors": {
            "container": "safetensors",
            "metadata": metadata_of(folder / "model.safetensors"),
            "entries": entries(model.state_dict(), tuning),
        },
    }


def metadata_of(path: Path) -> dict[str, str]:
    """The metadata in the header of a safetensors file."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        return dict(json.loads(file.read(size)).get("__metadata__", {}))


def save_checkpoint(path: Path, forest: Any, tuning: Tuning) -> dict[str, Any]:
    """Saves a Lightning checkpoint, and gives its layout."""
    forest.trainer.strategy.connect(forest)
    forest.save_model(path)
    found = torch.load(path, weights_only=True)
    state = found.pop("state_dict")
    prefixed = {name: name.removeprefix("model.") for name in state}
    return {
        "container": "torch.save of a dict",
        "keys": {name: described(value) for name, value in found.items()},
        "state_dict": entries(state, tuning, prefixed),
    }


def described(value: Any) -> Any:
    """A value as JSON, or its type where JSON has none."""
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return str(type(value))


def answer_picture(record: Recording, where: str, forest: Any, seed: int) -> None:
    """Records what is detected on a picture, by the model and by `predict_image`."""
    image = picture("60x90", *PICTURE, seed).astype(np.float32)
    with torch.no_grad():
        (one,) = forest.model(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)
    detections(record, f"{where}/model", one["boxes"], one["scores"], one["labels"])
    table = forest.predict_image(image)
    record.add_all(f"{where}/predict_image/boxes", table[["xmin", "ymin", "xmax", "ymax"]].to_numpy(np.float64))
    record.add_all(f"{where}/predict_image/scores", table["score"].to_numpy(np.float64))
    record.add_all(f"{where}/predict_image/labels", table["label"].map(LABELS).to_numpy(np.int32))


def main() -> None:
    """Builds, saves, loads and records."""
    warnings.simplefilter("ignore")
    options = arguments(__doc__).parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    record, seed = Recording(whole=options.whole), options.seed
    with mock.patch.object(WeightsEnum, "get_state_dict", stand_in):
        forest = build()
        forest.model.eval()
        tuning = tune(forest.model, partial(outputs, forest.model, inputs((128, 128), 1, seed)), seed, LAST,
                      spread=WANTED_DELTAS)  # fmt: skip
        forest.model.load_state_dict(values(forest.model, seed, tuning))
        layout = {
            "hub": save_hub(options.out / "hub", forest.model, tuning),
            "weights.ckpt": save_checkpoint(options.out / "weights.ckpt", forest, tuning),
        }
        again = main_module.deepforest.load_from_checkpoint(options.out / "weights.ckpt", map_location="cpu")
        hub = RetinaNetHub.from_pretrained(
            options.out / "hub", nms_thresh=forest.config.nms_thresh, score_thresh=forest.config.score_thresh
        )
    eps = {}
    for where, model in (("checkpoint", again.model), ("hub", hub)):
        model.eval()
        eps[where] = model.backbone.body.bn1.eps
        for name, dtype in DTYPES.items():
            for size in SIZES if name == "float64" else SIZES[:1]:
                answer_size(record, f"{where}/{size[0]}x{size[1]}/{name}", model.to(dtype), size, seed)
        again.model = model
        answer_picture(record, f"{where}/picture", again, seed)
    facts = {
        "package": "deepforest",
        "versions": versions(deepforest, pytorch_lightning, torchvision),
        "seed": str(seed),
        "classes": str(CLASSES),
        "sizes": {"128x128": 2, "97x161": 2},
        "picture": PICTURE,
        "eps": eps,
        "thresholds": {"score": hub.score_thresh, "nms": hub.nms_thresh},
        "frozen": str(type(hub.backbone.body.bn1).__name__),
        "assumed": "deepforest's config.yaml: score_thresh 0.1, nms_thresh 0.05; the picture in 0 to 255, float32",
    }
    record.write(options.out, facts, {"files": layout})


if __name__ == "__main__":
    main()
