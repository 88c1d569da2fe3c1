"""CPU time of inference, ours by engine to torchvision's eager float32: `python benchmarks/inference.py --threads 1`.

ResNet-50 with 80 classes on one picture of 640x640, both with the same random weights: the network alone, and from the
picture to its boxes where many scores pass and where few do. All take turns in each round; the median of the ratios
counts. Ratios below 1 mean that ours takes less.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from against_torchvision import seconds
from torch import Tensor, nn
from torchvision.models.detection import retinanet_resnet50_fpn as torchvisions

from torch_retinanet import RetinaNetConfig, RetinaNetDetector
from torch_retinanet.engines.registry import usable
from torch_retinanet.inference.way import DTYPES, Precision

SIDE, CLASSES = 640, 80

PASSING = {"many scores pass": 0.2, "few scores pass": 0.002}
"""The share of cells of the map where a class is above the threshold."""

Work = Callable[[], Any]


@dataclass(frozen=True)
class Ratios:
    """How long one takes, as shares of what the yardstick takes in the same round."""

    name: str
    values: list[float]

    @property
    def median(self) -> float:
        """That of the rounds."""
        return statistics.median(self.values)

    def line(self) -> str:
        """The median, and the least and the largest."""
        return f"{self.name:<44} {self.median:.3f}  ({min(self.values):.3f} to {max(self.values):.3f})"


def measure(yardstick: Work, works: Mapping[str, Work], rounds: int) -> list[Ratios]:
    """All in turn, `rounds` times after one that warms up."""
    for work in (yardstick, *works.values()):
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        unit = seconds(yardstick)
        for name, work in works.items():
            found[name].append(seconds(work) / unit)
    return [Ratios(name, values) for name, values in found.items()]


@torch.no_grad()
def detectors() -> tuple[nn.Module, RetinaNetDetector]:
    """torchvision's and ours with the same random weights, whose logits spread by 1."""
    torch.manual_seed(0)
    other = torchvisions(weights=None, weights_backbone=None, num_classes=CLASSES, min_size=SIDE, max_size=SIDE).eval()
    for head in (other.head.classification_head, other.head.regression_head):
        for conv in (module for module in head.modules() if isinstance(module, nn.Conv2d)):
            nn.init.kaiming_normal_(conv.weight)
    last = other.head.classification_head.cls_logits
    logits = other.head(list(other.backbone(images()).values()))["cls_logits"]
    last.weight.div_(logits.std())
    last.bias.fill_(-4.0)
    other.head.regression_head.bbox_reg.weight.mul_(0.05)
    config = RetinaNetConfig.torchvision(num_classes=CLASSES, min_side=SIDE, max_side=SIDE)
    own = RetinaNetDetector(config).eval()
    names, values = own.model.state_dict().keys(), _shaped_alike(own.model, other)
    own.model.load_state_dict(dict(zip(names, values, strict=True)))
    return other, own


def _shaped_alike(model: nn.Module, other: nn.Module) -> list[Tensor]:
    """The other's tensors in the order of ours: both register backbone, pyramid and heads in one order of shapes."""
    rest = list(other.state_dict().items())
    found = []
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            found.append(tensor)
            continue
        place = next(i for i, (_, value) in enumerate(rest) if value.shape == tensor.shape)
        found.append(rest.pop(place)[1])
    return found


def images() -> Tensor:
    """What the networks are fed."""
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 4 - 2


@torch.no_grad()
def thresholds(own: RetinaNetDetector, picture: Tensor) -> dict[str, float]:
    """By name the score above which a class is found in that share of the cells."""
    _, logits = own.model((picture[None] - 0.45) / 0.22, apart=True)
    best = logits.sigmoid().amax(dim=-1).view(-1, own.config.anchors_per_cell).amax(dim=1)
    return {name: best.quantile(1 - share).item() for name, share in PASSING.items()}


def networks(own: RetinaNetDetector) -> dict[str, Work]:
    """Our network by runtime and precision."""
    found: dict[str, Work] = {}
    for precision in ("fp32", "bf16"):
        for runtime in usable(own, precision):
            engine: Any = runtime.build(own, precision)
            fed = images().to(DTYPES[precision], memory_format=torch.channels_last)
            network = getattr(engine, "network", None) or (lambda x, model=engine.model: model(x, apart=True))
            found[f"network alone, {precision}, {runtime.name}"] = lambda run=network, x=fed: run(x)
    return found


def detections(own: RetinaNetDetector, picture: Tensor, precision: Precision) -> dict[str, Work]:
    """Ours from the picture to boxes, by runtime."""
    engines = {runtime.name: runtime.build(own, precision) for runtime in usable(own, precision)}
    return {f"to boxes, {precision}, {name}": partial(one.predict, [picture]) for name, one in engines.items()}


def main(rounds: int, threads: int, as_json: bool) -> None:
    """Print a line for each."""
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    other, own = detectors()
    x, picture = images(), images()[0] / 4 + 0.5
    found = measure(lambda: other.head(list(other.backbone(x).values())), networks(own), rounds)
    for name, threshold in thresholds(own, picture).items():
        other.score_thresh, own.score_threshold = threshold, threshold
        works = detections(own, picture, "fp32") | detections(own, picture, "bf16")
        ratios = measure(lambda: other([picture]), works, rounds)
        found += [Ratios(f"{one.name}, {name}", one.values) for one in ratios]
    if as_json:
        print(json.dumps({one.name: one.values for one in found}, indent=1))
    else:
        print("\n".join(one.line() for one in found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="CPU time of inference to torchvision's.")
    parser.add_argument("--rounds", type=int, default=5, help="times that each is measured (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print all ratios as JSON")
    options = parser.parse_args()
    main(options.rounds, options.threads, options.json)
