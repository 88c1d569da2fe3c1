"""Five plausible mistakes of a port of torchvision's RetinaNet: a strict load passes, and a comparison finds each.

    .venv/bin/python benchmarks/case_study.py --out docs/case-study.json

Prints the table of docs/case-study.md: the line in which a comparison says where the port differs first, the seconds it
took, and the mAP that the mistake costs. For the last a model is trained on digits, which takes a core
half an hour.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn
from torchvision.models import resnet50
from torchvision.models.detection import RetinaNet as TorchvisionRetinaNet
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from parity_tests import Function, TorchModule, compare_models
from parity_tests.ablation.digits_model import TRAINED_IN, fresh_detector
from parity_tests.rule.files import atomic_write
from parity_tests.rule.result import Result
from torch_retinanet import RetinaNet, RetinaNetConfig, RetinaNetDetector
from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.data.dataset import Batch
from torch_retinanet.data.digits import Digits
from torch_retinanet.evaluate import coco_metrics
from torch_retinanet.postprocess import DecodePredictions
from torch_retinanet.preprocess import prepare
from torch_retinanet.weights.weights_file import expected_shapes

SIDE, STEPS, MORE_STEPS, BATCH, TESTED, LARGER = 96, 800, 60, 16, 64, 128
"""Pixels of a picture's side as it is fed; steps of training, more of them for a mistake of training; pictures in each;
test pictures; and the side of pictures, which are made smaller to be fed."""

DIGITS = replace(
    RetinaNetConfig.torchvision(
        num_classes=10, width=64, head_depth=2, anchor_scale=2.0, min_side=SIDE, max_side=2 * SIDE
    ),
    **TRAINED_IN,
)
"""The trained model, in torchvision's conventions."""

FEED = RetinaNetConfig.torchvision(min_side=80, max_side=133)
CLASSES, SIZE = 4, (96, 128)
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
"""Of ImageNet, from 0 to 1, as torchvision has them."""


@dataclass(frozen=True, kw_only=True)
class PlantedMistake:
    """A mistake that leaves all names and shapes of weights as they are.

    Attributes:
        name: of it.
        title: what the port does, and what the original.
        compare: the smallest comparison that finds it, with the conventions that the port follows.
        wrong: conventions that it has the wrong way; none where it is one of training alone.
        clip_scope: whose norms a training run of the port limits.
    """

    name: str
    title: str
    compare: Callable[["PlantedMistake"], Result]
    wrong: Mapping[str, Any] = field(default_factory=dict)
    clip_scope: Literal["global", "parameter"] = "global"


def compare_trunks(mistake: PlantedMistake) -> Result:
    """torchvision's ResNet-50 and the port's, which loads its weights."""
    original = Trunk()
    port = RetinaNet(RetinaNetConfig.torchvision(width=8, head_depth=1, **mistake.wrong)).fpn.backbone
    port.load_state_dict(original.state_dict(), strict=True)
    images = np.random.default_rng(0).normal(size=(2, 3, 64, 96))
    return compare_models(TorchModule(original), TorchModule(port), images, rungs=["forward"], dtypes=["float64"])


class Trunk(nn.Module):
    """torchvision's ResNet-50 from a picture to C3, C4 and C5, in inference mode."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            resnet = resnet50()
        self.conv1, self.bn1, self.relu, self.maxpool = resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4
        self.eval()

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps of a batch (B,3,H,W)."""
        maps = [self.maxpool(self.relu(self.bn1(self.conv1(images))))]
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps.append(stage(maps[-1]))
        return maps[2:]


def compare_feeds(mistake: PlantedMistake) -> Result:
    """What torchvision's network is fed of a picture, and the port's."""
    theirs = GeneralizedRCNNTransform(FEED.min_side, FEED.max_side, MEAN, DEVIATION)
    config = FEED.changed(**mistake.wrong)

    def original(picture: Any) -> dict[str, Any]:
        return {"fed": theirs([torch.from_numpy(picture)])[0].tensors.numpy()}

    def port(picture: Any) -> dict[str, Any]:
        return {"fed": prepare([torch.from_numpy(picture)], config).images.numpy()}

    picture = np.random.default_rng(0).integers(0, 256, (3, 120, 160)) / 255
    return compare_models(Function(original), Function(port), picture, dtypes=["float64"])


