"""Trains a small detector on real handwritten digits, from random weights, and shows what it finds.

    .venv/bin/python examples/train_digits.py --steps 1900 --out out

writes the weights, the curve of the loss, COCO's numbers on the test split, and pictures of truth beside detections.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.data import DataLoader

from torch_retinanet import RetinaNetConfig, RetinaNetDetector, save_weights
from torch_retinanet.data.digits import Digits, collate
from torch_retinanet.draw import contact_sheet, draw_boxes
from torch_retinanet.evaluate import coco_metrics

SMALL = replace(
    RetinaNetConfig.torchvision(num_classes=10),
    backbone="resnet18",
    width=64,
    head_depth=2,
    head_init="he_prior",
    anchor_scale=2.0,
    anchor_rounding="none",
    anchor_centre="half_cell",
    anchor_stride="power_of_2",
    box_loss="giou",
    loss_normaliser="batch",
    min_side=128,
    max_side=512,
)
"""ResNet-18 and 64 channels, with anchors from 16 pixels."""

BATCH, RATE, WARM_UP, CLIP_NORM = 16, 2e-3, 0.15, 1.0
"""Pictures in a batch, the largest learning rate, the share of steps until it is reached, and the gradients' norm."""

TEST_PICTURES, SHOWN = 500, 6
"""Pictures of the test split that are evaluated, and that are drawn."""


def train(steps: int, *, seed: int = 0) -> tuple[RetinaNetDetector, list[float]]:
    """A detector trained for so many batches, and the loss of each: AdamW, one cycle, bfloat16."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        detector = RetinaNetDetector(SMALL).to(memory_format=torch.channels_last).train()
    data = Digits("train", length=steps * BATCH, seed=seed)
    optimizer = torch.optim.AdamW(detector.parameters(), lr=RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=WARM_UP)
    losses: list[float] = []
    for images, targets in with_progress(DataLoader(data, BATCH, collate_fn=collate), "training", losses):
        with torch.autocast("cpu", torch.bfloat16):
            loss = torch.stack(list(detector(images, targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(detector.parameters(), CLIP_NORM)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return detector.eval(), losses


@torch.no_grad()
def detect(detector: RetinaNetDetector, data: Digits) -> list[dict[str, Tensor]]:
    """Detections in all pictures of a split, in order."""
    found = []
    for images, _ in with_progress(DataLoader(data, BATCH, collate_fn=collate), "detecting"):
        with torch.autocast("cpu", torch.bfloat16):
            found += detector(images)
    return found


def with_progress(loader: Any, what: str, losses: list[float] | None = None) -> Iterator[Any]:
    """The batches of a loader, with a bar on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=len(loader), loss="")
        for batch in loader:
            yield batch
            progress.update(task, advance=1, loss=f"loss {losses[-1]:.2f}" if losses else "")


def draw_sheet(detector: RetinaNetDetector, data: Digits, path: Path) -> None:
    """Pictures of the test split with the truth, and below each with what was found."""
    pictures = [data[i] for i in range(SHOWN)]
    found = detector.predict([image for image, _ in pictures])
    sure = [{name: values[d["scores"] > 0.3] for name, values in d.items()} for d in found]
    truth = [draw_boxes(image, target, enlarge=2) for image, target in pictures]
    detected = [draw_boxes(image, objects, enlarge=2) for (image, _), objects in zip(pictures, sure, strict=True)]
    Image.fromarray(contact_sheet([truth, detected]).permute(1, 2, 0).numpy()).save(path)


def plot_losses(losses: list[float], path: Path) -> None:
    """The loss of each batch, and its mean over fifty."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log", title="Training on digits")
    axes.plot(losses, color="0.8", linewidth=0.7, label="each batch")
    window = min(50, len(losses))
    means = torch.tensor(losses).unfold(0, window, 1).mean(1)
    axes.plot(range(window - 1, len(losses)), means, color="C0", label=f"mean of {window}")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main(steps: int, out: Path) -> None:
    """Train, evaluate, draw, and say where what was written."""
    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    detector, losses = train(steps)
    test = Digits("test", length=TEST_PICTURES)
    numbers = coco_metrics(detect(detector, test), [test[i][1] for i in range(len(test))])
    seconds = time.perf_counter() - started
    save_weights(detector.model, out / "digits.safetensors")
    plot_losses(losses, out / "digits_loss.png")
    draw_sheet(detector, test, out / "digits.png")
    (out / "digits.json").write_text(json.dumps({"steps": steps, "losses": losses, "metrics": numbers}) + "\n")
    print(f"{steps} steps of {BATCH} digit pictures, and {TEST_PICTURES} test pictures, in {seconds:.0f} s")
    print(f"mAP {numbers['map']:.3f}, AP50 {numbers['map_50']:.3f}, AP75 {numbers['map_75']:.3f} on the test split")
    print(f"written to {out}: digits.png (truth above, detections below), digits_loss.png, digits.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train a small detector on handwritten digits.")
    parser.add_argument("--steps", type=int, default=1900, help="batches of 16 pictures (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder to write to (default: %(default)s)")
    options = parser.parse_args()
    main(options.steps, options.out)
