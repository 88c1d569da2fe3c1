"""Weights of one RetinaNet in the conventions of another, as far as the function can be kept.

What is trained in one place can stand in another: a bias in the mean of the BatchNorm behind it, an eps in its scale,
the order of anchors in the order of rows, what deltas are divided by in the last layer, the order and scale of colours
in the first kernel. Whatever else weights mean, as paddings and strides, no change of numbers makes up for.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from torch_retinanet.anchors import half_sides
from torch_retinanet.boxes import swapped
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.config.backbones import RESNETS
from torch_retinanet.config.fields import as_text
from torch_retinanet.errors import InputError
from torch_retinanet.weights.weights_file import BACKBONE, WeightsFile, expected_shapes

Tensors = dict[str, Tensor]
Change = Callable[[Tensors, RetinaNetConfig, RetinaNetConfig], None]

SIZES = ("backbone", "width", "head_depth", "in_channels")
"""The sizes of a network, which a preset does not decide."""

STEM = "fpn.backbone.conv1.weight"

OF_NORMS = {"gn_groups", "gn_eps", "gn_conv_bias"}
"""What heads without a norm do not have."""

BASIC_BLOCKS = {"resnet18", "resnet34"}
"""Networks of blocks that have one convolution with a stride, wherever that of a bottleneck stands."""

OF_RESNETS = {"conv_bias", "shortcut_bias", "bn_eps", "channel_order", "pixel_std"}
"""What is changed in the backbone, whose parts are known of torchvision's residual networks alone."""


class CannotKeepError(InputError):
    """Weights whose function cannot be kept in a preset.

    Attributes:
        measurable: of the conventions in the way those that the same weights can be run with otherwise, each with the
            value that it has there, `stride_in=1x1`.
    """

    def __init__(self, sentence: str, measurable: Sequence[str]) -> None:
        super().__init__(sentence)
        self.measurable = tuple(measurable)


def as_dialect(contents: WeightsFile, preset: RetinaNetConfig) -> WeightsFile:
    """The same function in the conventions of a preset, with the file's own sizes and classes.

    Fields that act on detections and on training alone are the preset's.

    Raises:
        CannotKeepError: naming the conventions that stand in the way.
    """
    before = contents.config
    sizes = {name: getattr(before, name) for name in (*SIZES, "num_classes")}
    after = preset.changed(**sizes)
    differing = [name for name in before.differences(after, acts_on="result") if _has_effect(name, before, after)]
    can_change = CHANGES if before.backbone in RESNETS else CHANGES.keys() - OF_RESNETS
    if in_the_way := [name for name in differing if name not in can_change]:
        said = "; ".join(f"{n} is {getattr(before, n)!r}, and there {getattr(after, n)!r}" for n in in_the_way)
        refused = f"weights: they cannot be brought into preset {preset.name}, since {said}"
        others = [name for name in in_the_way if not _fits(before, name, getattr(after, name))]
        fitting = [f"{n}={as_text(getattr(after, n))}" for n in in_the_way if n not in others]
        raise CannotKeepError(f"{refused}; {_cost(others, fitting)}", fitting)
    tensors = {name: tensor.clone() for name, tensor in contents.tensors.items()}
    for change in dict.fromkeys(CHANGES[name] for name in differing):
        change(tensors, before, after)
    ordered = {name: tensors[name] for name in expected_shapes(after)}
    return replace(contents, config=after, tensors=ordered)


def _has_effect(name: str, before: RetinaNetConfig, after: RetinaNetConfig) -> bool:
    """Whether networks of either config have what a convention is of."""
    if name in OF_NORMS:
        return before.head_norm != "none" or after.head_norm != "none"
    return name != "stride_in" or before.backbone not in BASIC_BLOCKS


def _cost(others: Sequence[str], fitting: Sequence[str]) -> str:
    """Which conventions need other parameters, and how to measure what the values of the others cost."""
    needs = f"{' and '.join(others)} would need other parameters" if others else ""
    command = f"`retinanet-parity ablate --weights FILE --data DATA --conventions {' '.join(fitting)}` measures"
    costs = f"{command} what {'each' if len(fitting) > 1 else 'it'} costs on your pictures" if fitting else ""
    return ", and ".join(filter(None, (needs, costs)))


def _fits(before: RetinaNetConfig, name: str, value: object) -> bool:
    """Whether the same weights can be run with another value of a convention."""
    try:
        return expected_shapes(before.changed(**{name: value})) == expected_shapes(before)
    except InputError:  # it needs another value elsewhere, too
        return False


