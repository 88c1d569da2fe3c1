"""Our recipe against torchvision's own RetinaNet on the BCCD blood cells: the same number of pictures, one machine.

    .venv/bin/python benchmarks/bccd.py ../shared/data/bccd --out out/bccd

trains one after the other, 500 steps of 8 pictures from random weights at 240x320 in bfloat16, evaluates both on the 72
test pictures in the same way, and prints mAP, AP50 and the seconds that training took.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models import resnet50
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.dataset import PictureDataset, collate
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.data.transforms import training_transforms
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.evaluate import coco_metrics
from torch_retinanet.pictures import read_picture
from torch_retinanet.train import Run, TrainConfig
from torch_retinanet.train.draws import Draws

STEPS, BATCH, SIDES = 500, 8, (240, 320)


def recipe(data: Path, out: Path, steps: int) -> TrainConfig:
    """How we train: as the README's command does."""
    return TrainConfig(
        data=data,
        split="train",
        out=out,
        conventions=("p6_source=c5", "head_init=he_prior", "box_loss=giou", "loss_normaliser=batch"),
        min_side=SIDES[0],
        max_side=SIDES[1],
        steps=steps,
        batch=BATCH,
        rate=4e-4,
        ema=0.99,
        precision="bf16",
    )


def train_torchvision(data: Annotations, config: TrainConfig) -> RetinaNet:
    """torchvision's RetinaNet, ResNet-50 with trainable BatchNorm, P6 from C5: AdamW, one cycle, flips, bfloat16."""
    torch.manual_seed(config.seed)
    backbone = _resnet_fpn_extractor(
        resnet50(norm_layer=nn.BatchNorm2d), 5, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(2048, 256)
    )
    model = RetinaNet(backbone, num_classes=len(data.classes), min_size=SIDES[0], max_size=SIDES[1]).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=config.steps or STEPS)
    for images, targets, _ in track(loader(data, config), "torchvision", total=config.steps, transient=True):
        with torch.autocast("cpu", torch.bfloat16):
            loss = torch.stack(list(model([image / 255 for image in images], targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step()
        schedule.step()
    return model.eval()


def loader(data: Annotations, config: TrainConfig) -> "DataLoader[Any]":
    """The pictures that our own run draws, flipped at the same draws."""
    transform = training_transforms(config.model_config(len(data.classes)), flip=config.flip)
    dataset = PictureDataset(data, transform=transform, seed=config.seed)
    draws = Draws(pictures=len(dataset), batch=config.batch, seed=config.seed)
    batches = list(draws.batches(0, config.steps or STEPS))
    return DataLoader(dataset, batch_sampler=batches, collate_fn=collate, num_workers=1, prefetch_factor=4)


@torch.no_grad()
def detect(model: nn.Module, data: Annotations) -> list[dict[str, Tensor]]:
    """Detections in every picture, one by one, in bfloat16."""
    found = []
    for path in track(data.pictures, "detecting", transient=True):
        with torch.autocast("cpu", torch.bfloat16):
            detections = model([read_picture(path) / 255])[0]
        found.append({name: value if name == "labels" else value.float() for name, value in detections.items()})
    return found


def measure(name: str, train: Callable[[], nn.Module], test: Annotations) -> dict[str, float]:
    """Train, evaluate, print a line, and give the numbers."""
    started = time.perf_counter()
    model = train()
    seconds = time.perf_counter() - started
    numbers = coco_metrics(detect(model, test), truth_of(test)) | {"seconds": seconds}
    print(f"{name}: mAP {numbers['map']:.3f}, AP50 {numbers['map_50']:.3f}, trained in {seconds:.0f} s", flush=True)
    return numbers


def truth_of(data: Annotations) -> list[dict[str, Tensor]]:
    """The objects of every picture."""
    objects = [data.objects(i) for i in range(len(data.pictures))]
    return [{"boxes": torch.from_numpy(o.boxes).float(), "labels": torch.from_numpy(o.labels)} for o in objects]


def train_ours(config: TrainConfig) -> RetinaNetDetector:
    """A run as `retinanet train` makes it."""
    Run(config).go()
    return RetinaNetDetector.from_file(config.out)


def main(path: Path, out: Path, steps: int) -> None:
    """Both, one after the other."""
    config = recipe(path, out / "run", steps)
    data, test = (screen(read_annotations(path, split=split), decode=False) for split in ("train", "test"))
    results = {
        "torchvision": measure("torchvision", lambda: train_torchvision(data, config), test),
        "torch_retinanet": measure("torch_retinanet", lambda: train_ours(config), test),
    }
    (out / "bccd.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Our recipe against torchvision's RetinaNet on blood cells.")
    parser.add_argument("data", type=Path, help="the folder of BCCD")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of 8 pictures (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/bccd"), help="folder to write to (default: %(default)s)")
    options = parser.parse_args()
    main(options.data, options.out, options.steps)
