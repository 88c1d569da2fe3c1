"""How far float32, or bfloat16, may round each module of the port, element by element, from its weights and its input.

A sum of n products in any order is off by some sqrt(n) u (|w| * |x|), u being half of float32's eps: the size of what
Higham and Mary bound (A New Approach to Probabilistic Rounding Error Analysis, 2019, theorem 3.1). What a layer takes
over from the one before adds up as independent errors do, by the root of the sum of squares. Each module has the
reference's own input, without error. It is a measure and no guarantee: tests hold right code below it, and mistakes,
as products rounded to fewer digits, above.
"""

import copy
import math
from collections.abc import Mapping
from functools import singledispatch
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import Conv2dNormActivation

from torch_retinanet import RetinaNet
from torch_retinanet.fpn import FeaturePyramidNetwork
from torch_retinanet.heads import NormByLevel
from torch_retinanet.layers import PadSameStride2

UNITS = {"float32": float(np.finfo(np.float32).eps) / 2, "bfloat16": float(torch.finfo(torch.bfloat16).eps) / 2}
"""The most that a precision rounds one result by, as a share of it."""

UNIT = UNITS["float32"]

NORM_OPERATIONS = 4
"""Of BatchNorm on one value: less the mean, times the scale, plus the shift, and the scale itself."""


class Rounded(NamedTuple):
    """Values, and how far float32 may be off, element by element."""

    values: Tensor
    bounds: Tensor


def rounding_bounds(
    model: RetinaNet, images: Tensor, given: Mapping[str, Tensor], dtype: str = "float32"
) -> dict[str, Tensor]:
    """How far a precision may be off at each tap of a model in float64, whose modules are fed `given`, in evaluation.

    What is given are numbers of float32; bfloat16 rounds them first. Taps that only hand on what they are given are
    left out: nothing is rounded there. All bounds are proportional to the unit, so that one is computed for all; what
    rounds a rounding, u of it, is added.
    """
    first = UNIT if dtype != "float32" else 0.0
    x = {name: Rounded(value, first * value.abs()) for name, value in {**given, "images": images}.items()}
    with torch.no_grad():
        found = _backbone(model, x) | _pyramid(model, x)
        for place, name in enumerate(f"p{i}" for i in model.config.levels):
            for kind, head in (("cls", model.cls_head), ("box", model.box_head)):
                found |= _head(head, f"{kind}.{name}", place, x[name], x)
    scale = UNITS[dtype] / UNIT * (1 + UNITS[dtype])
    return {name: rounded.bounds * scale for name, rounded in found.items()}


def _backbone(model: RetinaNet, x: Mapping[str, Rounded]) -> dict[str, Rounded]:
    body, name = model.fpn.backbone, "stem"
    found = {name: through(nn.Sequential(body.conv1, body.bn1, body.relu, body.maxpool), x["images"])}
    for stage, blocks in enumerate((body.layer1, body.layer2, body.layer3, body.layer4), start=2):
        for j, block in enumerate(blocks, start=1):
            before, name = name, f"conv{stage}_block{j}"
            found[name] = through(block, x[before])
    return found


def _pyramid(model: RetinaNet, x: Mapping[str, Rounded]) -> dict[str, Rounded]:
    fpn, levels = model.fpn, range(model.config.min_level, 6)
    from_output = fpn.top_down == "output"
    found = {f"lateral{i}": through(fpn.get_submodule(f"conv_c{i}_1x1"), x[f"c{i}"]) for i in levels}
    for i in levels[:-1]:
        low, high = x[f"lateral{i}"], x["lateral5" if i == 4 else f"{'p' if from_output else 'merged'}{i + 1}"]
        larger = Rounded(*(fpn.upsample_2x(tensor, low.values) for tensor in high))
        found[f"merged{i}"] = added(low, larger)
    sources = {i: f"merged{i}" for i in levels[:-1]} | {5: "lateral5", 6: "c5" if fpn.p6_from_c5 else f"{fpn._level}5"}
    sources = {i: name for i, name in sources.items() if i in model.config.levels and not (i == 5 and from_output)}
    level = fpn._level
    layers = {i: fpn.p6_layer if i == 6 else fpn.get_submodule(f"conv_c{i}_3x3") for i in sources}
    found |= {f"{level}{i}": through(layers[i], x[name]) for i, name in sources.items()}
    found |= {f"{level}7": through(_last(fpn), x[f"{level}6"])} if 7 in model.config.levels else {}
    norms = zip(model.config.levels, fpn.norms or (), strict=False)
    return found | {f"p{i}": through(norm, x[f"{level}{i}"]) for i, norm in norms}


