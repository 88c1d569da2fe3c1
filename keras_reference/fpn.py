"""The feature pyramid; mirrors `torch_retinanet/fpn.py`.

Lin et al., Feature Pyramid Networks (2017), section 3, with the levels P6 and P7 of RetinaNet (Lin et al. 2017, section
4, footnote 2).
"""

from typing import Any, Literal

import keras
from keras import layers, ops

from keras_reference.anchors import MAX_LEVEL, MIN_LEVEL
from keras_reference.backbone import get_backbone, run_backbone
from keras_reference.errors import InputError
from keras_reference.taps import Taps, tap


class FeaturePyramidNetwork(layers.Layer):
    """Images (B,H,W,C) to the levels P3 to P7, each (B,h,w,width), at strides 8, 16, 32, 64 and 128.

    Args:
        backbone: a functional model that gives C3, C4, C5, or C2 too; by default `get_backbone()`, for images of
            128x128.
        p7_relu: where P7's ReLU stands, relu(conv(P6)) or conv(relu(P6)).
        width: filters of each level.
        min_level: the finest level; for 2 the backbone gives C2 too.
        max_level: the coarsest level, 5, 6 or 7.

    Raises:
        InputError: for a backbone that is no such model, and sides that do not divide by 32.
    """

    def __init__(
        self,
        backbone: keras.Model | None = None,
        p7_relu: Literal["after", "before"] = "after",
        width: int = 256,
        min_level: int = MIN_LEVEL,
        max_level: int = MAX_LEVEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.p7_relu, self.width, self.min_level, self.max_level = p7_relu, width, min_level, max_level
        self.backbone = backbone if backbone is not None else get_backbone(min_level=min_level)
        names = [f"C{i}" for i in range(min_level, 6)]
        if len(getattr(self.backbone, "outputs", ())) != len(names):
            raise InputError(f"backbone: {self.backbone!r} must be a functional model with outputs {', '.join(names)}")
        for i in range(min_level, 6):
            setattr(self, f"conv_c{i}_1x1", layers.Conv2D(width, 1, padding="same"))
        for i in range(min_level, 6):
            setattr(self, f"conv_c{i}_3x3", layers.Conv2D(width, 3, padding="same"))
        if max_level >= 6:
            self.conv_c6_3x3 = layers.Conv2D(width, 3, strides=2, padding="same")
        if max_level == 7:
            activation = "relu" if p7_relu == "after" else None
            self.conv_c7_3x3 = layers.Conv2D(width, 3, strides=2, padding="same", activation=activation)
        self.upsample_2x = layers.UpSampling2D(2)

    def build(self, images_shape: Any) -> None:
        """Make the weights without running the layers."""
        features = {i: output.shape for i, output in enumerate(self.backbone.outputs, start=self.min_level)}
        level = (None, None, None, self.width)
        for i, shape in features.items():
            self._conv(i, "1x1").build(shape)
            self._conv(i, "3x3").build(level)
        if self.max_level >= 6:
            self.conv_c6_3x3.build(features[5])
        if self.max_level == 7:
            self.conv_c7_3x3.build(level)

    def call(self, images: Any, training: bool = False, taps: Taps | None = None) -> list[Any]:
        features = enumerate(run_backbone(self.backbone, images, training=training, taps=taps), start=self.min_level)
        c = {i: tap(taps, f"c{i}", feature) for i, feature in features}
        lateral = {i: tap(taps, f"lateral{i}", self._conv(i, "1x1")(c[i])) for i in c}
        check_sides(images)
        merged = {5: lateral[5]}
        for i in range(4, self.min_level - 1, -1):
            merged[i] = tap(taps, f"merged{i}", lateral[i] + self.upsample_2x(merged[i + 1]))
        p = {i: tap(taps, f"p{i}", self._conv(i, "3x3")(merged[i])) for i in c}
        if self.max_level >= 6:
            p[6] = tap(taps, "p6", self.conv_c6_3x3(c[5]))
        if self.max_level == 7:
            p[7] = tap(taps, "p7", self.conv_c7_3x3(ops.relu(p[6]) if self.p7_relu == "before" else p[6]))
        return list(p.values())

    def _conv(self, level: int, kind: str) -> layers.Conv2D:
        return getattr(self, f"conv_c{level}_{kind}")


def check_sides(images: Any) -> None:
    """Refuse images whose levels are not twice as large as the next: upsampling times 2 could not merge them."""
    height, width = images.shape[1:3]
    if any(side is not None and side % 32 for side in (height, width)):
        raise InputError(f"images: sides {height}x{width} do not divide by 32, which upsampling times 2 needs")
