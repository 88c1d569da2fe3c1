"""Published RetinaNets, each a config; the sources of their values stand beside the fields.

A field that a preset does not name has the value of torchvision's RetinaNet, which is the field's default.
"""

from dataclasses import replace

from torch_retinanet.config.config import RetinaNetConfig
from torch_retinanet.config.pictures import LONGEST_SIDE

TORCHVISION = RetinaNetConfig(num_classes=91)
"""torchvision 0.29.1 `retinanet_resnet50_fpn`, models/detection/retinanet.py; its first class stands for none."""

TORCHVISION_V2 = RetinaNetConfig(
    num_classes=91,
    p6_source="c5",
    head_norm="group",
    box_loss="giou",
)
"""torchvision 0.29.1 `retinanet_resnet50_fpn_v2`, models/detection/retinanet.py."""

KERAS_IO = RetinaNetConfig(
    num_classes=80,
    stride_in="1x1",
    conv_bias=True,
    bn_eps=1.001e-05,
    bn_momentum=0.01,
    bn_running_var="population",
    stride2_padding="same",
    p6_source="c5",
    upsample="nearest_2x",
    body_init="glorot_uniform",
    anchor_ratio="w/h",
    anchor_centre="half_cell",
    anchor_rounding="none",
    anchor_stride="power_of_2",
    box_variance=(0.1, 0.1, 0.2, 0.2),
    box_clamp="none",
    force_match=False,
    box_loss="smooth_l1",
    empty_loss="zero",
    channel_order="bgr",
    pixel_mean=(123.68, 116.779, 103.939),
    pixel_std=(1.0, 1.0, 1.0),
    padding_value="black",
    resize_library="tf",
    resize_rounding="single",
    padded_from="uncut",
    pad_multiple=128,
    topk_per_level=0,
    detections_per_picture=100,
    clip_boxes=False,
)
"""The keras.io example "Object Detection with RetinaNet" (examples/vision/retinanet.py, 2021-09-30)."""

NOTEBOOK = replace(KERAS_IO, num_classes=10, p7_relu="after", head_init="glorot_uniform")
"""The teaching notebook. It holds the network alone; what surrounds it is as in the keras.io example."""

DEEPFOREST = replace(TORCHVISION, num_classes=1, score_threshold=0.1, nms_iou=0.05)
"""DeepForest 2.1.0, models/retinanet.py and conf/config.yaml: torchvision's under its own settings."""

YHENON = RetinaNetConfig(
    num_classes=80,
    p6_source="c5",
    upsample="nearest_2x",
    head_init="he_prior",
    anchor_centre="half_cell",
    anchor_rounding="none",
    anchor_stride="power_of_2",
    box_variance=(0.1, 0.1, 0.2, 0.2),
    box_clamp="none",
    force_match=False,
    probability_margin=1e-4,
    box_loss="smooth_l1",
    smooth_l1_beta=1 / 9,
    box_loss_sum="mean",
    resize_edges="mirror",
    min_side=608,
    max_side=1024,
    whole_pixels="half_even",
    pad_always=True,
    topk_per_level=0,
    detections_per_picture=0,
    clip_edges="own",
    clip_at="padded",
)
"""yhenon/pytorch-retinanet 0348a9d (2021-08-20), retinanet/model.py, losses.py and dataloader.py."""

DETECTRON2 = RetinaNetConfig(
    num_classes=80,
    stride_in="1x1",
    p6_source="c5",
    upsample="nearest_2x",
    anchor_order="scale_ratio",
    anchor_rounding="none",
    anchor_stride="power_of_2",
    loss_normaliser="moving_average",
    channel_order="bgr",
    pixel_std=(1.0, 1.0, 1.0),
    resize_library="pil",
    resize_antialias=True,
    resized_to="bytes",
    whole_pixels="half_up",
    detections_per_picture=100,
    clip_boxes=False,
    clip_detections=True,
)
"""detectron2 02b5c4e (2026-06-06), modeling/meta_arch/retinanet.py, retinanet_R_50_FPN_1x.yaml."""

MMDET = RetinaNetConfig(
    num_classes=80,
    p6_source="c5",
    p7_relu="none",
    anchor_rounding="none",
    anchor_stride="power_of_2",
    box_clamp="1000/16_both",
    forced_box="own",
    loss_normaliser="batch_each",
    resize_library="cv2",
    resized_to="bytes",
    whole_pixels="half_up",
    empty_boxes="dropped",
    detections_per_picture=100,
)
"""MMDetection 3.3.0, retinanet_r50_fpn_1x_coco.py."""

