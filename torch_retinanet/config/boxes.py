"""The conventions of boxes: anchors, their coding, and what is learnt from true boxes."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch_retinanet.config.fields import convention


@dataclass(frozen=True, kw_only=True)
class AnchorConventions:
    """Where anchors stand and how large they are; see `torch_retinanet/anchors.py`."""

    group: ClassVar[str] = "anchors"

    anchor_scale: float = convention(
        "The side of a level's smallest square anchor, in strides: 4 gives 32 pixels at P3.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4 (areas 32^2 to 512^2 on P3 to P7)",
        default=4.0,
        bounds=(2**-10, 2**10),
    )
    anchor_sizes: tuple[float, ...] = convention(
        "The sides of each level's smallest square anchor in pixels, finest level first; where none are given, "
        "`anchor_scale` strides.",
        "torchvision models/detection/anchor_utils.py AnchorGenerator (sizes)",
        default=(),
        bounds=(2**-10, 2**20),
        may_be_empty=True,
    )
    anchor_scales: tuple[float, ...] = convention(
        "The sides of a cell's square anchors, as factors of the smallest. A cell has as many anchors as scales times "
        "ratios.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4",
        default=(1.0, 2 ** (1 / 3), 2 ** (2 / 3)),
        bounds=(2**-10, 2**10),
    )
    anchor_ratios: tuple[float, ...] = convention(
        "The aspect ratios of a cell's anchors.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4",
        default=(0.5, 1.0, 2.0),
        bounds=(2**-10, 2**10),
    )
    anchor_ratio: Literal["w/h", "h/w"] = convention(
        "What the ratios divide by what: of opposite meaning, the order within a cell is reversed.",
        "the keras.io example's AnchorGenerator; torchvision models/detection/anchor_utils.py",
        default="h/w",
    )
    anchor_order: Literal["ratio_scale", "scale_ratio"] = convention(
        "The anchors of a cell: for each ratio all scales, or for each scale all ratios.",
        "the keras.io example's AnchorGenerator; detectron2 modeling/anchor_generator.py",
        default="ratio_scale",
    )
    anchor_centre: Literal["half_cell", "half_cell_down", "corner"] = convention(
        "Where a cell's anchors are centred: in its middle, on the pixel before it where a cell is odd, or on its top "
        "left corner.",
        "the keras.io example's AnchorGenerator; monai apps/detection/utils/anchor_utils.py (down); torchvision "
        "models/detection/anchor_utils.py (corner)",
        default="corner",
    )
    anchor_rounding: Literal["none", "torchvision"] = convention(
        "Whether an anchor's sides stay as computed, or sizes are cut to whole pixels and half sides rounded.",
        "the keras.io example's AnchorGenerator; torchvision models/detection/retinanet.py _default_anchorgen",
        default="torchvision",
    )
    anchor_stride: Literal["power_of_2", "picture_over_cells"] = convention(
        "Pixels between two cells: 8 to 128, or the padded picture's side divided by its cells, rounded down.",
        "the keras.io example's AnchorGenerator; torchvision models/detection/anchor_utils.py",
        default="picture_over_cells",
    )
    clip_anchors: bool = convention(
        "Whether anchors are cut off at the border of the padded picture; overlaps and deltas are then those of what "
        "is left.",
        "torchvision models/detection/anchor_utils.py (no); keras-cv models/object_detection/retinanet/retinanet.py "
        "default_anchor_generator (yes)",
        default=False,
    )


@dataclass(frozen=True, kw_only=True)
class BoxConventions:
    """How deltas become boxes; see `torch_retinanet/boxes.py`."""

    group: ClassVar[str] = "box coding"

    box_coding: Literal["centre", "corner"] = convention(
        "What deltas are: shifts of the anchor's centre and logarithms of its growth, or shifts of its four edges, in "
        "widths and heights of the anchor.",
        "Girshick et al. 2014 (arXiv 1311.2524), appendix C; fizyr/keras-retinanet utils/anchors.py bbox_transform",
        default="centre",
    )
    delta_axes: Literal["xy", "yx"] = convention(
        "The order of two deltas of one kind: along x and then y, or y first, as arrays count rows before columns.",
        "torchvision models/detection/_utils.py BoxCoder (xy); monai apps/detection/utils/box_coder.py (yx)",
        default="xy",
    )
    box_variance: tuple[float, float, float, float] = convention(
        "What a delta is divided by when it is learnt: shifts by x and y, then the logarithms of width and height; or "
        "shifts of the left, top, right and bottom edge.",
        "the keras.io example's LabelEncoder (0.1, 0.1, 0.2, 0.2); torchvision models/detection/_utils.py BoxCoder (1)",
        default=(1.0, 1.0, 1.0, 1.0),
        bounds=(2**-10, 2**10),
    )
    box_clamp: Literal["none", "1000/16", "1000/16_both"] = convention(
        "How many times its anchor a decoded box can be wide or high: no limit, or 62.5; both: a 62.5th at least, too.",
        "the keras.io example's DecodePredictions; torchvision models/detection/_utils.py BoxCoder; mmdetection "
        "delta_xywh_bbox_coder.py",
        default="1000/16",
        acts_on="detections",
    )


@dataclass(frozen=True, kw_only=True)
class TargetConventions:
    """Which anchors are positive; see `torch_retinanet/targets.py`."""

    group: ClassVar[str] = "targets"

    matching: Literal["iou", "atss"] = convention(
        "What makes an anchor positive: an IoU that the next five fields judge; or ATSS, where a box takes of its "
        "nearest anchors those whose IoU stands out, and all others are background.",
        "torchvision models/detection/_utils.py Matcher (iou); Zhang et al. 2020 (arXiv 1912.02424), algorithm 1, as "
        "in monai apps/detection/utils/ATSS_matcher.py",
        default="iou",
        acts_on="training",
    )
    match_iou: float = convention(
        "The IoU with its best box from which on an anchor is positive.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4",
        default=0.5,
        acts_on="training",
    )
    ignore_iou: float = convention(
        "The IoU below which an anchor is background; from it to `match_iou` it is ignored.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4",
        default=0.4,
        acts_on="training",
    )
    background_iou: Literal["below", "up_to"] = convention(
        "Whether an anchor is background only below `ignore_iou`, or at exactly this IoU too.",
        "torchvision models/detection/_utils.py Matcher; fizyr/keras-retinanet utils/anchors.py compute_gt_annotations",
        default="below",
        acts_on="training",
    )
    box_sides: Literal["edges", "pixels"] = convention(
        "Sides of boxes and anchors in IoU and in deltas that are learnt: the differences of edges, or a pixel more, "
        "as if edges were the first and the last pixel within.",
        "torchvision models/detection/_utils.py; cvisionai/keras_retinanet utils/anchors.py compute_overlap",
        default="edges",
        acts_on="training",
    )
    ignore_outside: bool = convention(
        "Whether anchors are ignored that are centred right of the picture or below it, in its padding.",
        "torchvision models/detection/retinanet.py (no); fizyr/keras-retinanet utils/anchors.py anchor_targets_bbox",
        default=False,
        acts_on="training",
    )
    force_match: bool = convention(
        "Whether a box's best anchors are positive however low their IoU.",
        "the keras.io example's LabelEncoder (no); torchvision models/detection/_utils.py Matcher (yes)",
        default=True,
        acts_on="training",
    )
    forced_box: Literal["best", "own"] = convention(
        "The box that an anchor learns which is positive by force_match: the one it fits best, or the one whose best "
        "anchor it is, of several the last.",
        "torchvision models/detection/_utils.py Matcher (best); mmdetection assigners/max_iou_assigner.py (own)",
        default="best",
        acts_on="training",
    )


@dataclass(frozen=True, kw_only=True)
class LossConventions:
    """What is minimised; see `torch_retinanet/losses/detection.py`."""

    group: ClassVar[str] = "losses"

    focal_alpha: float = convention(
        "The weight of a class score that should be one; that of the others is one minus it.",
        "Lin et al. 2017 (arXiv 1708.02002), section 3.2",
        default=0.25,
        acts_on="training",
    )
    focal_balance: bool = convention(
        "Whether the focal loss has the weights of `focal_alpha`.",
        "torchvision ops/focal_loss.py (yes); keras.losses.BinaryFocalCrossentropy in keras-hub (no)",
        default=True,
        acts_on="training",
    )
    focal_gamma: float = convention(
        "The focusing exponent of the focal loss.",
        "Lin et al. 2017 (arXiv 1708.02002), section 3.2",
        default=2.0,
        acts_on="training",
        bounds=(0, 100),
    )
    log_epsilon: float = convention(
        "What probabilities are cut off by at 0 and 1, and then grow by, before their logarithm in the focal loss.",
        "torchvision ops/focal_loss.py (0); Keras 2 backend.binary_crossentropy in fizyr/keras-retinanet (1e-7)",
        default=0.0,
        acts_on="training",
        bounds=(0, 0.49),
    )
    probability_margin: float = convention(
        "How near a class score comes to 0 and to 1 in the focal loss, which has no gradient beyond.",
        "torchvision ops/focal_loss.py (0); yhenon/pytorch-retinanet losses.py (1e-4)",
        default=0.0,
        acts_on="training",
        bounds=(0, 0.5),
    )
    class_loss_sum: Literal["sum", "mean"] = convention(
        "Whether the focal losses of an anchor's classes are added, or averaged.",
        "torchvision models/detection/retinanet.py (sum); keras.losses.BinaryFocalCrossentropy in keras-hub (mean)",
        default="sum",
        acts_on="training",
    )
    box_loss: Literal["smooth_l1", "l1", "giou"] = convention(
        "The loss of a positive anchor's box: of its deltas, quadratic below smooth_l1_beta or not, or of the decoded "
        "box.",
        "the keras.io example's RetinaNetBoxLoss; torchvision retinanet_resnet50_fpn and its v2",
        default="l1",
        acts_on="training",
    )
    smooth_l1_beta: float = convention(
        "The difference of deltas up to which the loss smooth_l1 is quadratic.",
        "the keras.io example's RetinaNetBoxLoss (1); yhenon/pytorch-retinanet losses.py (1/9)",
        default=1.0,
        acts_on="training",
        bounds=(2**-10, 2**10),
    )
    box_loss_sum: Literal["sum", "mean"] = convention(
        "Whether the losses of a box's four deltas are added, or averaged.",
        "torchvision models/detection/retinanet.py (sum); yhenon/pytorch-retinanet losses.py (mean)",
        default="sum",
        acts_on="training",
    )
    box_loss_weight: float = convention(
        "What the loss of boxes is multiplied by before it is added to that of classes.",
        "torchvision models/detection/retinanet.py (1); tensorflow/models official/vision/configs/retinanet.py, where "
        "50 times a Huber loss of 0.1 is 5 times smooth_l1",
        default=1.0,
        acts_on="training",
        bounds=(0, 2**10),
    )
    loss_normaliser: Literal["picture", "batch", "batch_each", "batch_and_one", "batch_all", "moving_average"] = (
        convention(
            "What losses are divided by: each picture's by its own positive anchors, then the mean of the batch, or "
            "the batch's by all its positive anchors; each: a picture without any counts as one; and_one: by one more "
            "than there are; all: the class loss by all anchors that are not ignored; moving_average: a tenth of the "
            "batch's and nine of the steps before, from 100 on.",
            "the keras.io example's RetinaNetLoss; fizyr/keras-retinanet losses.py; mmdetection "
            "samplers/sampling_result.py; tensorflow/models official/vision/tasks/retinanet.py; monai "
            "apps/detection/networks/retinanet_detector.py (batch_all); detectron2 "
            "meta_arch/retinanet.py",
            default="picture",
            acts_on="training",
        )
    )
    empty_loss: Literal["zero", "sum"] = convention(
        "The class loss of a picture (or batch) without positive anchors: none, or the undivided sum.",
        "the keras.io example's divide_no_nan; torchvision's max(1, positives)",
        default="sum",
        acts_on="training",
    )
