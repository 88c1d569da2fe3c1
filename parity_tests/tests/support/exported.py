"""Detectors that are quick to export: a backbone of five convolutions, and scores that differ."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from torch_retinanet import RetinaNetConfig, RetinaNetDetector, register_backbone
from torch_retinanet.engines.runtimes import Arrays, Run
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


def class_bias(detector: RetinaNetDetector) -> NDArray[np.float32]:
    """The biases of the last convolution of the class head."""
    values: NDArray[np.float32] = detector.model.state_dict()["cls_head.1.bias"].numpy()
    return values


def loud_detector(preset: str = "torchvision", **changes: Any) -> RetinaNetDetector:
    """A detector of 3 classes in the conventions of a preset that finds some tens of objects on any picture."""
    register_backbone(SMALLEST, lambda config: FiveConvolutions())
    size = {"backbone": SMALLEST, "width": 32, "head_depth": 1, "min_side": 64, "max_side": 96}
    config = replace(RetinaNetConfig.preset(preset, num_classes=3), **{**size, "score_threshold": 0.2, **changes})
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        detector = RetinaNetDetector(config, class_names=("ant", "bee", "cat")).eval()
        images = prepare([torch.rand(3, 64, 90)], config).images
        scores, deltas = (cast("nn.Conv2d", head[-1]) for head in (detector.model.cls_head, detector.model.box_head))
        for last in (scores, deltas):
            nn.init.normal_(last.weight)
        found = dict(zip(("deltas", "logits"), detector.model(images, apart=True), strict=True))
        scores.weight *= 1.5 / found["logits"].std()
        nn.init.normal_(cast("Tensor", scores.bias), -3, 0.1)
        deltas.weight *= 0.3 / found["deltas"].std()
    return detector


def program(detector: RetinaNetDetector) -> Run:
    """A detector as an exported file would run it."""

    @torch.no_grad()
    def run(images: NDArray[np.float32]) -> Arrays:
        found = detector([*torch.from_numpy(images)])
        given = {name: pad_sequence([one[name] for one in found], batch_first=True).numpy() for name in found[0]}
        return given | {"count": np.array([len(one["scores"]) for one in found])}

    return run
