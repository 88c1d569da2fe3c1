"""The RetinaNet of the keras.io example, in the TensorFlow checkpoints that it saves and downloads.

Source: keras.io examples/vision/retinanet.py (2021-09-30), get_backbone, FeaturePyramid, build_head and RetinaNet.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.containers.tf_checkpoint import NUMBERED, check_layers, write_tf_checkpoint
from torch_retinanet.weights.keras_file import BLOCKS
from torch_retinanet.weights.keras_names import in_order_of_layers, keras_name
from torch_retinanet.weights.published.published import Published
from torch_retinanet.weights.weights_file import check_numpy

WITHIN = re.compile(r"^[^/]+/(?=(fpn|cls_head|box_head)/)")
"""What names begin with where the model was saved as a part of a checkpoint: `model/fpn/...`."""

BACKBONE = "fpn/backbone"
"""Where the backbone is in the tree of objects."""

DEPTH = 4
"""Convolutions of a head before its last, which is one more of its layers."""


def keras_io_name(name: str) -> str:
    """The place in the tree of its objects of a tensor of ours: `fpn/backbone/layer_with_weights-0/kernel`."""
    tower = re.match(r"(cls_head|box_head)\.(\d+)\.0\.", name)
    key = keras_name(name)
    if key is None or (tower and int(tower[2]) >= DEPTH):
        return name
    owner, _, rest = key.partition("/")
    if owner in ("cls_head", "box_head"):
        return f"{owner}/{NUMBERED}{rest}"
    if layer := re.fullmatch(r"fpn/backbone/(\w+)/(\w+)", key):
        return f"{BACKBONE}/{NUMBERED}{LAYERS.index(layer[1])}/{layer[2]}" if layer[1] in LAYERS else key
    return key


def as_saved_alone(name: str) -> str:
    """A name in a checkpoint of the model as a part as in one of the model itself."""
    return WITHIN.sub("", name)


def tell(found: TensorFile, config: RetinaNetConfig) -> dict[str, Any]:
    """Nothing; but the layers of the backbone must be in their order.

    Raises:
        InputError: naming the first that is another.
    """
    check_layers(found, f"(.*/)?{BACKBONE}", LAYERS)
    return {}


def write(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """A checkpoint that `tf.train.latest_checkpoint(folder)` finds and `model.load_weights` reads.

    Raises:
        InputError: where tensorflow is not installed, for a precision that numpy does not have, and for other heads.
    """
    check_numpy(str(folder), tensors)
    if (depth := sum(name.startswith("cls_head/") for name in tensors) // 2 - 1) != DEPTH:
        raise InputError(f"{folder}: heads of the keras.io example have head_depth={DEPTH}, and these {depth}")
    write_tf_checkpoint(folder, tensors, {name: _full_name(name) for name in tensors})


def _full_name(name: str) -> str:
    if place := re.fullmatch(rf"{BACKBONE}/{NUMBERED}(\d+)/(\w+)", name):
        return f"{LAYERS[int(place[1])]}/{place[2]}"
    return name


def _layers() -> Iterator[str]:
    """The layers of the backbone that have weights, in Keras' order: by depth, and a shortcut beside the third."""
    yield from ("conv1_conv", "conv1_bn")
    shortcut = []
    for stage, block, number in in_order_of_layers(BLOCKS):
        name = f"conv{stage + 2}_block{block + 1}"
        if number == 0:
            shortcut = [f"{name}_0_conv"]
        elif number == 3 and shortcut:
            yield from (*shortcut, f"{name}_3_conv", f"{name}_0_bn", f"{name}_3_bn")
            shortcut = []
        else:
            yield from (f"{name}_{number}_conv", f"{name}_{number}_bn")


LAYERS = tuple(_layers())

KERAS_IO = Published(
    preset="keras_io",
    title="the keras.io example's RetinaNet",
    their_name=keras_io_name,
    today=as_saved_alone,
    tell=tell,
    has_counters=False,
    suffixes=(),
    backbones=("resnet50",),
    is_folder=True,
    write=write,
)