def _last(fpn: FeaturePyramidNetwork) -> nn.Module:
    """What makes P7 from P6."""
    layers = {"after": (fpn.conv_c7_3x3, nn.ReLU()), "before": (nn.ReLU(), fpn.conv_c7_3x3)}
    return nn.Sequential(*layers.get(fpn.p7_relu, (fpn.conv_c7_3x3,)))


def _head(head: nn.Sequential, name: str, place: int, level: Rounded, x: Mapping[str, Rounded]) -> dict[str, Rounded]:
    inputs = [level, *(x[f"{name}.{i}"] for i in range(len(head) - 1))]
    layers = [layer.of_level(place) if isinstance(layer, NormByLevel) else layer for layer in head]
    return {f"{name}.{i}": through(layer, inputs[i]) for i, layer in enumerate(layers)}


@singledispatch
def through(module: nn.Module, x: Rounded) -> Rounded:
    """What a module makes of values that may be off already."""
    raise NotImplementedError(f"no rounding of {type(module).__name__} is known")


@through.register
def _(module: nn.Sequential | Conv2dNormActivation, x: Rounded) -> Rounded:
    for layer in module:
        x = through(layer, x)
    return x


@through.register
def _(module: nn.Conv2d, x: Rounded) -> Rounded:
    magnitudes = copy.deepcopy(module)
    magnitudes.weight.abs_()
    terms = module.weight[0].numel()
    if module.bias is not None and magnitudes.bias is not None:
        magnitudes.bias.abs_()
        terms += 1
    own = math.sqrt(terms) * UNIT * magnitudes(x.values.abs())
    return Rounded(module(x.values), own + _taken_over(module, x.bounds))


def _taken_over(module: nn.Conv2d, bounds: Tensor) -> Tensor:
    """How far a convolution is off because its input is: by the root of the sum of squares."""
    if not bounds.any():
        return bounds.new_zeros(())
    squares = copy.deepcopy(module)
    squares.weight.square_()
    if squares.bias is not None:
        squares.bias.zero_()
    off: Tensor = squares(bounds.square()).sqrt()
    return off


@through.register
def _(module: nn.BatchNorm2d, x: Rounded) -> Rounded:
    assert module.running_mean is not None
    assert module.running_var is not None
    mean, shift = (tensor[:, None, None] for tensor in (module.running_mean, module.bias))
    scale = (module.weight.abs() / torch.sqrt(module.running_var + module.eps))[:, None, None]
    size = scale * (x.values.abs() + mean.abs()) + shift.abs()
    return Rounded(module(x.values), scale * x.bounds + NORM_OPERATIONS * UNIT * size)


@through.register
def _(module: nn.ReLU, x: Rounded) -> Rounded:
    return Rounded(F.relu(x.values), x.bounds)


@through.register
def _(module: nn.MaxPool2d | PadSameStride2, x: Rounded) -> Rounded:
    return Rounded(*(module(tensor) for tensor in x))


@through.register
def _(block: Bottleneck, x: Rounded) -> Rounded:
    relu = nn.ReLU()
    layers = (block.conv1, block.bn1, relu, block.conv2, block.bn2, relu, block.conv3, block.bn3)
    return _residual(nn.Sequential(*layers), block.downsample, x)


@through.register
def _(block: BasicBlock, x: Rounded) -> Rounded:
    layers = (block.conv1, block.bn1, nn.ReLU(), block.conv2, block.bn2)
    return _residual(nn.Sequential(*layers), block.downsample, x)


def _residual(branch: nn.Module, shortcut: nn.Module | None, x: Rounded) -> Rounded:
    both = added(through(branch, x), x if shortcut is None else through(shortcut, x))
    return through(nn.ReLU(), both)


def added(left: Rounded, right: Rounded) -> Rounded:
    """The sum of two values, rounded once more."""
    values = left.values + right.values
    return Rounded(values, left.bounds + right.bounds + UNIT * values.abs())
