"""TensorFlow Models' RetinaNet on a ResNet-50: the TensorFlow checkpoints of its trainer.

Its deltas are shifts by y and x, then the growth of height and width. Source: tf-models-official 2.20.0,
official/vision/modeling: backbones/resnet.py, decoders/fpn.py, heads/dense_prediction_heads.py, retinanet_model.py.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.containers.tf_checkpoint import NUMBERED, check_layers, write_tf_checkpoint
from torch_retinanet.weights.keras_file import BLOCKS
from torch_retinanet.weights.keras_names import CONV_VARIABLES, NORM_VARIABLES, place_in_block
from torch_retinanet.weights.published.published import Published
from torch_retinanet.weights.weights_file import check_numpy

PARTS = re.compile(r"^(model/)?_?(?=(backbone|decoder|head)/)")
"""What names of the three parts begin with: `model/_` where the trainer saved them, nothing in `checkpoint_items`."""

DECODER = (
    *("lateral_5", "lateral_4", "post_hoc_5", "lateral_3", "coarser_6", "post_hoc_3", "post_hoc_4", "coarser_7"),
    *(f"norm_{level}" for level in range(3, 8)),
)
"""The layers of the pyramid by their numbers."""

STEM = {"conv1": 0, "bn1": 1}
HEADS = {"cls_head": ("_cls", "_classifier"), "box_head": ("_box", "_box_regressor")}
"""Its names of the parts of a head, and of its last convolution."""

SWAPPED = [1, 0, 3, 2]
"""Shifts by x, y and growth of width, height where it has y, x and height, width."""


def tf_models_name(name: str) -> str:
    """The place in the tree of its objects of a tensor of ours: `backbone/layer_with_weights-0/kernel`."""
    layer, _, variable = name.rpartition(".")
    if layer.startswith("fpn.backbone."):
        return _in_backbone(layer.removeprefix("fpn.backbone."), variable) or name
    if norm := re.fullmatch(r"fpn\.norms\.(\d)", layer):
        return _in_decoder(f"norm_{int(norm[1]) + 3}", NORM_VARIABLES.get(variable, variable))
    if level := re.fullmatch(r"fpn\.conv_c(\d)_(\dx\d)", layer):
        kind = "lateral" if level[2] == "1x1" else "post_hoc" if int(level[1]) <= 5 else "coarser"
        return _in_decoder(f"{kind}_{level[1]}", CONV_VARIABLES[variable])
    return _in_head(layer, variable) or name


def as_parts(name: str) -> str:
    """A name in a checkpoint of the trainer as in one of the three parts."""
    return PARTS.sub("", name)


def reordered(name: str, tensor: Tensor) -> Tensor:
    """The rows of the last box layer, of which two and two change places."""
    if not re.fullmatch(r"box_head\.\d+\.(weight|bias)", name) or len(tensor) % 4:
        return tensor
    return tensor.reshape(-1, 4, *tensor.shape[1:])[:, SWAPPED].reshape(tensor.shape)


def tell(found: TensorFile, config: RetinaNetConfig) -> dict[str, Any]:
    """Nothing; but the layers of the pyramid must be in their order.

    Raises:
        InputError: naming the first that is another.
    """
    check_layers(found, "(model/)?_?decoder", DECODER)
    return {}


def write(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """A checkpoint that `tf.train.Checkpoint(model=model).restore` reads, as its trainer does.

    Raises:
        InputError: where tensorflow is not installed, and for a precision that numpy does not have.
    """
    check_numpy(str(folder), tensors)
    saved = {f"model/_{name}": tensor for name, tensor in tensors.items()}
    write_tf_checkpoint(folder, saved, {name: _full_name(name) for name in saved})


def _in_backbone(layer: str, variable: str) -> str:
    """None for a block that ResNet-50 does not have: its number would be that of another stage's."""
    kind = NORM_VARIABLES.get(variable, variable)
    if layer in STEM:
        return f"backbone/{NUMBERED}{STEM[layer]}/{'kernel' if layer == 'conv1' else kind}"
    stage, block, number, of = place_in_block(layer)
    if block >= BLOCKS[stage - 1]:
        return ""
    within = {"conv": "_shortcut" if number == "0" else f"_conv{number}", "bn": f"_norm{number}"}[of]
    position = len(STEM) + sum(BLOCKS[: stage - 1]) + block
    return f"backbone/{NUMBERED}{position}/{within}/{'kernel' if of == 'conv' else kind}"


def _in_decoder(layer: str, variable: str) -> str:
    return f"decoder/{NUMBERED}{DECODER.index(layer)}/{variable}"


def _in_head(layer: str, variable: str) -> str:
    """`head/_cls_convs/0/kernel`, and of the BatchNorm of a level `head/_cls_norms/LEVEL/0/gamma`."""
    place = re.fullmatch(r"(cls_head|box_head)\.(\d+)(\.0|\.norms\.(\d+)|\.1)?", layer)
    if place is None:
        return ""
    part, last = HEADS[place[1]]
    if place[3] is None:
        return f"head/{last}/{CONV_VARIABLES[variable]}"
    if place[3] == ".0":
        return f"head/{part}_convs/{place[2]}/{CONV_VARIABLES[variable]}"
    return f"head/{part}_norms/{place[4] or 0}/{place[2]}/{NORM_VARIABLES.get(variable, variable)}"


def _full_name(name: str) -> str:
    if place := re.fullmatch(rf"model/_decoder/{NUMBERED}(\d+)/(\w+)", name):
        return f"{DECODER[int(place[1])]}/{place[2]}"
    return name


TF_MODELS = Published(
    preset="tf_models",
    title="TensorFlow Models' RetinaNet",
    their_name=tf_models_name,
    reordered=reordered,
    today=as_parts,
    tell=tell,
    has_counters=False,
    suffixes=(),
    backbones=("resnet50",),
    is_folder=True,
    write=write,
)
