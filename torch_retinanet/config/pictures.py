"""The conventions of what goes in and comes out: pictures and detections."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch_retinanet.config.fields import convention

LONGEST_SIDE = 2**20
"""Pixels that a side in a config may have."""


@dataclass(frozen=True, kw_only=True)
class PreprocessingConventions:
    """How a picture is fed; see `torch_retinanet/preprocess.py`."""

    group: ClassVar[str] = "preprocessing"

    channel_order: Literal["rgb", "bgr"] = convention(
        "The order of the colours in which the network is fed.",
        "keras.applications.resnet preprocess_input (bgr); torchvision models/detection/transform.py (rgb)",
        default="rgb",
    )
    pixel_mean: tuple[float, ...] = convention(
        "What is subtracted from red, green and blue, of 255; from each channel, where there are others.",
        "keras.applications.resnet preprocess_input; torchvision models/detection/transform.py",
        default=(123.675, 116.28, 103.53),
        bounds=(0, 255),
    )
    pixel_std: tuple[float, ...] = convention(
        "What red, green and blue are then divided by; or each channel.",
        "keras.applications.resnet preprocess_input (1); torchvision models/detection/transform.py",
        default=(58.395, 57.12, 57.375),
        bounds=(2**-10, 255),
    )
    padding_value: Literal["black", "mean"] = convention(
        "What stands beside a picture that is padded: black, or the mean colour.",
        "the keras.io example pads before it subtracts the mean; torchvision after",
        default="mean",
    )
    padding_place: Literal["after", "around"] = convention(
        "Where a picture is padded: at the bottom and right once it is resized; or on both sides before it is, to a "
        "square, whose sides are then resized as any picture's.",
        "torchvision models/detection/transform.py (after); pad_to_aspect_ratio of keras.layers.Resizing in keras-hub "
        "(around)",
        default="after",
        acts_on="detections",
    )
    resize_library: Literal["torch", "pil", "cv2", "tf"] = convention(
        "The library whose arithmetic resizes a picture: torch, Pillow, OpenCV or TensorFlow.",
        "torchvision models/detection/transform.py (torch); detectron2 data/transforms/augmentation_impl.py (pil); "
        "mmcv image/geometric.py and fizyr/keras-retinanet utils/image.py (cv2); tf.image.resize in the keras.io "
        "example (tf)",
        default="torch",
        acts_on="detections",
    )
    resize_antialias: bool = convention(
        "Whether torch or TensorFlow smooths a picture before it is made smaller; Pillow always does, OpenCV never.",
        "tf.image.resize and torchvision models/detection/transform.py (no); PIL in detectron2 (yes)",
        default=False,
        acts_on="detections",
    )
    resize_edges: Literal["repeat", "mirror"] = convention(
        "What lies beyond the border of a picture that torch or TensorFlow enlarges: its last pixel again, or the one "
        "before that.",
        "torchvision models/detection/transform.py (repeat); skimage.transform.resize in yhenon/pytorch-retinanet",
        default="repeat",
        acts_on="detections",
    )
    resized_to: Literal["real", "bytes"] = convention(
        "Whether a picture is resized in real numbers, or in 256 levels: Pillow and OpenCV then compute in whole "
        "numbers, torch and TensorFlow round in the end.",
        "torchvision models/detection/transform.py (real); detectron2 (Pillow) and mmdetection (OpenCV)",
        default="real",
        acts_on="detections",
    )
    min_side: int = convention(
        "Pixels of the short side of a picture after resizing; 0 where a picture keeps its size.",
        "the keras.io example's resize_and_pad_image; torchvision retinanet_resnet50_fpn; monai "
        "apps/detection/utils/detector_utils.py preprocess_images (0)",
        default=800,
        acts_on="detections",
        bounds=(0, LONGEST_SIDE),
    )
    max_side: int = convention(
        "Pixels that the long side has at most; the short side then gets fewer.",
        "the keras.io example's resize_and_pad_image; torchvision retinanet_resnet50_fpn",
        default=1333,
        acts_on="detections",
        bounds=(1, LONGEST_SIDE),
    )
    resize_rounding: Literal["single", "double"] = convention(
        "The precision in which a side's new length is computed, before it is cut to whole pixels.",
        "the keras.io example's resize_and_pad_image (single); torchvision models/detection/transform.py (double)",
        default="double",
        acts_on="detections",
    )
    whole_pixels: Literal["down", "half_up", "half_even"] = convention(
        "How a side's new length becomes whole pixels: the next below, or the nearest, of two the upper or the even.",
        "torchvision models/detection/transform.py; detectron2 augmentation_impl.py; yhenon/pytorch-retinanet",
        default="down",
        acts_on="detections",
    )
    resize_ratio: Literal["sides", "uncut"] = convention(
        "Where OpenCV puts new pixels among the old: by the quotient of whole sides, or by the ratio before sides are "
        "cut.",
        "torchvision models/detection/transform.py (sides); cv2.resize(fx, fy) in fizyr/keras-retinanet (uncut)",
        default="sides",
        acts_on="detections",
    )
    padded_from: Literal["uncut", "cut", "boxes_uncut"] = convention(
        "Whether padding and boxes follow a side's new length before it is cut to whole pixels, or after; or boxes "
        "before and padding after.",
        "the keras.io example's resize_and_pad_image and preprocess_data; torchvision models/detection/transform.py; "
        "fizyr/keras-retinanet preprocessing/generator.py (boxes_uncut)",
        default="cut",
        acts_on="detections",
    )
    pad_multiple: int = convention(
        "What both sides divide by after padding at the bottom and right.",
        "the keras.io example's resize_and_pad_image (128); torchvision models/detection/transform.py (32)",
        default=32,
        acts_on="detections",
        bounds=(1, LONGEST_SIDE),
    )
    pad_always: bool = convention(
        "Whether a side that divides already is padded by pad_multiple, too.",
        "torchvision models/detection/transform.py (no); yhenon/pytorch-retinanet dataloader.py (yes)",
        default=False,
        acts_on="detections",
    )


@dataclass(frozen=True, kw_only=True)
class PostprocessingConventions:
    """Which detections are kept; see `torch_retinanet/postprocess.py`."""

    group: ClassVar[str] = "postprocessing"

    score_threshold: float = convention(
        "The score above which a detection is kept.",
        "the keras.io example's DecodePredictions; torchvision models/detection/retinanet.py",
        default=0.05,
        acts_on="detections",
    )
    topk_per_level: int = convention(
        "How many of a level's best scores go on to decoding; 0 for all.",
        "the keras.io example's DecodePredictions (all); torchvision models/detection/retinanet.py (1000)",
        default=1000,
        acts_on="detections",
        bounds=(0, 2**31),
    )
    topk_per_class: int = convention(
        "How many of a class' best scores, over all levels, go on to NMS; 0 for all.",
        "torchvision models/detection/retinanet.py (all); tensorflow/models "
        "official/vision/configs/retinanet.py (5000)",
        default=0,
        acts_on="detections",
        bounds=(0, 2**31),
    )
    first_class: Literal["detected", "none"] = convention(
        "Whether the first class can be detected, or stands for none and is left out.",
        "torchvision models/detection/retinanet.py, which detects it; tensorflow/models "
        "official/vision/modeling/layers/detection_generator.py",
        default="detected",
        acts_on="detections",
    )
    nms_iou: float = convention(
        "The IoU with a better detection of its class above which one is dropped.",
        "the keras.io example's DecodePredictions; torchvision models/detection/retinanet.py",
        default=0.5,
        acts_on="detections",
    )
    nms_classes: Literal["each", "all", "one", "best", "best_first"] = convention(
        "Whether a better detection drops one of its own class alone, or of any class: an object then has one label; "
        "one: of any class, and each anchor has its best class alone; best: so too, and KerasHub's rules hold for what "
        "is equal; best_first: so too, but of equal scores the first box comes first.",
        "torchvision models/detection/retinanet.py batched_nms (each); ultralytics agnostic_nms (all); "
        "cvisionai/keras_retinanet layers/_misc.py (one); keras-hub layers/modeling/non_max_supression.py (best); "
        "tf.image.non_max_suppression_padded in keras-cv (best_first)",
        default="each",
        acts_on="detections",
    )
    detections_per_picture: int = convention(
        "How many of a picture's best detections are kept; 0 for all.",
        "the keras.io example's DecodePredictions (100); torchvision models/detection/retinanet.py (300)",
        default=300,
        acts_on="detections",
        bounds=(0, 2**31),
    )
    clip_border: Literal["size", "last_pixel"] = convention(
        "Where a picture's right and bottom border are when boxes are cut off: at its width and height, or one less.",
        "torchvision ops/boxes.py clip_boxes_to_image; fizyr/keras-retinanet layers/_misc.py ClipBoxes",
        default="size",
        acts_on="detections",
    )
    clip_boxes: bool = convention(
        "Whether boxes are cut off at the picture's border, before overlaps are looked for.",
        "the keras.io example's DecodePredictions (no); torchvision models/detection/retinanet.py (yes)",
        default=True,
        acts_on="detections",
    )
    clip_edges: Literal["all", "own"] = convention(
        "Which edges clip_boxes cuts off where: each at both sides, or left and top at 0 alone, and right and bottom "
        "at the far side alone.",
        "torchvision ops/boxes.py clip_boxes_to_image (all); yhenon/pytorch-retinanet utils.py ClipBoxes (own)",
        default="all",
        acts_on="detections",
    )
    empty_boxes: Literal["kept", "dropped", "dropped_below_1"] = convention(
        "Whether boxes of which clip_boxes leaves nothing go on; below_1: or less than a pixel of a side.",
        "torchvision models/detection/retinanet.py (kept); mmdetection base_dense_head.py min_bbox_size (dropped); "
        "monai data/box_utils.py clip_boxes_to_image (dropped_below_1)",
        default="kept",
        acts_on="detections",
    )
    clip_at: Literal["picture", "padded"] = convention(
        "The border at which clip_boxes cuts off: that of the picture, or of its padding.",
        "torchvision models/detection/retinanet.py (picture); yhenon/pytorch-retinanet utils.py ClipBoxes (padded)",
        default="picture",
        acts_on="detections",
    )
    clip_detections: bool = convention(
        "Whether detections are cut off at the picture's border in the end, and dropped where nothing is left.",
        "torchvision models/detection/retinanet.py (no); detectron2 modeling/postprocessing.py (yes)",
        default=False,
        acts_on="detections",
    )
