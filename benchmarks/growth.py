"""How cost grows: CPU time of one thread against pixels, batch, classes and boxes, each over two decades.

    .venv/bin/python benchmarks/growth.py --out docs/growth.png

draws a line for each and prints its slope on logarithmic axes, between the last two points: 1 where cost grows as what
it is drawn against. The network is ResNet-18 with 64 channels; boxes are those of a training step's targets.
"""

import argparse
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from against_torchvision import seconds
from matplotlib.figure import Figure

from torch_retinanet import RetinaNetConfig, RetinaNetDetector
from torch_retinanet.targets import LabelEncoder

ROUNDS = 5
"""Times that each is measured; the median counts."""

NETWORK = {"backbone": "resnet18", "width": 64, "head_depth": 2}


@dataclass(frozen=True)
class Growth:
    """Seconds against one quantity."""

    name: str
    values: Sequence[int]
    seconds: Sequence[float]

    @property
    def slope(self) -> float:
        """On logarithmic axes, between the last two points."""
        (x1, x2), (y1, y2) = self.values[-2:], self.seconds[-2:]
        return math.log(y2 / y1) / math.log(x2 / x1)


def detector(num_classes: int, side: int) -> RetinaNetDetector:
    """A small detector with random weights, for square pictures of a side."""
    torch.manual_seed(0)
    config = RetinaNetConfig.preset("torchvision", num_classes=num_classes, min_side=side, max_side=side, **NETWORK)
    return RetinaNetDetector(config).eval()


def detection(side: int = 128, batch: int = 1, num_classes: int = 8) -> Callable[[], object]:
    """The detections of a batch of random pictures."""
    model = detector(num_classes, side)
    images = list(torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0)))
    return torch.inference_mode()(lambda: model(images))


def assignment(boxes: int, side: int = 512) -> Callable[[], object]:
    """The targets of a picture with random boxes."""
    config = RetinaNetConfig.preset("torchvision", num_classes=8)
    encoder, generator = LabelEncoder(config), torch.Generator().manual_seed(0)
    corners = torch.rand(boxes, 2, generator=generator) * side * 0.8
    boxes_xyxy = torch.cat([corners, corners + 8 + torch.rand(boxes, 2, generator=generator) * side * 0.2], dim=1)
    model = detector(8, side)
    anchors, per_level = model.anchors.get_anchors(side, side), model.anchors.anchors_per_level(side, side)
    return lambda: encoder.encode_batch(anchors, [boxes_xyxy], [torch.zeros(boxes, dtype=torch.int64)], per_level)


def median_seconds(run: Callable[[], object]) -> float:
    """The median CPU time of a call, after a first one."""
    run()
    return statistics.median(seconds(run) for _ in range(ROUNDS))


def lines() -> list[Growth]:
    """Each quantity over two decades."""
    sides, batches, classes, boxes = (96, 192, 480, 960), (1, 4, 20, 100), (8, 32, 160, 800), (5, 20, 100, 500)
    return [
        Growth("pixels", [side**2 for side in sides], [median_seconds(detection(side=side)) for side in sides]),
        Growth("pictures in a batch", batches, [median_seconds(detection(batch=batch)) for batch in batches]),
        Growth("classes", classes, [median_seconds(detection(num_classes=count)) for count in classes]),
        Growth("boxes of a picture, in its targets", boxes, [median_seconds(assignment(count)) for count in boxes]),
    ]


def drawn(found: Sequence[Growth]) -> Figure:
    """A plot for each line on logarithmic axes, with the slope of 1 beside it."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    for place, line in zip(figure.subplots(2, 2).flat, found, strict=True):
        place.loglog(line.values, line.seconds, "o-", label=f"measured, slope {line.slope:.2f} at its end")
        last = line.seconds[-1]
        place.loglog(line.values, [last * value / line.values[-1] for value in line.values], "--", label="slope 1")
        place.set_xlabel(line.name)
        place.set_ylabel("seconds of CPU")
        place.legend(fontsize=8)
        place.grid(alpha=0.3)
    return figure


def main() -> None:
    """Measure, print the slopes, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/growth.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = lines()
    for line in found:
        values = ", ".join(f"{x:,}: {y:.4f} s" for x, y in zip(line.values, line.seconds, strict=True))
        print(f"{line.name}: {values}; slope {line.slope:.2f}")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    drawn(found).savefig(options.out, dpi=110)


if __name__ == "__main__":
    main()