def compare_steps(mistake: PlantedMistake) -> Result:
    """A head after two steps, clipped as the original clips and as the port does."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 36, 3, padding=1))
    maps = np.random.default_rng(0).normal(size=(2, 8, 6, 10))
    optimizers = (ClippedSGD, lambda parameters: ClippedSGD(parameters, mistake.clip_scope))
    sides = TorchModule(head), TorchModule(head)
    return compare_models(*sides, maps, rungs=["step"], dtypes=["float64"], optimizers=optimizers)


LIMIT = 20.0
"""A norm between those of the two steps that are compared: it shortens the first."""


class ClippedSGD(torch.optim.SGD):
    """SGD that limits the norm of all gradients together, or of each parameter's alone."""

    def __init__(self, parameters: Any, scope: str = "global") -> None:
        super().__init__(parameters, lr=0.01)
        self.scope = scope

    def step(self, closure: Any = None) -> Any:
        """Clip, and step."""
        every = [parameter for group in self.param_groups for parameter in group["params"]]
        for together in [every] if self.scope == "global" else [[parameter] for parameter in every]:
            nn.utils.clip_grad_norm_(together, LIMIT)
        return super().step(closure)


def compare_detections(mistake: PlantedMistake) -> Result:
    """What torchvision makes of logits and deltas, and the port."""
    config = RetinaNetConfig.torchvision(num_classes=CLASSES, **mistake.wrong)
    boxes = AnchorGenerator(config)
    counts = boxes.anchors_per_level(*SIZE)
    anchors = boxes.get_anchors(*SIZE, dtype=torch.float64)
    right = RetinaNetConfig.torchvision()
    theirs = SimpleNamespace(
        score_thresh=right.score_threshold,
        topk_candidates=right.topk_per_level,
        nms_thresh=right.nms_iou,
        detections_per_img=right.detections_per_picture,
        box_coder=BoxCoder((1.0, 1.0, 1.0, 1.0)),
    )

    def original(logits: Any, deltas: Any) -> dict[str, Any]:
        parts = {"cls_logits": torch.from_numpy(logits), "bbox_regression": torch.from_numpy(deltas)}
        outputs = {name: list(torch.split(values, counts, dim=1)) for name, values in parts.items()}
        found = TorchvisionRetinaNet.postprocess_detections(
            theirs, outputs, [list(torch.split(anchors, counts))], [SIZE]
        )
        return {name: values.numpy() for name, values in found[0].items()}

    def port(logits: Any, deltas: Any) -> dict[str, Any]:
        given = torch.from_numpy(logits), torch.from_numpy(deltas)
        found = DecodePredictions(config)(*given, anchors, counts, [SIZE])[0]
        return {name: values.numpy() for name, values in found.items()}

    rng = np.random.default_rng(0)
    logits = rng.normal(-3, 1, (1, len(anchors), CLASSES))
    deltas = rng.normal(0, 0.3, (1, len(anchors), 4))
    return compare_models(Function(original), Function(port), [logits, deltas], dtypes=["float64"])


MISTAKES = (
    PlantedMistake(
        name="stride_in_1x1",
        title="The stride of a residual block is in its first 1x1 convolution, and not in the 3x3.",
        compare=compare_trunks,
        wrong={"stride_in": "1x1"},
    ),
    PlantedMistake(
        name="pixel_deviation",
        title="Pixels are divided by 1, and not by ImageNet's deviations.",
        compare=compare_feeds,
        wrong={"pixel_std": (1.0, 1.0, 1.0)},
    ),
    PlantedMistake(
        name="clipping",
        title="Gradients are clipped parameter by parameter, and not by the norm of all.",
        compare=compare_steps,
        clip_scope="parameter",
    ),
    PlantedMistake(
        name="top_k",
        title="The 300 best scores are taken of each level before NMS, and not of the picture after it.",
        compare=compare_detections,
        wrong={"topk_per_level": 300, "detections_per_picture": 0},
    ),
    PlantedMistake(
        name="resize_library",
        title="Pillow resizes pictures, in bytes and smoothed, and not torch.",
        compare=compare_feeds,
        wrong={"resize_library": "pil", "resized_to": "bytes"},
    ),
)
"""In the order of a detector: network, pictures, training, detections."""