def _fold_biases(tensors: Tensors, before: RetinaNetConfig, after: RetinaNetConfig) -> None:
    """A bias moves the mean of what follows; BatchNorm takes off as much more."""
    for bias, norm in _norms(tensors):
        if not norm.startswith(BACKBONE):
            continue
        has_bias = after.conv_bias or (after.shortcut_bias and "downsample" in norm)
        if has_bias and bias not in tensors:
            tensors[bias] = torch.zeros_like(tensors[f"{norm}.running_mean"])
        elif not has_bias and bias in tensors:
            tensors[f"{norm}.running_mean"] -= tensors.pop(bias)


def _fold_eps(tensors: Tensors, before: RetinaNetConfig, after: RetinaNetConfig) -> None:
    """The scale takes up what another eps changes."""
    for _, norm in _norms(tensors):
        variance = tensors[f"{norm}.running_var"].double()
        factor = torch.sqrt((variance + after.bn_eps) / (variance + before.bn_eps))
        weight = tensors[f"{norm}.weight"]
        tensors[f"{norm}.weight"] = (weight.double() * factor).to(weight.dtype)


def _norms(tensors: Tensors) -> list[tuple[str, str]]:
    """Of each BatchNorm of the backbone the bias of the convolution before it, and its own name."""
    names = [name.removesuffix(".running_mean") for name in tensors if name.endswith(".running_mean")]
    return [(f"{_convolution(norm)}.bias", norm) for norm in names]


def _convolution(norm: str) -> str:
    """The convolution before a BatchNorm of torchvision's residual networks."""
    place, _, name = norm.rpartition(".")
    return f"{place}.0" if name == "1" else f"{place}.{name.replace('bn', 'conv')}"


def _permute_anchors(tensors: Tensors, before: RetinaNetConfig, after: RetinaNetConfig) -> None:
    """Rows of the last layers in the order in which the other places the anchors of a cell."""
    there, here = half_sides(after, 1024.0), half_sides(before, 1024.0)
    order = [_place(anchor, here) for anchor in there]
    for head, values in (("cls_head", before.num_classes), ("box_head", 4)):
        for name in (f"{head}.{before.head_depth}.weight", f"{head}.{before.head_depth}.bias"):
            rows = tensors[name].reshape(len(order), values, *tensors[name].shape[1:])
            tensors[name] = rows[order].reshape(tensors[name].shape)


def _place(anchor: Tensor, among: Tensor) -> int:
    """Which of some anchors has the sides of one."""
    distances = (among - anchor).abs().amax(dim=1)
    place = int(distances.argmin())
    if distances[place] > NEARLY:
        width, height = (2 * anchor).tolist()
        raise InputError(f"weights: no anchor of theirs is {width:g} by {height:g} where a square one has 1024")
    return place


NEARLY = 1e-6
"""Pixels that the sides of one anchor may differ by the order of its computation."""


def _scale_deltas(tensors: Tensors, before: RetinaNetConfig, after: RetinaNetConfig) -> None:
    """What a delta is divided by is a factor of its row, and the order of deltas is that of rows."""
    factors = _exact(before.box_variance) / _exact(after.box_variance)  # x, y, x, y
    if before.delta_axes == "yx":
        factors = swapped(factors)
    for name in (f"box_head.{before.head_depth}.weight", f"box_head.{before.head_depth}.bias"):
        rows = tensors[name].double().reshape(-1, 4, *tensors[name].shape[1:])
        scaled = rows * factors.reshape(1, 4, *[1] * (rows.ndim - 2))
        if before.delta_axes != after.delta_axes:
            scaled = scaled[:, [1, 0, 3, 2]]
        tensors[name] = scaled.reshape(tensors[name].shape).to(tensors[name].dtype)


def _colours(tensors: Tensors, before: RetinaNetConfig, after: RetinaNetConfig) -> None:
    """The order and scale of colours are those of the first kernel; zeros around a picture stay zeros."""
    stem = tensors[STEM].double()
    factors = _exact(after.pixel_std) / _exact(before.pixel_std)  # red, green, blue
    if before.channel_order == "bgr":
        factors = factors.flip(0)
    stem = stem * factors.reshape(1, -1, 1, 1)
    if before.channel_order != after.channel_order:
        stem = stem.flip(1)
    tensors[STEM] = stem.to(tensors[STEM].dtype)


def _exact(numbers: Sequence[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _nothing(tensors: Tensors, before: RetinaNetConfig, after: RetinaNetConfig) -> None:
    """Outputs and anchors change their order together."""


CHANGES: dict[str, Change] = {
    "conv_bias": _fold_biases,
    "shortcut_bias": _fold_biases,
    "bn_eps": _fold_eps,
    "anchor_order": _permute_anchors,
    "anchor_ratio": _permute_anchors,
    "box_variance": _scale_deltas,
    "delta_axes": _scale_deltas,
    "channel_order": _colours,
    "pixel_std": _colours,
    "output_order": _nothing,
}
"""By convention what keeps the function where it changes."""
