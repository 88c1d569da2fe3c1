"""Published RetinaNets, each a config; the sources of their values stand beside the fields.

A field that a preset does not name has the value of torchvision's RetinaNet, which is the field's default.
"""

from dataclasses import replace

from torch_retinanet.config.config import RetinaNetConfig

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
    pad_multiple=1,
    topk_per_level=0,
    clip_edge="last_pixel",
)
"""keras-retinanet 1.0.0 of fizyr with keras-resnet 0.2.0; it also keeps BatchNorm frozen, as `freeze(norm=True)`."""

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
    pad_multiple=1,
    score_threshold=0.5,
    topk_per_level=0,
    nms_classes="all",
    detections_per_picture=100,
    clip_boxes=False,
)
"""keras-hub 0.32.0 `retinanet_resnet50_fpn_coco`, models/retinanet. It doubles levels, which `nearest_to_size` does too
wherever that fits."""

KERAS_HUB_V2 = replace(KERAS_HUB, p6_source="c5", head_norm="group", gn_eps=0.001)
"""keras-hub 0.32.0 `retinanet_resnet50_fpn_v2_coco`."""

PRESETS = {
    "notebook": NOTEBOOK,
    "keras_io": KERAS_IO,
    "torchvision": TORCHVISION,
    "torchvision_v2": TORCHVISION_V2,
    "fizyr": FIZYR,
    "keras_hub": KERAS_HUB,
    "keras_hub_v2": KERAS_HUB_V2,
}
"""Presets by name."""
