"""Conventions changed the wrong way in the port, and the name at which each of them shows."""

CONVENTIONS = {
    ("anchors", "64x224"): {
        "anchor_centre=corner": "anchors",
        "anchor_ratio=h/w": "anchors",
        "anchor_order=scale_ratio": "anchors",
        "anchor_rounding=torchvision": "anchors",
        "anchor_stride=picture_over_cells": "anchors",
        "anchor_scale=2": "anchors",
        "anchor_scales=1,1.5,2": "anchors",
        "anchor_ratios=0.25,1,4": "anchors",
        "anchor_sizes=32,64,128,256,511": "anchors",
        "clip_anchors=True": "anchors",
    },
    ("targets", "128x128"): {
        "matching=atss": "targets.classes",
        "match_iou=0.50001": "targets.classes",
        "ignore_iou=0.40001": "targets.classes",
        "force_match=True": "targets.classes",
        "box_variance=1,1,1,1": "targets.deltas",
        "box_coding=corner": "targets.deltas",
        "delta_axes=yx": "targets.deltas",
        "box_sides=pixels": "targets.classes",
    },
    ("losses", ""): {
        "focal_alpha=0.75": "loss.classification",
        "focal_gamma=1.5": "loss.classification",
        "focal_balance=False": "loss.classification",
        "log_epsilon=1e-7": "loss.classification",
        "class_loss_sum=mean": "loss.classification",
        "box_loss=l1": "loss.box",
        "box_loss=giou": "loss.box",
        "smooth_l1_beta=0.111": "loss.box",
        "box_loss_sum=mean": "loss.box",
        "box_loss_weight=5": "loss.box",
        "probability_margin=0.001": "loss.classification",
        "loss_normaliser=batch_each": "loss.classification",
        "loss_normaliser=batch_all": "loss.classification",
        "loss_normaliser=batch_and_one": "loss.classification",
        "loss_normaliser=moving_average": "loss.classification",
        "loss_normaliser=batch": "loss.total",
        "empty_loss=sum": "loss.classification",
    },
    ("detections", "128x128"): {
        "score_threshold=0.06": "det.set",
        "nms_iou=0.55": "det.set",
        "nms_classes=all": "det.set",
        "nms_classes=one": "det.set",
        "nms_classes=best": "det.set",
        "nms_classes=best_first": "det.set",
        "topk_per_level=1000": "det.set",
        "topk_per_class=5": "det.set",
        "first_class=none": "det.set",
        "detections_per_picture=20": "det.set",
        "clip_boxes=True": "det.set",
        "box_clamp=1000/16_both": "det.set",
        "box_clamp=1000/16": "det.set",
        "box_variance=0.1,0.1,0.1,0.1": "det.set",
    },
}
"""By rung and case: conventions the wrong way, and the name where it shows."""

KERAS_IO = {
    ("anchors", "128x96"): ("anchor_ratio=h/w", "anchors"),
    ("targets", "96x160"): ("match_iou=0.50001", "targets.classes"),
    ("losses", ""): ("loss_normaliser=batch", "loss.total"),
    ("gradients", "inference"): ("focal_gamma=1.5", "fpn/backbone/conv1_conv/kernel"),
    ("step", "SGD with momentum"): ("boundary=changes", "fpn/backbone/conv1_conv/kernel"),
    ("detections", "96x160"): ("nms_iou=0.55", "det.set"),
    ("metric", ""): ("score_threshold=0.6", "map"),
}
"""By rung and case of the other preset: a convention the wrong way, and the name where it shows."""

FORWARD = {
    "stride_in=3x3": "conv3_block1",
    "conv_bias=False": "stem",
    "bn_eps=1e-5": "stem",
    "bn_eps=1e-3": "stem",
    "stem_padding=same": "stem",
    "stride2_padding=symmetric": "p6",
    "p6_source=p5": "p6",
    "p7_relu=before": "p7",
    "upsample=bilinear_2x": "merged4",
    "upsample=bilinear_to_size": "merged4",
    "output_order=anchor_row_column": "logits",
}
"""Conventions the wrong way, and the tap of the forward rung where it starts."""

STATISTICS = {
    "bn_momentum=0.1": "fpn/backbone/conv1_bn/moving_mean",
    "bn_running_var=sample": "fpn/backbone/conv1_bn/moving_variance",
}
"""Those that show in what a training step leaves."""

PARAMETERS = {
    "body_init=torchvision": "fpn/backbone/conv1_conv/kernel",
    "head_init=normal_prior": "cls_head/0/kernel",
    "conv_bias=False": "fpn/backbone/conv1_conv/bias",
    "p6_layer=pool": "fpn/conv_c6_3x3/kernel",
    "p6_source=p5": "fpn/conv_c6_3x3/kernel",
    "min_level=2": "fpn/conv_c2_1x1/kernel",
    "max_level=6": "fpn/conv_c7_3x3/kernel",
    "head_norm=group": "cls_head/0/bias",
    "top_down=output": "fpn/conv_c5_3x3/kernel",
}
"""Those that show in fresh variables."""

UPSAMPLING = "upsample=nearest_to_size"
"""A convention that shows only at sizes which the notebook refuses."""
