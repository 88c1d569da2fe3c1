"""Small detectors, noise for them to look at, and the names that torchvision has for their tensors."""

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


def torchvision_name(name: str) -> str:
    """The name in torchvision's `retinanet_resnet50_fpn` of a tensor of the torchvision preset."""
    name = name.replace("fpn.backbone.", "backbone.body.")
    for i, level in enumerate((3, 4, 5)):
        name = name.replace(f"fpn.conv_c{level}_1x1.", f"backbone.fpn.inner_blocks.{i}.0.")
        name = name.replace(f"fpn.conv_c{level}_3x3.", f"backbone.fpn.layer_blocks.{i}.0.")
    for level in (6, 7):
        name = name.replace(f"fpn.conv_c{level}_3x3.", f"backbone.fpn.extra_blocks.p{level}.")
    heads = {"cls_head": ("classification_head", "cls_logits"), "box_head": ("regression_head", "bbox_reg")}
    for head, (theirs, last) in heads.items():
        name = name.replace(f"{head}.4.", f"head.{theirs}.{last}.").replace(f"{head}.", f"head.{theirs}.conv.")
    return name
