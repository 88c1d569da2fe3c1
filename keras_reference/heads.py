"""The class and box heads of the notebook; mirrors `torch_retinanet/heads.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4: four 3x3 convolutions of 256 filters with ReLU, one
3x3 convolution without; the same weights at all levels.
"""

from typing import Any

import keras
from keras import layers

from keras_reference.taps import Taps, tap


def build_head(output_filters: int) -> keras.Sequential:
    """A head from a level (B,h,w,256) to (B,h,w,output_filters)."""
    head = keras.Sequential([keras.Input(shape=[None, None, 256])])
    for _ in range(4):
        head.add(layers.Conv2D(256, 3, padding="same", activation="relu"))
    head.add(layers.Conv2D(output_filters, 3, padding="same"))
    return head


def run_head(head: keras.Sequential, level: Any, *, name: str, taps: Taps | None) -> Any:
    """The output of `head` at one level; with `taps`, each of its five layers as `name.0` to `name.4`."""
    x = level
    for i, layer in enumerate(head.layers):
        x = tap(taps, f"{name}.{i}", layer(x))
    return x
