"""The feature pyramid; mirrors `torch_retinanet/fpn.py`.

Lin et al., Feature Pyramid Networks (2017), section 3, with the levels P6 and P7 of RetinaNet (Lin et al. 2017, section
4, footnote 2).
"""

from typing import Any, Literal

import keras
from keras import layers, ops

from keras_reference.backbone import get_backbone, run_backbone
from keras_reference.errors import InputError
from keras_reference.taps import Taps, tap


class FeaturePyramidNetwork(layers.Layer):
    """Images (B,H,W,3) to the levels P3 to P7, each (B,h,w,width), at strides 8, 16, 32, 64 and 128.

    Args:
        backbone: a functional model that gives C3, C4, C5; by default `get_backbone()`, for images of 128x128.
        p7_relu: where P7's ReLU stands, relu(conv(P6)) or conv(relu(P6)).
        width: filters of each level.

    Raises:
        InputError: for a backbone that is no such model, and sides that do not divide by 32.
    """

    def __init__(
        self,
        backbone: keras.Model | None = None,
        p7_relu: Literal["after", "before"] = "after",
        width: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.p7_relu, self.width = p7_relu, width
        self.backbone = backbone if backbone is not None else get_backbone()
        if len(getattr(self.backbone, "outputs", ())) != 3:
            raise InputError(f"backbone: {self.backbone!r} must be a functional model of three outputs, C3, C4 and C5")
        self.conv_c3_1x1 = layers.Conv2D(width, 1, padding="same")
        self.conv_c4_1x1 = layers.Conv2D(width, 1, padding="same")
        self.conv_c5_1x1 = layers.Conv2D(width, 1, padding="same")
        self.conv_c3_3x3 = layers.Conv2D(width, 3, padding="same")
        self.conv_c4_3x3 = layers.Conv2D(width, 3, padding="same")
        self.conv_c5_3x3 = layers.Conv2D(width, 3, padding="same")
        self.conv_c6_3x3 = layers.Conv2D(width, 3, strides=2, padding="same")
        activation = "relu" if p7_relu == "after" else None
        self.conv_c7_3x3 = layers.Conv2D(width, 3, strides=2, padding="same", activation=activation)
        self.upsample_2x = layers.UpSampling2D(2)

    def build(self, images_shape: Any) -> None:
        """Make the weights without running the layers."""
        c3, c4, c5 = (output.shape for output in self.backbone.outputs)
        level = (None, None, None, self.width)
        fed = {"c3_1x1": c3, "c4_1x1": c4, "c5_1x1": c5, "c3_3x3": level, "c4_3x3": level, "c5_3x3": level}
        for name, shape in (fed | {"c6_3x3": c5, "c7_3x3": level}).items():
            getattr(self, f"conv_{name}").build(shape)

    def call(self, images: Any, training: bool = False, taps: Taps | None = None) -> list[Any]:
        c3, c4, c5 = run_backbone(self.backbone, images, training=training, taps=taps)
        c3, c4, c5 = tap(taps, "c3", c3), tap(taps, "c4", c4), tap(taps, "c5", c5)
        lateral3 = tap(taps, "lateral3", self.conv_c3_1x1(c3))
        lateral4 = tap(taps, "lateral4", self.conv_c4_1x1(c4))
        lateral5 = tap(taps, "lateral5", self.conv_c5_1x1(c5))
        check_sides(images)
        merged4 = tap(taps, "merged4", lateral4 + self.upsample_2x(lateral5))
        merged3 = tap(taps, "merged3", lateral3 + self.upsample_2x(merged4))
        p3 = tap(taps, "p3", self.conv_c3_3x3(merged3))
        p4 = tap(taps, "p4", self.conv_c4_3x3(merged4))
        p5 = tap(taps, "p5", self.conv_c5_3x3(lateral5))
        p6 = tap(taps, "p6", self.conv_c6_3x3(c5))
        p7 = tap(taps, "p7", self.conv_c7_3x3(ops.relu(p6) if self.p7_relu == "before" else p6))
        return [p3, p4, p5, p6, p7]


def check_sides(images: Any) -> None:
    """Refuse images whose levels are not twice as large as the next: upsampling times 2 could not merge them."""
    height, width = images.shape[1:3]
    if any(side is not None and side % 32 for side in (height, width)):
        raise InputError(f"images: sides {height}x{width} do not divide by 32, which upsampling times 2 needs")