MMDET_CAFFE = replace(MMDET, stride_in="1x1", channel_order="bgr", pixel_std=(1.0, 1.0, 1.0))
"""MMDetection 3.3.0, retinanet_r50-caffe_fpn_1x_coco.py."""

FIZYR = RetinaNetConfig(
    num_classes=80,
    stride_in="1x1",
    bn_momentum=0.01,
    bn_running_var="population",
    stem_padding="same",
    stride2_padding="same",
    p6_source="c5",
    body_init="glorot_uniform",
    anchor_scales=(1.0, 1.2599210739135742, 1.587401032447815),  # in single precision
    anchor_centre="half_cell",
    anchor_rounding="none",
    anchor_stride="power_of_2",
    box_coding="corner",
    box_variance=(0.2, 0.2, 0.2, 0.2),
    box_clamp="none",
    background_iou="up_to",
    ignore_outside=True,
    force_match=False,
    log_epsilon=1e-7,
    box_loss="smooth_l1",
    smooth_l1_beta=1 / 9,
    loss_normaliser="batch",
    channel_order="bgr",
    pixel_mean=(123.68, 116.779, 103.939),
    pixel_std=(1.0, 1.0, 1.0),
    resize_library="cv2",
    resized_to="bytes",
    whole_pixels="half_even",
    resize_ratio="uncut",
    padded_from="boxes_uncut",
    pad_multiple=1,
    topk_per_level=0,
    clip_border="last_pixel",
    clip_at="padded",
)
"""keras-retinanet 1.0.0 of fizyr with keras-resnet 0.2.0; it also keeps BatchNorm frozen, as `freeze(norm=True)`."""

CVISIONAI = replace(
    FIZYR,
    upsample="bilinear_to_size",
    top_down="output",
    head_init="zeros_prior",
    box_coding="centre",
    box_variance=(0.1, 0.1, 0.2, 0.2),
    background_iou="below",
    box_sides="pixels",
    loss_normaliser="picture",
    pixel_mean=(0.0, 0.0, 0.0),
    resized_to="real",
    min_side=1080,
    max_side=1920,
    score_threshold=0.0,
    nms_iou=0.4,
    nms_classes="one",
    clip_boxes=False,
    clip_border="size",
    clip_at="picture",
)
"""cvisionai/keras_retinanet c28d3ef (2025-01-09), fizyr's of 2018 with keras-resnet 0.2.0; without a mean image."""

KERAS_HUB = RetinaNetConfig(
    num_classes=91,
    bn_running_var="population",
    stride2_padding="same",
    body_init="glorot_uniform",
    force_match=False,
    box_clamp="none",
    focal_balance=False,
    class_loss_sum="mean",
    box_loss="smooth_l1",
    box_loss_sum="mean",
    loss_normaliser="batch",
    empty_loss="zero",
    padding_value="black",
    padding_place="around",
    resize_library="tf",
    max_side=800,
    resize_rounding="single",
    pad_multiple=1,
    score_threshold=0.5,
    topk_per_level=0,
    nms_classes="best",
    detections_per_picture=100,
    clip_boxes=False,
)
"""keras-hub 0.32.0 `retinanet_resnet50_fpn_coco`, models/retinanet. It doubles levels, which `nearest_to_size` does too
wherever that fits."""

KERAS_HUB_V2 = replace(KERAS_HUB, p6_source="c5", head_norm="group", gn_eps=0.001)
"""keras-hub 0.32.0 `retinanet_resnet50_fpn_v2_coco`."""

MONAI = RetinaNetConfig(
    num_classes=1,
    shortcut_bias=True,
    max_level=6,
    p6_layer="pool",
    head_norm="group",
    gn_groups=8,
    gn_conv_bias=True,
    anchor_ratio="w/h",
    anchor_centre="half_cell_down",
    delta_axes="yx",
    matching="atss",
    focal_balance=False,
    focal_gamma=0.0,
    class_loss_sum="mean",
    box_loss="smooth_l1",
    smooth_l1_beta=1 / 9,
    box_loss_sum="mean",
    loss_normaliser="batch_all",
    pixel_mean=(0.0, 0.0, 0.0),
    pixel_std=(255.0, 255.0, 255.0),
    min_side=0,
    max_side=LONGEST_SIDE,
    pad_multiple=64,
    empty_boxes="dropped_below_1",
)
"""MONAI 1.6.1 `retinanet_resnet50_fpn_detector` in two dimensions, apps/detection/networks/retinanet_detector.py, with
returned_layers=(2, 3, 4) and conv1_t_stride=2. Losses, box coder and box selector are those of the constructor of its
`RetinaNetDetector`; sizes of anchors, which it leaves to the caller, are torchvision's; the matcher, which it leaves
open too, is that of its training example (set_atss_matcher, with its default arguments). A focal loss with an exponent
of 0 and no weights is its BCEWithLogitsLoss."""

