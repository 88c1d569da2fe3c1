"""Detectors with random weights that find something: scores of all sizes, boxes that move, BatchNorm that acts."""

import torch
from torch import nn

from parity_tests.tests.support.detectors import noise
from torch_retinanet import RetinaNetConfig, RetinaNetDetector


@torch.no_grad()
def lively_detector(config: RetinaNetConfig, *, spread: float = 1.0, middle: float = -3.0) -> RetinaNetDetector:
    """A detector in float32 whose logits spread so far around a middle, and whose deltas spread by 0.3."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = RetinaNetDetector(config).eval()
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
                assert module.running_var is not None
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.7, 1.4)
                module.weight.uniform_(0.7, 1.4)
                module.bias.normal_(std=0.1)
        for head in (made.model.cls_head, made.model.box_head):
            for conv in head.modules():
                if isinstance(conv, nn.Conv2d):
                    nn.init.kaiming_normal_(conv.weight)
                    if conv.bias is not None:
                        nn.init.normal_(conv.bias, std=0.1)
    images = noise(1, config.in_channels, 128, 128) * 4 - 2
    deltas, logits = made.model(images, apart=True)
    for name, values, scale, centre in (("cls_head", logits, spread, middle), ("box_head", deltas, 0.3, 0.0)):
        last = list(made.model.get_submodule(name).children())[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        last.weight.mul_(scale / values.std())
        last.bias.copy_((last.bias - values.mean()) * scale / values.std() + centre)
    return made
