"""Our recipe against torchvision's own RetinaNet on the BCCD blood cells: the same number of pictures, one machine.

    .venv/bin/python benchmarks/bccd.py BCCD --out out/bccd

trains one after the other, 1000 steps of 4 pictures from random weights at 240x320 in bfloat16, evaluates both on the
72 test pictures in the same way, and prints mAP, AP50 and the seconds that their steps took. Every 200 steps both are
evaluated on the 87 validation pictures too, outside those seconds; `bccd.png` shows how they rise. Ours has the
conventions of `keras_reference`, in which `bccd_in_keras.py` takes the same first steps.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.models import resnet50
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.dataset import collate
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.progress import track
from torch_retinanet.data.screening import screen
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.evaluate import coco_metrics
from torch_retinanet.pictures import read_picture
from torch_retinanet.train import TrainConfig, Trainer
from torch_retinanet.train.data import build_dataset
from torch_retinanet.train.metrics_log import EVALUATIONS, STEPS, read_record
from torch_retinanet.train.sampler import EpochSampler

SIDES, LOOKS = (240, 320), 5


@dataclass
class Trained:
    """A model, how its mAP on the validation pictures rose, and the seconds that its steps took."""

    model: nn.Module
    curve: list[tuple[int, float]]
    seconds: float


def recipe(data: Path, out: Path, steps: int) -> TrainConfig:
    """How we train: as the README's command does."""
    return TrainConfig(
        data=data,
        split="train",
        out=out,
        preset="keras_io",
        conventions=("head_init=he_prior", "anchor_scale=2", "pad_multiple=32"),
        min_side=SIDES[0],
        max_side=SIDES[1],
        vertical_flip=0.5,
        colour=0.1,
        steps=steps,
        batch=4,
        rate=4e-4,
        ema=0.995,
        precision="bf16",
        evaluate_every=max(1, steps // LOOKS),
    )


def train_ours(config: TrainConfig) -> Trained:
    """A run as `retinanet train` makes it."""
    Trainer(config).fit()
    evaluations, steps = (read_record(Path(config.out) / name) for name in (EVALUATIONS, STEPS))
    curve = [(int(step), value) for step, value in zip(evaluations["step"], evaluations["map"], strict=True)]
    seconds = sum(config.log_every * config.batch / speed for speed in steps["pictures_a_second"])
    return Trained(RetinaNetDetector.from_pretrained(config.out), curve, seconds)


def train_torchvision(config: TrainConfig, steps: int, data: Annotations, val: Annotations) -> Trained:
    """torchvision's RetinaNet, ResNet-50 with trainable BatchNorm, P6 from C5: AdamW, one cycle, bfloat16."""
    model = torchvision_model(len(data.classes), config.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=steps)
    trained, started = Trained(model, [], 0.0), time.perf_counter()
    for step, batch in enumerate(track(loader(data, config, steps), total=steps, words="torchvision"), start=1):
        with torch.autocast("cpu", torch.bfloat16):
            loss = sum(model([image / 255 for image in batch.images], batch.targets).values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        schedule.step()
        if step % config.evaluate_every == 0:
            trained.seconds += time.perf_counter() - started
            trained.curve.append((step, evaluate(model, val)["map"]))
            started = time.perf_counter()
    return trained


def torchvision_model(num_classes: int, seed: int) -> RetinaNet:
    """With random weights, in training mode."""
    torch.manual_seed(seed)
    backbone = _resnet_fpn_extractor(
        resnet50(norm_layer=nn.BatchNorm2d), 5, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(2048, 256)
    )
    return RetinaNet(backbone, num_classes=num_classes, min_size=SIDES[0], max_size=SIDES[1]).train()


def loader(data: Annotations, config: TrainConfig, steps: int) -> "DataLoader[Any]":
    """The pictures that our own run draws, flipped and coloured at the same draws."""
    dataset = build_dataset(data, config, config.model_config(len(data.classes)))
    draws = EpochSampler(pictures=len(data.pictures), batch=config.batch, seed=config.seed)
    batches = list(draws.batches(0, steps))
    return DataLoader(dataset, batch_sampler=batches, collate_fn=collate, num_workers=1, prefetch_factor=4)


@torch.no_grad()
def evaluate(model: nn.Module, data: Annotations) -> dict[str, float]:
    """COCO's numbers on all pictures, which go through the network one by one in float32."""
    model.eval()
    found = [model([read_picture(path) / 255])[0] for path in data.pictures]
    model.train()
    objects = [data.objects(i) for i in range(len(data.pictures))]
    truth = [{"boxes": torch.from_numpy(o.boxes).float(), "labels": torch.from_numpy(o.labels)} for o in objects]
    return coco_metrics(found, truth)


def report(name: str, trained: Trained, test: Annotations) -> dict[str, Any]:
    """Evaluate on the test pictures, print a line, and give the numbers."""
    numbers = evaluate(trained.model, test)
    words = f"mAP {numbers['map']:.3f}, AP50 {numbers['map_50']:.3f}, trained in {trained.seconds:.0f} s"
    print(f"{name}: {words}", flush=True)
    return numbers | {"seconds": trained.seconds, "curve": trained.curve}


def draw(curves: dict[str, Sequence[tuple[int, float]]], path: Path) -> None:
    """mAP on the validation pictures over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="steps of 4 pictures", ylabel="mAP on the validation pictures", ylim=(0, 0.6))
    for name, curve in curves.items():
        axes.plot(*zip((0, 0.0), *curve, strict=True), marker=".", label=name)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def main(path: Path, out: Path, steps: int) -> None:
    """Both, one after the other."""
    config = recipe(path, out / "run", steps)
    if Path(config.out).exists():
        raise SystemExit(f"--out: {config.out} is there already, and must not be")
    out.mkdir(parents=True, exist_ok=True)
    train, val, test = (screen(read_annotations(path, split=split), decode=False) for split in ("train", "val", "test"))
    models = {
        "torchvision": lambda: train_torchvision(config, steps, train, val),
        "torch_retinanet": lambda: train_ours(config),
    }
    results: dict[str, dict[str, Any]] = {}
    for name, model in models.items():
        results[name] = report(name, model(), test)
        (out / "bccd.json").write_text(json.dumps(results, indent=1) + "\n")
    draw({name: numbers["curve"] for name, numbers in results.items()}, out / "bccd.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Our recipe against torchvision's RetinaNet on blood cells.")
    parser.add_argument("data", type=Path, help="the folder of BCCD")
    parser.add_argument("--steps", type=int, default=1000, help="steps of 4 pictures (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/bccd"), help="folder to write to (default: %(default)s)")
    options = parser.parse_args()
    main(options.data, options.out, options.steps)
