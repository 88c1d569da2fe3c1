"""The class and box heads; mirrors `torch_retinanet/heads.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4: four 3x3 convolutions of 256 filters with ReLU, one
3x3 convolution without; the same weights at all levels.
"""

import math
from typing import Any, Literal

import keras
from keras import initializers, layers

from keras_reference.taps import Taps, tap

PRIOR_PROBABILITY = 0.01
"""The score that a fresh class head gives each anchor (Lin et al. 2017, section 4.1)."""


def build_head(
    output_filters: int,
    *,
    head_init: Literal["glorot_uniform", "normal_prior"] = "glorot_uniform",
    prior: float | None = None,
    width: int = 256,
) -> keras.Sequential:
    """A head from a level (B,h,w,width) to (B,h,w,output_filters).

    Args:
        output_filters: nine times the classes, or nine times four.
        head_init: fresh values as in `RetinaNetConfig`.
        prior: the score that the last bias gives where `head_init` is "normal_prior"; by default that bias is 0.
        width: filters of the level and of the convolutions before the last.
    """
    head = keras.Sequential([keras.Input(shape=[None, None, width])])
    for _ in range(4):
        head.add(layers.Conv2D(width, 3, padding="same", activation="relu", kernel_initializer=fresh_kernel(head_init)))
    bias = initializers.Zeros()
    if head_init == "normal_prior" and prior is not None:
        bias = initializers.Constant(-math.log((1 - prior) / prior))
    kernel = fresh_kernel(head_init)
    head.add(layers.Conv2D(output_filters, 3, padding="same", kernel_initializer=kernel, bias_initializer=bias))
    return head


def fresh_kernel(head_init: Literal["glorot_uniform", "normal_prior"]) -> initializers.Initializer:
    """An initializer of its own for each convolution: Keras 3 gives the same values again to whoever shares one."""
    return initializers.GlorotUniform() if head_init == "glorot_uniform" else initializers.RandomNormal(0.0, 0.01)


def run_head(head: keras.Sequential, level: Any, *, name: str, taps: Taps | None) -> Any:
    """The output of `head` at one level; with `taps`, each of its five layers as `name.0` to `name.4`."""
    x = level
    for i, layer in enumerate(head.layers):
        x = tap(taps, f"{name}.{i}", layer(x))
    return x