KERAS_CV = RetinaNetConfig(
    num_classes=20,
    head_depth=3,
    stride_in="1x1",
    bn_eps=1.001e-05,
    bn_momentum=0.01,
    bn_running_var="population",
    stem_padding="same",
    block_padding="same",
    stride2_padding="same",
    p6_source="c5",
    body_init="glorot_uniform",
    head_init="orthogonal_prior",
    anchor_ratio="w/h",
    anchor_order="scale_ratio",
    anchor_centre="half_cell",
    anchor_rounding="none",
    anchor_stride="power_of_2",
    clip_anchors=True,
    delta_axes="yx",
    box_variance=(0.1, 0.1, 0.2, 0.2),
    box_clamp="none",
    force_match=False,
    box_loss="smooth_l1",
    box_loss_sum="mean",
    loss_normaliser="batch",
    empty_loss="zero",
    pixel_mean=(0.0, 0.0, 0.0),
    pixel_std=(255.0, 255.0, 255.0),
    padding_value="black",
    resize_library="tf",
    resize_rounding="single",
    min_side=640,
    max_side=640,
    pad_multiple=640,
    score_threshold=0.5,
    topk_per_level=0,
    nms_classes="best_first",
    detections_per_picture=100,
    clip_boxes=False,
)
"""keras-cv 0.9.0 `keras_cv.models.RetinaNet` with a `ResNetBackbone` that rescales pictures, as the preset
`retinanet_resnet50_pascalvoc` has it, and the losses `focal` and `smoothl1`. It has no sizes of pictures; those are its
guide's `keras_cv.layers.Resizing(640, 640, pad_to_aspect_ratio=True)`. It doubles levels, which `nearest_to_size` does
too wherever that fits."""

TF_MODELS = RetinaNetConfig(
    num_classes=91,
    bn_eps=0.001,
    bn_momentum=0.01,
    bn_running_var="population",
    stem_padding="same",
    block_padding="same",
    stride2_padding="same",
    upsample="nearest_2x",
    pyramid_norm="batch",
    head_norm="batch",
    anchor_ratio="w/h",
    anchor_order="scale_ratio",
    anchor_centre="half_cell",
    anchor_rounding="none",
    anchor_stride="power_of_2",
    ignore_iou=0.5,
    forced_box="own",
    focal_gamma=1.5,
    box_loss="smooth_l1",
    smooth_l1_beta=0.1,
    box_loss_sum="mean",
    box_loss_weight=5.0,
    loss_normaliser="batch_and_one",
    resize_library="tf",
    min_side=640,
    max_side=640,
    whole_pixels="half_even",
    pad_multiple=640,
    topk_per_level=0,
    topk_per_class=5000,
    first_class="none",
    detections_per_picture=100,
)
"""tf-models-official 2.20.0 (tensorflow/models), official/vision/configs/retinanet.py retinanet_resnetfpn_coco."""

PRESETS = {
    **{"notebook": NOTEBOOK, "keras_io": KERAS_IO, "torchvision": TORCHVISION, "torchvision_v2": TORCHVISION_V2},
    **{"deepforest": DEEPFOREST, "yhenon": YHENON, "detectron2": DETECTRON2},
    **{"mmdet": MMDET, "mmdet_caffe": MMDET_CAFFE},
    **{"fizyr": FIZYR, "keras_hub": KERAS_HUB, "keras_hub_v2": KERAS_HUB_V2, "cvisionai": CVISIONAI},
    **{"tf_models": TF_MODELS},
    **{"monai": MONAI, "keras_cv": KERAS_CV},
}
"""Presets by name."""

FIRST, SINCE = ("torchvision", "keras_io", "notebook"), "forced_box"
"""The oldest presets, and a field that every file has which was written since there are others."""
