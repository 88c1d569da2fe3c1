"""RetinaNet as the notebook or the keras.io example has it; mirrors `torch_retinanet/model.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_reference.backbone import get_backbone
from keras_reference.config import RetinaNetConfig
from keras_reference.errors import InputError
from keras_reference.fpn import FeaturePyramidNetwork
from keras_reference.heads import PRIOR_PROBABILITY, build_head, run_head
from keras_reference.taps import Taps, tap


@keras.saving.register_keras_serializable(package="keras_reference")
class RetinaNet(keras.Model):
    """Images (B,H,W,3) to boxes and class scores (B,N,4+K) on N = A x (cells of P3 to P7) anchors.

    The last axis holds four box values, then K class scores without activation. Anchors run over the levels from fine
    to coarse, within a level over rows, columns, and the anchors of a cell. The config can have other levels, and other
    channels than 3.

    Args:
        config: the conventions and K.
        backbone: a functional model that gives C3, C4, C5, or C2 too where the config begins with P2; by default
            `get_backbone()`, for images of 128x128.

    Raises:
        InputError: for a config that is none, images that are not floating (B,H,W,3) or not finite, and sides that do
            not divide by 32.
    """

    def __init__(self, config: RetinaNetConfig, backbone: keras.Model | None = None, **kwargs: Any) -> None:
        if not isinstance(config, RetinaNetConfig):
            raise InputError(f"config: {config!r} must be a RetinaNetConfig")
        super().__init__(**kwargs)
        self.config = config
        levels = {"min_level": config.min_level, "max_level": config.max_level}
        if backbone is None:
            backbone = get_backbone((128, 128, config.in_channels), min_level=config.min_level)
        self.fpn = FeaturePyramidNetwork(backbone, p7_relu=config.p7_relu, width=config.width, **levels)
        self.cls_head = build_head(
            config.anchors_per_cell * config.num_classes,
            head_init=config.head_init,
            prior=PRIOR_PROBABILITY,
            width=config.width,
        )
        self.box_head = build_head(config.anchors_per_cell * 4, head_init=config.head_init, width=config.width)

    def build(self, images_shape: Any) -> None:
        self.fpn.build(images_shape)  # the heads have their weights already

    def call(self, images: Any, training: bool = False, taps: Taps | None = None) -> Any:
        check_images(images, self.config.in_channels)
        levels = self.fpn(images, training=training, taps=taps)
        batch = ops.shape(images)[0]
        cls_outputs, box_outputs = [], []
        for i, level in enumerate(levels, start=self.config.min_level):
            scores = run_head(self.cls_head, level, name=f"cls.p{i}", taps=taps)
            boxes = run_head(self.box_head, level, name=f"box.p{i}", taps=taps)
            cls_outputs.append(ops.reshape(scores, [batch, -1, self.config.num_classes]))
            box_outputs.append(ops.reshape(boxes, [batch, -1, 4]))
        logits = tap(taps, "logits", ops.concatenate(cls_outputs, axis=1))
        deltas = tap(taps, "deltas", ops.concatenate(box_outputs, axis=1))
        return tap(taps, "outputs", ops.concatenate([deltas, logits], axis=-1))

    def get_config(self) -> dict[str, Any]:
        _, *input_shape = self.fpn.backbone.input_shape
        return {"name": self.name, "conventions": self.config.as_dict(), "input_shape": input_shape}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "RetinaNet":
        conventions = RetinaNetConfig(**config["conventions"])
        backbone = get_backbone(tuple(config["input_shape"]), min_level=conventions.min_level)
        return cls(conventions, backbone, name=config["name"])


def check_images(images: Any, channels: int) -> None:
    """Refuse what is not a batch of finite images, channels last; within a graph the values cannot be seen."""
    if len(images.shape) != 4 or images.shape[-1] != channels:
        raise InputError(f"images: shape {tuple(images.shape)} must be (B,H,W,{channels})")
    if not keras.backend.is_float_dtype(images.dtype):
        raise InputError(f"images: dtype {images.dtype} must be a floating type")
    if hasattr(images, "numpy") and not np.isfinite(images.numpy()).all():
        raise InputError("images: some values are NaN or infinite, and all must be finite")
