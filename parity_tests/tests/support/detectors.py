"""Small detectors, and noise for them to look at."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from torch_retinanet import RetinaNetConfig, RetinaNetDetector

SMALL = replace(
    RetinaNetConfig.torchvision(num_classes=5),
    backbone="resnet18",
    width=32,
    head_depth=1,
    min_side=96,
    max_side=160,
    score_threshold=0.2,
)
BOXES, LABELS = torch.tensor([[4.0, 6, 40, 50], [30, 8, 60, 30]]), torch.tensor([1, 4])
"""Two objects of a picture."""


def noise(*shape: int, seed: int = 0) -> Tensor:
    """A picture of noise from 0 to 1."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def detector(config: RetinaNetConfig = SMALL) -> RetinaNetDetector:
    """A detector whose fresh heads are loud enough to detect something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = RetinaNetDetector(config)
        for parameter in made.model.cls_head[-1].parameters():
            nn.init.normal_(parameter, std=0.3)
    return made.double().eval()
