"""The config: the size of a network and all its conventions, which lie in groups beside this file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from torch_retinanet.config.backbones import check_backbone
from torch_retinanet.config.boxes import AnchorConventions, BoxConventions, LossConventions, TargetConventions
from torch_retinanet.config.fields import ActsOn, check_value, conventions, plain, read_value
from torch_retinanet.config.network import BackboneConventions, HeadConventions, PyramidConventions
from torch_retinanet.config.pictures import PostprocessingConventions, PreprocessingConventions
from torch_retinanet.errors import InputError, suggestion
from torch_retinanet.pictures import COLOURS

TORCHVISION_NAMES = {
    **{"min_size": "min_side", "max_size": "max_side", "score_thresh": "score_threshold", "nms_thresh": "nms_iou"},
    **{"detections_per_img": "detections_per_picture", "topk_candidates": "topk_per_level"},
    **{"fg_iou_thresh": "match_iou", "bg_iou_thresh": "ignore_iou"},
}
"""Our names of torchvision's settings."""


@dataclass(frozen=True, kw_only=True)
class NetworkSize:
    """What a network is made of, apart from conventions."""

    num_classes: int
    backbone: str = "resnet50"
    width: int = 256
    head_depth: int = 4
    in_channels: int = 3


@dataclass(frozen=True, kw_only=True, repr=False)
class RetinaNetConfig(
    PostprocessingConventions,  # of several bases, dataclasses take the fields of the last first
    PreprocessingConventions,
    LossConventions,
    TargetConventions,
    BoxConventions,
    AnchorConventions,
    HeadConventions,
    PyramidConventions,
    BackboneConventions,
    NetworkSize,
):
    """The size and the conventions of one RetinaNet: `RetinaNetConfig.keras_io(num_classes=3, anchor_scale=2)`.

    `retinanet conventions` prints all conventions with their values in each preset.

    Attributes:
        num_classes: K, at least 1; there is no class for the background.
        backbone: what gives C3, C4, C5: a residual network of torchvision by its name, a network of timm as
            `timm/NAME`, or one that `register_backbone` made known. The conventions of the group `backbone` are those
            of torchvision's.
        width: filters of each level of the pyramid and of the heads.
        head_depth: 3x3 convolutions of a head before its last.
        in_channels: C of a picture; other than 3, `pixel_mean` and `pixel_std` have as many numbers.

    Raises:
        InputError: for a value that its field does not know.
    """

    def __post_init__(self) -> None:
        for f in fields(self):
            object.__setattr__(self, f.name, plain(getattr(self, f.name)))
        for name in ("num_classes", "width", "head_depth", "in_channels"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name}: {value!r} must be a whole number of at least 1")
        for f in fields(self):
            if f.metadata:
                check_value(f, getattr(self, f.name))
        check_backbone(self.backbone)
        if self.ignore_iou > self.match_iou:
            raise InputError(f"ignore_iou: {self.ignore_iou!r} must not be above match_iou={self.match_iou!r}")
        self._check_together()

    def _check_together(self) -> None:
        """What several fields must agree on."""
        for name in ("pixel_mean", "pixel_std"):
            if len(getattr(self, name)) != self.in_channels:
                raise InputError(f"{name}: {getattr(self, name)!r} must have in_channels={self.in_channels} numbers")
        if self.channel_order == "bgr" and self.in_channels != COLOURS:
            raise InputError(f"channel_order: 'bgr' needs in_channels={COLOURS}, not {self.in_channels}; give 'rgb'")
        if len(self.anchor_sizes) not in (0, len(self.levels)):
            raise InputError(
                f"anchor_sizes: {self.anchor_sizes!r} must have a number for each of {len(self.levels)} levels"
            )
        if self.head_norm == "group" and self.width % self.gn_groups:
            raise InputError(f"width: {self.width!r} must divide by gn_groups={self.gn_groups}")
        if self.padding_place == "around" and not self.min_side:
            raise InputError("min_side: 0 keeps a picture's size, and padding_place='around' needs that of a square")

    @property
    def levels(self) -> range:
        """The numbers of the pyramid's levels, 3 to 7 for P3 to P7; level i has a cell each 2**i pixels."""
        return range(self.min_level, self.max_level + 1)

    @property
    def anchors_per_cell(self) -> int:
        """How many anchors stand in a cell: the number of scales times that of ratios."""
        return len(self.anchor_scales) * len(self.anchor_ratios)

    @classmethod
    def notebook(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """The teaching notebook: `keras.applications` ResNet-50 and Keras' default layers."""
        return cls.preset("notebook", num_classes=num_classes, **changes)

    @classmethod
    def keras_io(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """The keras.io example "Object Detection with RetinaNet"."""
        return cls.preset("keras_io", num_classes=num_classes, **changes)

    @classmethod
    def torchvision(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """torchvision's `retinanet_resnet50_fpn`, 91 classes of which the first stands for none."""
        return cls.preset("torchvision", num_classes=num_classes, **changes)

    @classmethod
    def torchvision_v2(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """torchvision's `retinanet_resnet50_fpn_v2`: GroupNorm in the heads, P6 from C5, GIoU."""
        return cls.preset("torchvision_v2", num_classes=num_classes, **changes)

    @classmethod
    def deepforest(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """DeepForest's RetinaNet: torchvision's with other thresholds, for one class."""
        return cls.preset("deepforest", num_classes=num_classes, **changes)

    @classmethod
    def yhenon(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """yhenon's pytorch-retinanet."""
        return cls.preset("yhenon", num_classes=num_classes, **changes)

    @classmethod
    def detectron2(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """detectron2's RetinaNet."""
        return cls.preset("detectron2", num_classes=num_classes, **changes)

    @classmethod
    def mmdet(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """MMDetection's RetinaNet in PyTorch style."""
        return cls.preset("mmdet", num_classes=num_classes, **changes)

    @classmethod
    def mmdet_caffe(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """MMDetection's RetinaNet in Caffe style: BGR, and the stride in the first 1x1 convolution."""
        return cls.preset("mmdet_caffe", num_classes=num_classes, **changes)

    @classmethod
    def fizyr(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """fizyr's keras-retinanet with keras-resnet: deltas of edges, a batch's positives as the normaliser."""
        return cls.preset("fizyr", num_classes=num_classes, **changes)

    @classmethod
    def cvisionai(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """cvisionai's keras_retinanet, fizyr's of 2018: levels enlarged after their 3x3, one class for each box."""
        return cls.preset("cvisionai", num_classes=num_classes, **changes)

    @classmethod
    def tf_models(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """TensorFlow Models' RetinaNet: BatchNorm in pyramid and heads; its first class stands for none."""
        return cls.preset("tf_models", num_classes=num_classes, **changes)

    @classmethod
    def keras_hub(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """KerasHub's `retinanet_resnet50_fpn_coco`: torchvision's weights, Keras' padding, no labels but the best."""
        return cls.preset("keras_hub", num_classes=num_classes, **changes)

    @classmethod
    def keras_hub_v2(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """KerasHub's `retinanet_resnet50_fpn_v2_coco`: GroupNorm in the heads, P6 from C5."""
        return cls.preset("keras_hub_v2", num_classes=num_classes, **changes)

    @classmethod
    def keras_cv(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """KerasCV's RetinaNet: heads of three layers, anchors cut off at the picture's border, y before x."""
        return cls.preset("keras_cv", num_classes=num_classes, **changes)

    @classmethod
    def monai(cls, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """MONAI's detector in two dimensions: GroupNorm in the heads, P6 by a pool, y before x, ATSS."""
        return cls.preset("monai", num_classes=num_classes, **changes)

    @classmethod
    def preset(cls, name: str, num_classes: int | None = None, **changes: Any) -> "RetinaNetConfig":
        """The preset called `name`, with the fields that are given; by default with its own number of classes.

        Raises:
            InputError: for an unknown preset or field, and a value that its field does not know.
        """
        presets = _presets()
        if name not in presets:
            raise InputError(f"preset: {name!r} must be one of {', '.join(presets)}")
        return presets[name].changed(**changes if num_classes is None else {"num_classes": num_classes, **changes})

    def changed(self, **changes: Any) -> "RetinaNetConfig":
        """This config with the fields that are given.

        Raises:
            InputError: for an unknown field, and a value that its field does not know.
        """
        known = [f.name for f in fields(self)]
        for field in changes:
            if field not in known:
                near = suggestion(TORCHVISION_NAMES.get(field, field), known)
                raise InputError(f"{field}: is no field of RetinaNetConfig{near}")
        return replace(self, **changes)

    @property
    def name(self) -> str:
        """The preset with these fields; of changed ones the nearest preset, and what was changed in it."""
        nearest, changes = self.nearest()
        words = ", ".join(f"{name}={value!r}" for name, value in changes.items())
        return f"{nearest} with {words}" if words else nearest

    def __repr__(self) -> str:
        """The nearest preset and what differs from it, as Python that makes this config."""
        nearest, changes = self.nearest()
        words = [f"{name}={value!r}" for name, value in ({"num_classes": self.num_classes} | changes).items()]
        return f"RetinaNetConfig.preset({', '.join([repr(nearest), *words])})"

    def nearest(self) -> tuple[str, dict[str, Any]]:
        """The preset with which this config shares most fields, and the fields that differ from it."""
        presets = _presets()
        nearest = min(presets, key=lambda name: len(self.differences(presets[name])))
        return nearest, {name: getattr(self, name) for name in self.differences(presets[nearest])}

    def with_convention(self, assignment: str) -> "RetinaNetConfig":
        """This config with one convention changed, written as on a command line: `p7_relu=before`."""
        name, _, text = assignment.partition("=")
        known = {f.name: f for f in conventions(self)}
        if name not in known:
            raise InputError(f"convention: {assignment!r} must be NAME=VALUE with a name of {', '.join(known)}")
        return replace(self, **{name: read_value(known[name], text)})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RetinaNetConfig":
        """The config that `as_dict` wrote, of this version or an older one.

        A field that did not exist then has its value in the nearest preset of then: that is what the code did.
        """
        if unknown := sorted(values.keys() - {f.name for f in fields(cls)}):
            raise InputError(f"config: {', '.join(unknown)} is unknown; the file is of a newer version or program")
        plain: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        if "num_classes" not in plain:
            raise InputError("config: num_classes is missing")
        if plain.get("resized_to") == "bytes" and "resize_library" not in plain:  # which followed from two fields
            plain["resize_library"] = "pil" if plain.get("resize_antialias") else "cv2"
        from torch_retinanet.config.presets import FIRST, SINCE

        newer = [name for name in _presets() if SINCE in values and name not in FIRST]
        presets = [_presets()[name] for name in (*FIRST, *newer)]  # of equal ones torchvision's, which are the defaults
        nearest = max(presets, key=lambda preset: sum(getattr(preset, name) == value for name, value in plain.items()))
        return replace(nearest, **plain)

    def differences(self, other: "RetinaNetConfig", *, acts_on: ActsOn | None = None) -> list[str]:
        """Names of the fields that differ from `other`'s, without `num_classes`.

        With `acts_on` of those conventions alone; what decides the shapes of weights acts on the result.
        """
        return [
            f.name
            for f in fields(self)
            if f.name != "num_classes"
            and getattr(self, f.name) != getattr(other, f.name)
            and acts_on in (None, f.metadata.get("acts_on", "result"))
        ]

    def as_dict(self) -> dict[str, Any]:
        """All fields by name, as plain numbers, strings, truth values and tuples of numbers."""
        return asdict(self)


def check_config(config: object) -> None:
    """Refuse what is given in place of a config.

    Raises:
        InputError: saying how one is made.
    """
    if not isinstance(config, RetinaNetConfig):
        raise InputError(f"config: {config!r} must be a RetinaNetConfig, as RetinaNetConfig.torchvision(num_classes=3)")


def _presets() -> Mapping[str, RetinaNetConfig]:
    from torch_retinanet.config.presets import PRESETS  # its presets are made of the class above

    return PRESETS
