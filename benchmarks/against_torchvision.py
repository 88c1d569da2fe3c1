"""CPU time of one thread, ours to torchvision's, in turn in one run: `python benchmarks/against_torchvision.py`.

A training step of ResNet-50 with trainable BatchNorm at 512x512, batch 2; detection from picture to boxes at 640x640;
and the import of the packages. Ratios below 1 mean that ours takes less.
"""

import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import retinanet_resnet50_fpn as torchvisions

from torch_retinanet import retinanet_resnet50_fpn as ours

ROUNDS = 7
"""Times that each is measured; the median of the ratios counts."""

BOXES = torch.tensor([[10.0, 20, 120, 200], [60, 40, 260, 220], [300, 200, 460, 500], [5, 5, 40, 40]])


def made(build: Callable[..., nn.Module], sizes: dict[str, int]) -> nn.Module:
    """A detector with random weights, of which few scores pass."""
    torch.manual_seed(0)
    return build(weights=None, weights_backbone=None, num_classes=81, **sizes)


def train_step(model: nn.Module, side: int) -> Callable[[], None]:
    """A step of SGD on two pictures with four boxes each."""
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(3, side, side, generator=generator) for _ in range(2)]
    targets = [{"boxes": BOXES, "labels": torch.tensor([1, 2, 3, 4])} for _ in images]
    optimizer = torch.optim.SGD(model.train().parameters(), lr=1e-5, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        sum(model(images, targets).values(), torch.zeros(())).backward()
        optimizer.step()

    return step


def detection(model: nn.Module, side: int) -> Callable[[], Any]:
    """The detections of one picture."""
    picture: Tensor = torch.rand(3, side, side, generator=torch.Generator().manual_seed(0))
    model.eval()
    return torch.no_grad()(lambda: model([picture]))


def seconds(run: Callable[[], object]) -> float:
    """The CPU time of one call."""
    gc.collect()
    started = time.process_time()
    run()
    return time.process_time() - started


def import_seconds(package: str) -> float:
    """The CPU time of a Python that imports a package."""
    code = f"import time, {package}; print(time.process_time())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    return float(ended.stdout)


def ratio(name: str, own: Callable[[], float], other: Callable[[], float]) -> str:
    """A line with the median of the ratios, and their spread."""
    own(), other()
    ratios = sorted(own() / other() for _ in range(ROUNDS))
    return f"{name:<32} {statistics.median(ratios):.3f}  ({ratios[0]:.3f} to {ratios[-1]:.3f})"


def main() -> None:
    """Print a line for each."""
    torch.set_num_threads(1)
    for name, task, side in (("training step", train_step, 512), ("detection", detection, 640)):
        own = task(made(ours, {"min_side": side, "max_side": side}), side)
        other = task(made(torchvisions, {"min_size": side, "max_size": side}), side)
        print(ratio(f"{name} {side}x{side}", lambda: seconds(own), lambda: seconds(other)), flush=True)  # noqa: B023
    print(ratio("import", lambda: import_seconds("torch_retinanet"), lambda: import_seconds("torchvision")))


if __name__ == "__main__":
    main()
