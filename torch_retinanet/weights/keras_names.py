"""Where each tensor of the torch model stands in Keras: names and layouts, both ways.

| torch | Keras | layout |
|---|---|---|
| `weight (O,I,kh,kw)` of a convolution | `kernel (kh,kw,I,O)` | axes permuted |
| `bias (O,)` of a convolution | `bias (O,)` | as it is |
| `weight, bias, running_mean, running_var` of a norm | `gamma, beta, moving_mean, moving_variance` | as they are |
| `num_batches_tracked` of a norm | none: Keras does not count, the presets of Keras do not use it | zero |

Names of backbone layers are those of `keras.applications.resnet`; in the pyramid and heads, attribute and position.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

NORM_VARIABLES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
CONV_VARIABLES = {"weight": "kernel", "bias": "bias"}
SHORTCUT = {"0": ("conv", "0"), "1": ("bn", "0")}
COUNTER = "num_batches_tracked"


def keras_name(name: str) -> str | None:
    """The Keras name of a tensor of the torch model, `fpn/backbone/conv2_block1_1_conv/kernel`; none for a counter."""
    layer, _, variable = name.rpartition(".")
    if variable == COUNTER:
        return None
    if layer.startswith("fpn.backbone."):
        keras_layer = "fpn/backbone/" + backbone_layer(layer.removeprefix("fpn.backbone."))
        return f"{keras_layer}/{(NORM_VARIABLES if keras_layer.endswith('_bn') else CONV_VARIABLES)[variable]}"
    if norm := re.fullmatch(r"(cls_head|box_head)\.(\d)\.1", layer):
        return f"{norm[1]}/{norm[2]}_norm/{NORM_VARIABLES[variable]}"
    head = re.fullmatch(r"(cls_head|box_head)\.(\d)(\.0)?", layer)
    keras_layer = f"{head[1]}/{head[2]}" if head else layer.replace(".", "/")
    return f"{keras_layer}/{CONV_VARIABLES[variable]}"


def backbone_layer(layer: str) -> str:
    """The layer of `keras.applications.resnet` for one of torchvision's: `layer1.0.bn2` is `conv2_block1_2_bn`."""
    stem = {"conv1": "conv1_conv", "bn1": "conv1_bn"}
    if layer in stem:
        return stem[layer]
    stage, block, number, kind = place_in_block(layer)
    return f"conv{stage + 1}_block{block + 1}_{number}_{kind}"


class Place(NamedTuple):
    """Where a layer of torchvision's residual networks stands.

    Attributes:
        stage: from 1 to 4, as in `layer1`.
        block: from 0 on.
        number: `1`, `2` or `3` of the block's own layers, and `0` of its shortcut.
        kind: `conv` or `bn`.
    """

    stage: int
    block: int
    number: str
    kind: str


def place_in_block(layer: str) -> Place:
    """The place of a layer that is none of the stem: `layer1.0.bn2`."""
    stage, block, *inner = layer.removeprefix("layer").split(".")
    kind, number = SHORTCUT[inner[-1]] if inner[0] == "downsample" else (inner[0][:-1], inner[0][-1])
    return Place(int(stage), int(block), number, kind)


def in_order_of_layers(blocks: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Stage and block from 0 on, and number, of convolutions as Keras orders layers; a shortcut before the third."""
    for stage, count in enumerate(blocks):
        for block in range(count):
            yield from ((stage, block, number) for number in ((1, 2, 0, 3) if block == 0 else (1, 2, 3)))


def keras_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in Keras of a tensor that has `shape` in torch."""
    return tuple(shape[i] for i in (2, 3, 1, 0)) if len(shape) == 4 else shape


def to_torch(variable: Tensor) -> Tensor:
    """A Keras variable in torch's layout."""
    return variable.permute(3, 2, 0, 1).contiguous() if variable.ndim == 4 else variable


def to_keras(tensor: Tensor) -> Tensor:
    """A tensor of the torch model in Keras' layout."""
    return tensor.permute(2, 3, 1, 0).contiguous() if tensor.ndim == 4 else tensor


def torch_tensors(variables: Mapping[str, Tensor], names: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The state dict with `names` from Keras variables by Keras name; counters are zero."""
    return {
        name: torch.zeros((), dtype=torch.int64) if (key := keras_name(name)) is None else to_torch(variables[key])
        for name in names
    }


def keras_variables(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keras variables by Keras name from a state dict."""
    return {key: to_keras(tensor) for name, tensor in tensors.items() if (key := keras_name(name)) is not None}