def loads_strictly(mistake: PlantedMistake) -> bool:
    """Whether the weights of the original fit the port, each name and each shape."""
    original, port = (expected_shapes(DIGITS.changed(**wrong)) for wrong in ({}, mistake.wrong))
    with torch.device("meta"):
        tensors = {name: torch.empty(shape) for name, shape in original.items()}
        RetinaNet(DIGITS.changed(**mistake.wrong)).load_state_dict(tensors, strict=True, assign=True)
    return original == port


def train(
    clip_scope: Literal["global", "parameter"], steps: int, start: RetinaNetDetector | None = None
) -> RetinaNetDetector:
    """The small model, trained on digits from fresh weights or on from others."""
    from accelerate import Accelerator

    from torch_retinanet.train import TrainConfig
    from torch_retinanet.train.train_step import TrainStep

    settings = TrainConfig(data=Path("digits"), steps=steps, batch=BATCH, rate=1e-3, clip_scope=clip_scope)
    detector = fresh_detector(DIGITS, 0).to(memory_format=torch.channels_last)
    if start is not None:
        detector.model.load_state_dict(start.model.state_dict())
    training = TrainStep(settings, detector, steps * BATCH, Accelerator(cpu=True))
    data = Digits("train", length=steps * BATCH, size=(LARGER, LARGER), seed=0)
    for step in track(range(steps), f"training, clipped by the {clip_scope} norm"):
        samples = [data[i] for i in range(step * BATCH, (step + 1) * BATCH)]
        training.step([Batch([image for image, _ in samples], [target for _, target in samples], [])])
    return detector.eval()


def precision(detector: RetinaNetDetector, wrong: Mapping[str, Any]) -> float:
    """The mAP on test digits of trained weights in conventions of which some are wrong."""
    port = RetinaNetDetector(detector.config.changed(**wrong))
    port.model.load_state_dict(detector.model.state_dict(), strict=True)
    data = Digits("test", length=TESTED, size=(LARGER, LARGER), seed=0)
    samples = [data[i] for i in range(TESTED)]
    with torch.no_grad():
        found = [port.eval()([image])[0] for image, _ in samples]
    return coco_metrics(found, [target for _, target in samples])["map"]


def measure() -> dict[str, Any]:
    """What each mistake prints, takes and costs: at inference, or where training goes on with it."""
    trained = train("global", STEPS)
    rows = [_row(mistake, trained) for mistake in MISTAKES]
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return {"machine": machine, "steps": STEPS, "more_steps": MORE_STEPS, "pictures": TESTED, "mistakes": rows}


def _row(mistake: PlantedMistake, trained: RetinaNetDetector) -> dict[str, Any]:
    result = mistake.compare(mistake)
    right = wrong = trained
    if mistake.clip_scope != "global":
        right, wrong = (train(scope, MORE_STEPS, trained) for scope in ("global", mistake.clip_scope))
    expected, found = precision(right, {}), precision(wrong, mistake.wrong)
    return {
        "name": mistake.name,
        "line": result.summary,
        "seconds": round(result.cost["seconds"], 1),
        "map": {"original": round(expected, 3), "port": round(found, 3), "lost": round(expected - found, 3) + 0.0},
    }


def as_table(found: Mapping[str, Any]) -> str:
    """The rows of the page."""
    lines = ["| mistake | a strict load | found in | mAP of the original | of the port | lost |"]
    lines.append("|---|---|---:|---:|---:|---:|")
    for row in found["mistakes"]:
        values = " | ".join(f"{row['map'][name]:.3f}" for name in ("original", "port", "lost"))
        lines.append(f"| `{row['name']}` | passes | {row['seconds']:.1f} s | {values} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the numbers as JSON")
    options = parser.parse_args()
    assert all(map(loads_strictly, MISTAKES)), "a strict load names the mistake"
    found = measure()
    print(as_table(found))
    for row in found["mistakes"]:
        print(f"{row['name']}: {row['line']}")
    if options.out:
        with atomic_write(options.out) as beside:
            beside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
