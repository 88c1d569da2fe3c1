"""Every convention in which RetinaNets differ, one field each.

A published RetinaNet is a named preset. No module asks for a preset's name: it asks for the convention.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from torch_retinanet.conventions import ActsOn, check_value, convention, conventions, read_value
from torch_retinanet.errors import InputError
from torch_retinanet.presets import KERAS_IO, NOTEBOOK, TORCHVISION

LONGEST_SIDE = 2**20
"""Pixels that a side in a config may have."""


@dataclass(frozen=True, kw_only=True)
class RetinaNetConfig:
    """The size and the conventions of one RetinaNet; start from a preset and `dataclasses.replace` what differs.

    Attributes:
        num_classes: K, at least 1.
        backbone: the residual network of torchvision that gives C3, C4, C5.
        width: filters of each level of the pyramid and of the heads.
        head_depth: 3x3 convolutions of a head before its last.

    Raises:
        InputError: for a value that its field does not know.
    """

    num_classes: int
    backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"] = "resnet50"
    width: int = 256
    head_depth: int = 4

    stride_in: Literal["1x1", "3x3"] = convention(
        "The convolution of a residual block that halves the picture: the first 1x1, or the 3x3.",
        "keras.applications.resnet residual_block_v1; torchvision models/resnet.py Bottleneck",
    )
    conv_bias: bool = convention(
        "Whether the convolutions of the backbone have a bias beside that of their BatchNorm.",
        "keras.applications.resnet ResNet50 (use_bias=True); torchvision models/resnet.py (bias=False)",
    )
    bn_eps: float = convention(
        "What BatchNorm adds to the variance before the root.",
        "keras.applications.resnet (1.001e-5); torch.nn.BatchNorm2d (1e-5)",
    )
    bn_momentum: float = convention(
        "The share of the new batch in a running statistic after a training step (Keras writes one minus it).",
        "keras.layers.BatchNormalization (0.99, that is 0.01); torch.nn.BatchNorm2d (0.1)",
        acts_on="training",
    )
    bn_running_var: Literal["population", "sample"] = convention(
        "The variance that enters the running one: that of the batch (divided by n), or its estimate (by n - 1).",
        "keras.layers.BatchNormalization; torch.nn.BatchNorm2d",
        acts_on="training",
    )
    stem_padding: Literal["symmetric", "same"] = convention(
        "Zeros around the stem's 7x7 convolution and 3x3 pool: 3 and 1 on each side, or Keras' same, where the odd "
        "pixel goes to the bottom and right.",
        "keras.applications.resnet ResNet (conv1_pad, pool1_pad); keras-resnet 0.2.0 models/_2d.py",
    )
    stride2_padding: Literal["same", "symmetric"] = convention(
        "Zeros around the stride-2 convolutions of P6 and P7: Keras' same, where an even side gets (0, 1) and an odd "
        "one (1, 1), or always (1, 1).",
        'keras.layers.Conv2D (padding="same"); torchvision ops/feature_pyramid_network.py LastLevelP6P7',
    )
    p6_source: Literal["c5", "p5"] = convention(
        "The level that P6 is made from: the backbone's C5, or the pyramid's P5.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4, footnote 2; torchvision retinanet_resnet50_fpn",
    )
    p7_relu: Literal["after", "before"] = convention(
        "Where P7's ReLU stands: relu(conv(P6)), or conv(relu(P6)).",
        "the notebook's Conv2D(activation='relu'); the keras.io example",
    )
    upsample: Literal["nearest_2x", "nearest_to_size", "bilinear_2x"] = convention(
        "How a level is enlarged to merge with the one below: each pixel twice, nearest pixel to that level's size, or "
        "bilinear times 2. Times 2 needs sides that divide by 32.",
        "keras.layers.UpSampling2D(2); torchvision ops/feature_pyramid_network.py; tf.image.resize of cvisionai",
    )
    output_order: Literal["row_column_anchor", "anchor_row_column"] = convention(
        "The order of anchors within a level: all nine of a cell together, cells by row then column, or the whole map "
        "of the first anchor, then of the second.",
        "a reshape of channels last to (B,-1,K); of channels first to (B,9,K,H,W), with its maps kept whole",
    )
    body_init: Literal["glorot_uniform", "torchvision"] = convention(
        "Fresh kernels of backbone and pyramid: Glorot uniform, or He normal by fan out in the backbone and uniform "
        "by fan in (gain 1) in the pyramid.",
        "keras.layers.Conv2D; torchvision models/resnet.py and ops/feature_pyramid_network.py",
        acts_on="training",
    )
    head_init: Literal["glorot_uniform", "normal_prior", "he_prior"] = convention(
        "Fresh heads: Glorot uniform with zero biases; or the class bias -log(99), a prior of 0.01 for each class, "
        "with normal kernels of deviation 0.01, or He normal ones and a last kernel of zeros.",
        "keras.layers.Conv2D; Lin et al. 2017 (arXiv 1708.02002), section 4.1; yhenon/pytorch-retinanet model.py",
        acts_on="training",
    )

    anchor_scale: float = convention(
        "The side of a level's smallest square anchor, in strides: 4 gives 32 pixels at P3.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4 (areas 32^2 to 512^2 on P3 to P7)",
        bounds=(2**-10, 2**10),
    )
    anchor_ratio: Literal["w/h", "h/w"] = convention(
        "What the ratios 1/2, 1 and 2 divide by what: of opposite meaning, the order within a cell is reversed.",
        "the keras.io example's AnchorGenerator; torchvision models/detection/anchor_utils.py",
    )
    anchor_order: Literal["ratio_scale", "scale_ratio"] = convention(
        "The nine anchors of a cell: for each ratio its three scales, or for each scale its three ratios.",
        "the keras.io example's AnchorGenerator; detectron2 modeling/anchor_generator.py",
    )
    anchor_centre: Literal["half_cell", "corner"] = convention(
        "Where a cell's anchors are centred: in its middle, or on its top left corner.",
        "the keras.io example's AnchorGenerator; torchvision models/detection/anchor_utils.py",
    )
    anchor_rounding: Literal["none", "torchvision"] = convention(
        "Whether an anchor's sides stay as computed, or sizes are cut to whole pixels and half sides rounded.",
        "the keras.io example's AnchorGenerator; torchvision models/detection/retinanet.py _default_anchorgen",
    )
    anchor_stride: Literal["power_of_2", "picture_over_cells"] = convention(
        "Pixels between two cells: 8 to 128, or the padded picture's side divided by its cells, rounded down.",
        "the keras.io example's AnchorGenerator; torchvision models/detection/anchor_utils.py",
    )
    box_variance: tuple[float, float, float, float] = convention(
        "What a delta is divided by when it is learnt: shifts by x and y, then the logarithms of width and height.",
        "the keras.io example's LabelEncoder (0.1, 0.1, 0.2, 0.2); torchvision models/detection/_utils.py BoxCoder (1)",
        bounds=(2**-10, 2**10),
    )
    box_clamp: Literal["none", "1000/16"] = convention(
        "How many times its anchor a decoded box can be wide or high: no limit, or 62.5.",
        "the keras.io example's DecodePredictions; torchvision models/detection/_utils.py BoxCoder",
        acts_on="detections",
    )
    match_iou: float = convention(
        "The IoU with its best box from which on an anchor is positive.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4",
        acts_on="training",
    )
    ignore_iou: float = convention(
        "The IoU below which an anchor is background; from it to `match_iou` it is ignored.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4",
        acts_on="training",
    )
    force_match: bool = convention(
        "Whether a box's best anchors are positive however low their IoU; each keeps the box it fits best.",
        "the keras.io example's LabelEncoder (no); torchvision models/detection/_utils.py Matcher (yes)",
        acts_on="training",
    )
    focal_alpha: float = convention(
        "The weight of a class score that should be one; that of the others is one minus it.",
        "Lin et al. 2017 (arXiv 1708.02002), section 3.2",
        acts_on="training",
    )
    focal_gamma: float = convention(
        "The focusing exponent of the focal loss.",
        "Lin et al. 2017 (arXiv 1708.02002), section 3.2",
        acts_on="training",
        bounds=(0, 100),
    )
    box_loss: Literal["smooth_l1", "l1", "giou"] = convention(
        "The loss of a positive anchor's box: of its deltas, quadratic below 1 or not, or of the decoded box.",
        "the keras.io example's RetinaNetBoxLoss; torchvision retinanet_resnet50_fpn and its v2",
        acts_on="training",
    )
    loss_normaliser: Literal["picture", "batch"] = convention(
        "What losses are divided by: each picture's by its own positive anchors, then the mean of the batch, or the "
        "batch's by all its positive anchors.",
        "the keras.io example's RetinaNetLoss; fizyr/keras-retinanet losses.py",
        acts_on="training",
    )
    empty_loss: Literal["zero", "sum"] = convention(
        "The class loss of a picture (or batch) without positive anchors: none, or the undivided sum.",
        "the keras.io example's divide_no_nan; torchvision's max(1, positives)",
        acts_on="training",
    )
    channel_order: Literal["rgb", "bgr"] = convention(
        "The order of the colours in which the network is fed.",
        "keras.applications.resnet preprocess_input (bgr); torchvision models/detection/transform.py (rgb)",
    )
    pixel_mean: tuple[float, float, float] = convention(
        "What is subtracted from red, green and blue, of 255.",
        "keras.applications.resnet preprocess_input; torchvision models/detection/transform.py",
        bounds=(0, 255),
    )
    pixel_std: tuple[float, float, float] = convention(
        "What red, green and blue are then divided by.",
        "keras.applications.resnet preprocess_input (1); torchvision models/detection/transform.py",
        bounds=(2**-10, 255),
    )
    padding_value: Literal["black", "mean"] = convention(
        "What stands beside a picture that is padded: black, or the mean colour.",
        "the keras.io example pads before it subtracts the mean; torchvision after",
    )
    resize_antialias: bool = convention(
        "Whether a picture is smoothed before it is made smaller.",
        "tf.image.resize and torchvision models/detection/transform.py (no); PIL in detectron2 (yes)",
        acts_on="detections",
    )
    min_side: int = convention(
        "Pixels of the short side of a picture after resizing.",
        "the keras.io example's resize_and_pad_image; torchvision retinanet_resnet50_fpn",
        acts_on="detections",
        bounds=(1, LONGEST_SIDE),
    )
    max_side: int = convention(
        "Pixels that the long side has at most; the short side then gets fewer.",
        "the keras.io example's resize_and_pad_image; torchvision retinanet_resnet50_fpn",
        acts_on="detections",
        bounds=(1, LONGEST_SIDE),
    )
    resize_rounding: Literal["single", "double"] = convention(
        "The precision in which a side's new length is computed, before it is cut to whole pixels.",
        "the keras.io example's resize_and_pad_image (single); torchvision models/detection/transform.py (double)",
        acts_on="detections",
    )
    padded_from: Literal["uncut", "cut"] = convention(
        "Whether padding and boxes follow a side's new length before it is cut to whole pixels, or after.",
        "the keras.io example's resize_and_pad_image and preprocess_data; torchvision models/detection/transform.py",
        acts_on="detections",
    )
    pad_multiple: int = convention(
        "What both sides divide by after padding at the bottom and right.",
        "the keras.io example's resize_and_pad_image (128); torchvision models/detection/transform.py (32)",
        acts_on="detections",
        bounds=(1, LONGEST_SIDE),
    )
    score_threshold: float = convention(
        "The score above which a detection is kept.",
        "the keras.io example's DecodePredictions; torchvision models/detection/retinanet.py",
        acts_on="detections",
    )
    topk_per_level: int = convention(
        "How many of a level's best scores go on to decoding; 0 for all.",
        "the keras.io example's DecodePredictions (all); torchvision models/detection/retinanet.py (1000)",
        acts_on="detections",
        bounds=(0, 2**31),
    )
    nms_iou: float = convention(
        "The IoU with a better detection of its class above which one is dropped.",
        "the keras.io example's DecodePredictions; torchvision models/detection/retinanet.py",
        acts_on="detections",
    )
    detections_per_picture: int = convention(
        "How many of a picture's best detections are kept.",
        "the keras.io example's DecodePredictions (100); torchvision models/detection/retinanet.py (300)",
        acts_on="detections",
        bounds=(1, 2**31),
    )
    clip_boxes: bool = convention(
        "Whether boxes are cut off at the picture's border, before overlaps are looked for.",
        "the keras.io example's DecodePredictions (no); torchvision models/detection/retinanet.py (yes)",
        acts_on="detections",
    )

    def __post_init__(self) -> None:
        for name in ("num_classes", "width", "head_depth"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name}: {value!r} must be a whole number of at least 1")
        for f in fields(self):
            if f.name == "backbone" or f.metadata:
                check_value(f, getattr(self, f.name))
        if self.ignore_iou > self.match_iou:
            raise InputError(f"ignore_iou: {self.ignore_iou!r} must not be above match_iou={self.match_iou!r}")

    @classmethod
    def notebook(cls, num_classes: int = 10) -> "RetinaNetConfig":
        """The teaching notebook: `keras.applications` ResNet-50 and Keras' default layers."""
        return cls(num_classes=num_classes, **NOTEBOOK)

    @classmethod
    def keras_io(cls, num_classes: int = 80) -> "RetinaNetConfig":
        """The keras.io example "Object Detection with RetinaNet"."""
        return cls(num_classes=num_classes, **KERAS_IO)

    @classmethod
    def torchvision(cls, num_classes: int = 91) -> "RetinaNetConfig":
        """torchvision's `retinanet_resnet50_fpn`, 91 classes of which the first stands for none."""
        return cls(num_classes=num_classes, **TORCHVISION)

    @classmethod
    def preset(cls, name: str, **arguments: Any) -> "RetinaNetConfig":
        """The preset called `name`, with `num_classes` where given."""
        if name not in PRESETS:
            raise InputError(f"preset: {name!r} must be one of {', '.join(PRESETS)}")
        return PRESETS[name](**arguments)

    @property
    def name(self) -> str:
        """The preset with these fields; of changed ones the nearest preset, and what was changed in it."""
        presets = {name: make(self.num_classes) for name, make in PRESETS.items()}
        nearest = min(presets, key=lambda name: len(self.differences(presets[name])))
        changes = [f"{c}={getattr(self, c)!r}" for c in self.differences(presets[nearest])]
        return f"{nearest} with {', '.join(changes)}" if changes else nearest

    def with_convention(self, assignment: str) -> "RetinaNetConfig":
        """This config with one convention changed, written as on a command line: `p7_relu=before`."""
        name, _, text = assignment.partition("=")
        known = {f.name: f for f in conventions(self)}
        if name not in known:
            raise InputError(f"convention: {assignment!r} must be NAME=VALUE with a name of {', '.join(known)}")
        return replace(self, **{name: read_value(known[name], text)})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RetinaNetConfig":
        """The config that `as_dict` wrote."""
        names = {f.name for f in fields(cls)}
        if values.keys() != names:
            raise InputError(f"config: fields {sorted(values.keys() ^ names)} are unknown or missing")
        plain: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}
        return cls(**plain)

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


PRESETS: dict[str, Callable[..., RetinaNetConfig]] = {
    "notebook": RetinaNetConfig.notebook,
    "keras_io": RetinaNetConfig.keras_io,
    "torchvision": RetinaNetConfig.torchvision,
}
