"""torchvision's own RetinaNets, with random weights and statistics."""

from typing import Any

import torch
import torchvision
from torch import nn

SIZES = {"min_size": 96, "max_size": 160}
OURS: dict[str, Any] = {"min_side": 96, "max_side": 160}


def theirs(eps: float = 1e-5, version: str = "", **settings: Any) -> Any:
    """torchvision's own model with random weights and statistics, loud enough to detect something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        build = getattr(torchvision.models.detection, f"retinanet_resnet50_fpn{version}")
        model = build(weights=None, weights_backbone=None, num_classes=5, **SIZES, **settings)
        for parameter in model.head.classification_head.cls_logits.parameters():
            nn.init.normal_(parameter, std=0.01)  # loud, and not so loud that scores are 1
        norms: list[Any] = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.eps = eps
            norm.running_mean.uniform_(-0.1, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
    return model.eval()
