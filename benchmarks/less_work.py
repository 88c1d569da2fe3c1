"""What the parts around the network cost, against torchvision's or the network's: `python benchmarks/less_work.py`.

Each line is a ratio or a time of one thread, the median of some runs in turn, and the bar that it is held to. About two
minutes; `--steps` adds training steps, which take two more.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from against_torchvision import made, seconds
from PIL import Image
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.ops import box_iou, sigmoid_focal_loss

from torch_retinanet import RetinaNetConfig, retinanet_resnet50_fpn
from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.losses import RetinaNetClassificationLoss
from torch_retinanet.memory import keep_freed_memory
from torch_retinanet.pictures import read_picture
from torch_retinanet.postprocess import class_wise_nms
from torch_retinanet.preprocess import prepare
from torch_retinanet.targets import LabelEncoder

ROUNDS = 5
"""Times that each is measured."""

HEIGHT, WIDTH = 800, 1088
CONFIG = RetinaNetConfig.torchvision(num_classes=80)

PEAK = """
import torch
torch.set_num_threads(1)
import less_work
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) / 1024
run = less_work.{task}
before = peak()
run()
print(peak() - before)
"""
"""What a fresh process prints: how far a task raises the most memory that it ever held, in MiB (Linux alone)."""


def picture(count: int, seed: int, height: int = HEIGHT, width: int = WIDTH) -> tuple[Tensor, Tensor]:
    """Boxes (G,4) of 8 to 300 pixels, few of them large, and labels (G,)."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor([width, height])
    corners = torch.rand(count, 2, generator=generator) * (size - 8)
    sides = 8 + torch.rand(count, 2, generator=generator) ** 2 * 292
    boxes = torch.cat([corners, torch.minimum(corners + sides, size)], dim=1)
    return boxes, torch.randint(1, 80, (count,), generator=generator)


def our_targets(count: int, anchors: Tensor | None = None, pictures: int = 2) -> Callable[[], object]:
    """Our targets of some pictures."""
    boxes, labels = zip(*(picture(count, seed) for seed in range(pictures)), strict=True)
    found = AnchorGenerator(CONFIG).get_anchors(HEIGHT, WIDTH) if anchors is None else anchors
    return lambda: LabelEncoder(CONFIG).encode_batch(found, boxes, labels)


def their_targets(count: int) -> Callable[[], object]:
    """torchvision's: which box an anchor has, and the deltas of those that have one."""
    pictures, anchors = [picture(count, seed) for seed in range(2)], AnchorGenerator(CONFIG).get_anchors(HEIGHT, WIDTH)
    matcher, coder = Matcher(0.5, 0.4, allow_low_quality_matches=True), BoxCoder((1.0, 1.0, 1.0, 1.0))

    def run() -> None:
        for boxes, _ in pictures:
            matched = matcher(box_iou(boxes, anchors))
            positive = matched >= 0
            coder.encode_single(boxes[matched[positive]], anchors[positive])

    return run


def many_targets() -> Callable[[], object]:
    """Ours of 2,000 boxes and 200,000 anchors."""
    anchors = AnchorGenerator(CONFIG).get_anchors(1024, 1056)[:200_000]
    return our_targets(2000, anchors, pictures=1)


def focal(own: bool) -> Callable[[], None]:
    """The focal loss of two pictures of 512x512 with 80 classes, and its gradient."""
    logits = torch.randn(2 * 49104, 80, generator=torch.Generator().manual_seed(0)) * 1.5 - 4
    classes = torch.full((len(logits),), -1)
    classes[::1000] = 3
    hot = torch.zeros_like(logits)
    hot[::1000, 3] = 1
    ours = RetinaNetClassificationLoss(0.25, 2.0)

    def run() -> None:
        given = logits.clone().requires_grad_()
        (ours(given, classes) if own else sigmoid_focal_loss(given, hot)).sum().backward()

    return run


