"""The conventions in which the two Keras RetinaNets differ; mirrors `torch_retinanet/config/`.

Both have `keras.applications`' ResNet-50, Keras' layers and P6 from C5; they differ in P7 and in fresh heads.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from keras_reference.anchors import ASPECT_RATIOS, MAX_LEVEL, MIN_LEVEL, SCALES, check_anchors, check_levels
from keras_reference.errors import InputError

ALLOWED: dict[str, tuple[str, ...]] = {"p7_relu": ("after", "before"), "head_init": ("glorot_uniform", "normal_prior")}
"""The values that each convention can take."""


@dataclass(frozen=True, kw_only=True)
class RetinaNetConfig:
    """The conventions of one Keras RetinaNet; start from a preset and `dataclasses.replace` what differs.

    Args:
        num_classes: K, at least 1; there is no class for background.
        p7_relu: where P7's ReLU stands, relu(conv(P6)) or conv(relu(P6)).
        head_init: fresh heads, Glorot uniform with zero biases, or normal with deviation 0.01 and the class bias
            -log(99), a prior of 0.01 for each class (Lin et al. 2017, section 4.1).
        anchor_scale: the side of a level's smallest square anchor, in strides, for `AnchorGenerator` and what takes it:
            4 in both RetinaNets, and less for small objects.
        anchor_scales, anchor_ratios: those of a cell's anchors, three each in both RetinaNets.
        anchor_sizes: the sides of each level's smallest square anchor in pixels, in place of `anchor_scale`.
        min_level, max_level: the finest and coarsest level, 3 and 7 in both RetinaNets; P2 to P7 at most.
        in_channels: C of an image.
        width: filters of each level of the pyramid and of the heads, 256 in both RetinaNets.

    Raises:
        InputError: for a value that its convention does not know, or `num_classes`, `width` or `in_channels` below 1,
            or an `anchor_scale` that is no number above 0.
    """

    num_classes: int
    p7_relu: Literal["after", "before"]
    head_init: Literal["glorot_uniform", "normal_prior"]
    anchor_scale: float = 4.0
    anchor_scales: tuple[float, ...] = SCALES
    anchor_ratios: tuple[float, ...] = ASPECT_RATIOS
    anchor_sizes: tuple[float, ...] = ()
    min_level: int = MIN_LEVEL
    max_level: int = MAX_LEVEL
    in_channels: int = 3
    width: int = 256

    def __post_init__(self) -> None:
        for name in ("num_classes", "width", "in_channels"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name}: {value!r} must be a whole number of at least 1")
        for name in ("anchor_scales", "anchor_ratios", "anchor_sizes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # lists, where they come from a file
        check_anchors(self.anchor_scale, self.anchor_scales, self.anchor_ratios)
        check_levels(self.min_level, self.max_level, self.anchor_sizes)
        for name, allowed in ALLOWED.items():
            if getattr(self, name) not in allowed:
                raise InputError(f"{name}: {getattr(self, name)!r} must be one of {', '.join(map(repr, allowed))}")

    @classmethod
    def notebook(cls, num_classes: int = 10) -> "RetinaNetConfig":
        """The teaching notebook: Keras' default layers."""
        return cls(num_classes=num_classes, p7_relu="after", head_init="glorot_uniform")

    @classmethod
    def keras_io(cls, num_classes: int = 80) -> "RetinaNetConfig":
        """The keras.io example "Object Detection with RetinaNet" (examples/vision/retinanet.py, 2021-09-30)."""
        return cls(num_classes=num_classes, p7_relu="before", head_init="normal_prior")

    @property
    def anchors_per_cell(self) -> int:
        """The number of scales times that of ratios."""
        return len(self.anchor_scales) * len(self.anchor_ratios)

    def as_dict(self) -> dict[str, Any]:
        """All fields by name, as plain numbers and strings."""
        return asdict(self)
