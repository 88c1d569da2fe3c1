"""A flipped picture gives flipped boxes, but for two things that are the network's own, and are shown to be all.

Its kernels are not symmetric: they learn to be nearly so from pictures of both kinds. And a convolution or pooling
with stride 2 lays its grid from the first pixel, which on an even side is another grid than one from the last: what it
sees is moved by a pixel of its input. A twin with mirrored kernels, whose strides begin at the other edge, has neither.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torch_retinanet import RetinaNet, RetinaNetConfig, RetinaNetDetector
from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.postprocess import DecodePredictions
from torch_retinanet.preprocess import flip_horizontal, prepare

SMALL: dict[str, Any] = {"backbone": "resnet18", "width": 32, "head_depth": 1, "min_side": 128, "max_side": 256}
CLASSES = 5


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


PICTURE = noise(3, 100, 200)
"""It is resized to 128x256, where nothing is padded: padding lies to the right and is not mirrored."""


class FromTheOtherEdge(nn.Module):
    """A layer whose grid begins at the last pixel of each row."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        flipped: Tensor = self.layer(images.flip(-1)).flip(-1)
        return flipped


@torch.no_grad()
def mirrored(model: RetinaNet, *, strides: bool = True) -> RetinaNet:
    """A model with mirrored kernels, whose boxes move the other way; with `strides` from the other edge."""
    twin = copy.deepcopy(model)
    for name, layer in list(twin.named_modules()):
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d) and layer.stride in (2, (2, 2)) and strides:
            twin.set_submodule(name, FromTheOtherEdge(layer))
        elif isinstance(layer, nn.Conv2d):
            layer.weight.copy_(layer.weight.flip(-1))
    for parameter in twin.box_head[-1].parameters():
        parameter[0::4] *= -1  # the first of the four deltas is along x
    return twin


@torch.no_grad()
def detector(preset: str) -> RetinaNetDetector:
    """A detector with fresh weights, some of whose scores are above a half and none is 1."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = replace(RetinaNetConfig.preset(preset, num_classes=CLASSES), score_threshold=0.5, **SMALL)
        made = RetinaNetDetector(config).double().eval()
        last: list[Any] = [head[-1] for head in (made.model.box_head, made.model.cls_head)]
        for layer in last:
            nn.init.normal_(layer.weight)
            nn.init.zeros_(layer.bias)
    outputs = made.model(prepare([PICTURE], config).images).split([4, CLASSES], dim=-1)
    for layer, values in zip(last, outputs, strict=True):
        layer.weight /= values.std()
    return made


def with_network(made: RetinaNetDetector, network: RetinaNet) -> RetinaNetDetector:
    twin = copy.copy(made)
    twin._modules = made._modules | {"model": network}
    return twin


@torch.no_grad()
@pytest.mark.parametrize("preset", ["notebook", "keras_io"])
def test_a_mirrored_detector_finds_flipped_boxes_in_a_flipped_picture(preset: str) -> None:
    made = detector(preset)
    found = made([PICTURE])[0]
    flipped = with_network(made, mirrored(made.model))([PICTURE.flip(-1)])[0]
    assert len(found["boxes"]) > 10
    assert 0.5 < found["scores"].min() < found["scores"].max() < 1
    torch.testing.assert_close(flipped["scores"], found["scores"], rtol=1e-9, atol=0)
    ratio = prepare([PICTURE], made.config).returns[0][1]  # a float32 number: 200 pixels are not quite the 256 shown
    shown = PICTURE.new_empty(3, 128, 256)
    back = flip_horizontal(shown, flipped["boxes"] * ratio)[1]
    torch.testing.assert_close(back, found["boxes"] * ratio, rtol=1e-9, atol=1e-9)
    assert torch.equal(flipped["labels"], found["labels"])


@torch.no_grad()
@pytest.mark.parametrize("preset", ["notebook", "keras_io"])
def test_strides_from_the_first_pixel_are_not_symmetric(preset: str) -> None:
    made = detector(preset)
    found = made.model(PICTURE[None, :, :96, :128])
    levels = AnchorGenerator(made.config).anchors_per_level(96, 128)
    for strides in (True, False):
        flipped = mirrored(made.model, strides=strides)(PICTURE[None, :, :96, :128].flip(-1))
        back = flip_levels(flipped, levels, width=128)
        back[..., 0] *= -1
        assert torch.allclose(back, found, rtol=1e-9, atol=1e-12) == strides


def test_flipped_outputs_are_flipped_boxes() -> None:
    """All that follows the network: anchors lie symmetric, decoding and suppression know no side."""
    config = replace(RetinaNetConfig.keras_io(num_classes=CLASSES), score_threshold=0.5)
    decode, box = DecodePredictions(config), AnchorGenerator(config)
    anchors, per_level = box.get_anchors(128, 128, dtype=torch.float64), box.anchors_per_level(128, 128)
    logits, deltas = (noise(1, 3069, CLASSES) - 0.9) * 9, noise(1, 3069, 4, seed=1) * 4 - 2
    mirrored = [flip_levels(values, per_level, width=128) for values in (logits, deltas)]
    mirrored[1][..., 0] *= -1
    found = decode(logits, deltas, anchors, per_level, [(128, 128)])[0]
    flipped = decode(mirrored[0], mirrored[1], anchors, per_level, [(128, 128)])[0]
    _, boxes = flip_horizontal(torch.zeros(3, 128, 128), flipped["boxes"])
    torch.testing.assert_close(boxes, found["boxes"], rtol=1e-9, atol=1e-9)
    assert torch.equal(flipped["labels"], found["labels"])


def flip_levels(values: Tensor, per_level: Sequence[int], width: int) -> Tensor:
    """Outputs (1,N,V) of a picture `width` wide with the cells of each row in the opposite order."""
    levels = []
    for stride, level in zip((8, 16, 32, 64, 128), torch.split(values, list(per_level), dim=1), strict=True):
        cells = level.reshape(1, -1, width // stride, 9, level.shape[-1])
        levels.append(cells.flip(2).reshape(level.shape))
    return torch.cat(levels, dim=1)