def step(count: int) -> Callable[[], None]:
    """A training step at 512x512, batch 4, with so many boxes a picture, as `retinanet train` computes it."""
    keep_freed_memory()
    model = made(retinanet_resnet50_fpn, {"min_side": 512, "max_side": 512}).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5, momentum=0.9)
    images = [torch.rand(3, 512, 512, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    truths = [dict(zip(("boxes", "labels"), picture(count, seed, 512, 512), strict=True)) for seed in range(4)]

    def run() -> None:
        optimizer.zero_grad()
        sum(model(images, truths).values(), torch.zeros(())).backward()
        optimizer.step()

    return run


def nms(classes: int, count: int) -> Callable[[], object]:
    """Class-wise NMS of boxes of random classes."""
    boxes, _ = picture(count, 0)
    generator = torch.Generator().manual_seed(1)
    scores, labels = torch.rand(count, generator=generator), torch.randint(classes, (count,), generator=generator)
    return lambda: class_wise_nms(boxes, scores, labels, 0.5)


@torch.no_grad()
def around_the_network() -> tuple[Callable[[], object], Callable[[], object]]:
    """All but the network for a photo of 960x960, from its file to boxes at 640x640, and the network alone."""
    detector = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=81, min_side=640, max_side=640)
    detector.eval()
    pixels = torch.randint(256, (24, 24, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    path = Path(tempfile.mkdtemp()) / "photo.jpg"
    Image.fromarray(pixels.numpy()).resize((960, 960)).save(path)
    images = prepare([read_picture(path)], detector.config).images
    deltas, logits = detector.model(images, apart=True)
    anchors = detector.anchors.get_anchors(640, 640)
    per_level = detector.anchors.anchors_per_level(640, 640)

    def around() -> None:
        batch = prepare([read_picture(path)], detector.config)
        detector.decode_predictions(logits, deltas, anchors, per_level, batch.sizes)

    return torch.no_grad()(around), torch.no_grad()(lambda: detector.model(images, apart=True))


def median(run: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The CPU time of a call in seconds, after one that warms up."""
    run()
    return statistics.median(seconds(run) for _ in range(rounds))


def ratio(own: Callable[[], object], other: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median of ratios of two CPU times, measured in turn."""
    own(), other()
    return statistics.median(seconds(own) / seconds(other) for _ in range(rounds))


def peak(task: str) -> float:
    """How much the memory of a fresh process grows by a task, in MiB."""
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PEAK.format(task=task)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(run.stdout)


def line(name: str, value: str, bar: str) -> None:
    """Print a row."""
    print(f"{name:<58} {value:>10}   {bar}", flush=True)


def main(steps: bool) -> None:
    """Print a line for each."""
    torch.set_num_threads(1)
    for count in (8, 100, 500):
        value = ratio(our_targets(count), their_targets(count), 9 if count == 8 else 3)
        line(f"targets, {count} boxes, two of 800x1088, to torchvision", f"{value:.2f}", "at most 0.50")
    ours, theirs = peak("our_targets(500)"), peak("their_targets(500)")
    line("memory of targets, 500 boxes, to torchvision", f"{ours / theirs:.2f}", "at most 1.00")
    line("memory of targets, 200,000 anchors, 2,000 boxes", f"{peak('many_targets()'):.0f} MiB", "below 1024 MiB")
    line("NMS, 601 classes, 1,000 boxes", f"{median(nms(601, 1000)) * 1e3:.1f} ms", "at most 2.0 ms")
    line("focal loss and gradient, to torchvision", f"{ratio(focal(True), focal(False)):.2f}", "")
    around, network = around_the_network()
    line("all but the network, 640x640, to the network", f"{ratio(around, network):.3f}", "at most 0.050")
    if steps:
        line("training step, 500 boxes a picture, to 8", f"{ratio(step(500), step(8)):.3f}", "at most 1.050")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What the parts around the network cost.")
    parser.add_argument("--steps", action="store_true", help="measure training steps too")
    main(parser.parse_args().steps)
