"""ResNet-50 as the notebook takes it from `keras.applications`; mirrors `torch_retinanet/backbone.py`.

He et al., Deep Residual Learning for Image Recognition (2015), section 4.1; in the form of `keras.applications`: stride
in the first 1x1 convolution of a stage, biases in every convolution, BatchNorm epsilon 1.001e-5.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import keras

from keras_reference.taps import Taps, tap

BLOCKS = {"conv2": 3, "conv3": 4, "conv4": 6, "conv5": 3}
"""Residual blocks in each stage of ResNet-50 (He et al. 2015, table 1)."""

_SEGMENTS: WeakKeyDictionary[keras.Model, list[tuple[str, keras.Model]]] = WeakKeyDictionary()
"""What `segments` has cut so far, for as long as the backbone lives; as its attribute it would be saved with it."""


OUTPUTS = {2: "conv2_block3_out", 3: "conv3_block4_out", 4: "conv4_block6_out", 5: "conv5_block3_out"}
"""The layers of `keras.applications` that give C2 to C5."""


def get_backbone(
    input_shape: tuple[int | None, int | None, int] = (128, 128, 3),
    weights: str | Path | None = None,
    min_level: int = 3,
) -> keras.Model:
    """ResNet-50 without its classifier, giving C3, C4 and C5.

    Args:
        input_shape: height, width and channels; `None` leaves a side open.
        weights: `None` for random values, `"imagenet"` to download, or the path of an ImageNet file.
        min_level: 2 for C2 (B,H/4,W/4,256), the output of `conv2_block3_out`, before them.

    Returns:
        A model from images (B,H,W,3) to the outputs of `conv3_block4_out` (B,H/8,W/8,512), `conv4_block6_out`
        (B,H/16,W/16,1024) and `conv5_block3_out` (B,H/32,W/32,2048).
    """
    resnet = keras.applications.ResNet50(include_top=False, weights=weights, input_shape=input_shape)
    return with_outputs_from(resnet, min_level)


def with_outputs_from(resnet: keras.Model, min_level: int) -> keras.Model:
    """A model of the same layers whose outputs are C3, C4 and C5, or with a `min_level` of 2 C2 to C5."""
    names = [name for level, name in OUTPUTS.items() if level >= min_level]
    return keras.Model(resnet.input, [resnet.get_layer(name).output for name in names])


def run_backbone(backbone: keras.Model, images: Any, *, training: bool, taps: Taps | None) -> list[Any]:
    """The outputs of a backbone for `images`; with `taps`, the stem and each of the sixteen blocks by name."""
    if taps is None:
        return backbone(images, training=training)
    levels, x = {}, images
    for name, segment in segments(backbone):
        x = levels[name] = tap(taps, name, segment(x, training=training))
    names = [name.removesuffix("_out") for name in OUTPUTS.values()]
    return [levels[name] for name in names[-len(backbone.outputs) :]]


def segments(backbone: keras.Model) -> list[tuple[str, keras.Model]]:
    """The backbone cut into models that share its layers, from one tap to the next, in forward order."""
    if backbone not in _SEGMENTS:
        _SEGMENTS[backbone] = _cut(backbone)
    return _SEGMENTS[backbone]


def _cut(backbone: keras.Model) -> list[tuple[str, keras.Model]]:
    layers = {"stem": "pool1_pool"}
    for stage, blocks in BLOCKS.items():
        layers |= {f"{stage}_block{j}": f"{stage}_block{j}_out" for j in range(1, blocks + 1)}
    cuts = [backbone.input, *(backbone.get_layer(layer).output for layer in layers.values())]
    return [(name, keras.Model(start, end)) for name, (start, end) in zip(layers, pairwise(cuts), strict=True)]
