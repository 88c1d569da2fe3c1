"""Detectors that are quick to export: a backbone of five convolutions, and scores that differ."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from torch_retinanet import RetinaNetConfig, RetinaNetDetector, register_backbone
from torch_retinanet.preprocess import prepare

SMALLEST = "five_convolutions"
"""The name of the backbone."""


class FiveConvolutions(nn.Module):
    """Images to C3, C4 and C5, each a convolution with stride 2 of the one before."""

    widths = (8, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList(nn.Conv2d(n, 8, 3, stride=2, padding=1) for n in (3, 8, 8, 8, 8))

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [images]
        for step in self.steps:
            maps.append(step(maps[-1]).relu())
        return maps[3:]


def loud_detector(preset: str = "torchvision", **changes: Any) -> RetinaNetDetector:
    """A detector of 3 classes in the conventions of a preset that finds some tens of objects on any picture."""
    register_backbone(SMALLEST, lambda config: FiveConvolutions())
    size = {"backbone": SMALLEST, "width": 32, "head_depth": 1, "min_side": 64, "max_side": 96}
    config = replace(RetinaNetConfig.preset(preset, num_classes=3), **{**size, "score_threshold": 0.2, **changes})
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        detector = RetinaNetDetector(config, class_names=("ant", "bee", "cat")).eval()
        images = prepare([torch.rand(3, 64, 90)], config).images
        for head in (detector.model.cls_head, detector.model.box_head):
            nn.init.normal_(head[-1].weight)
        deltas, logits = detector.model(images, apart=True)
        detector.model.cls_head[-1].weight *= 1.5 / logits.std()
        detector.model.cls_head[-1].bias.normal_(-3, 0.1)
        detector.model.box_head[-1].weight *= 0.3 / deltas.std()
    return detector
