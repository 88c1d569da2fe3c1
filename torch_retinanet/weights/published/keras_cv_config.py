"""What a `.keras` archive or a preset of KerasCV says of its RetinaNet: read, and written as keras-cv 0.9.0 does."""

from collections.abc import Callable, Mapping
from typing import Any

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError

Said = dict[str, Any]

WIDTH = 256
"""Filters of the pyramid and of the heads, which no file of KerasCV says."""

VARIANCE = [0.1, 0.1, 0.2, 0.2]
"""What deltas are divided by; the package decodes by no other numbers."""

PRIOR = -4.59511985013459
"""The fresh bias of a class."""

MOST = 100
"""Scales, or ratios, that anchors may have."""

RESCALED = 255.0
"""What pictures are divided by, where the backbone does that."""

DECODERS = {"NonMaxSuppression": "best_first", "MultiClassNonMaxSuppression": "each"}
"""The layers that choose detections, and which classes each lets drop one another."""

DTYPE = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
FILTERS = [64, 128, 256, 512]
BACKBONES = {
    **{"resnet18": ([2, 2, 2, 2], "basic_block"), "resnet34": ([3, 4, 6, 3], "basic_block")},
    **{"resnet50": ([3, 4, 6, 3], "block"), "resnet101": ([3, 4, 23, 3], "block")},
    "resnet152": ([3, 8, 36, 3], "block"),
}
"""Blocks of each stage, and of which kind they are."""


def rescales(config: RetinaNetConfig) -> bool:
    """Whether the backbone divides pictures by 255, rather than whoever feeds them."""
    return config.pixel_std == (RESCALED,) * config.in_channels


def model_config(config: RetinaNetConfig) -> Said:
    """What an archive says of a model."""
    fields = {
        "num_classes": config.num_classes,
        "bounding_box_format": "xywh",
        "backbone": _backbone(config),
        "label_encoder": _label_encoder(config),
        "prediction_decoder": _decoder(config),
        "classification_head": _head("prediction_head", "Constant", {"value": PRIOR}, config.num_classes, config),
        "box_head": _head("prediction_head_1", "Zeros", {}, 4, config),
    }
    model = _object("models.object_detection.retinanet.retinanet", "RetinaNet", fields)
    return model | {"build_config": {"input_shape": [None, None, None, 3]}, "compile_config": {}}


def _object(module: str, name: str, config: Said) -> Said:
    """An object as Keras writes it, which says in which module its class is."""
    found = {"module": f"keras_cv.src.{module}", "class_name": name, "config": config}
    return found | {"registered_name": f"keras_cv>{name}"}


def _backbone(config: RetinaNetConfig) -> Said:
    blocks, kind = BACKBONES[config.backbone]
    fields = {
        "name": "res_net_backbone",
        "trainable": True,
        "stackwise_filters": FILTERS,
        "stackwise_blocks": blocks,
        "stackwise_strides": [1, 2, 2, 2],
        "include_rescaling": rescales(config),
        "input_shape": [None, None, 3],
        "input_tensor": None,
        "block_type": kind,
    }
    found = _object("models.backbones.resnet_v1.resnet_v1_backbone", "ResNetBackbone", fields)
    return found | {"build_config": {"input_shape": None}, "compile_config": {}}


def _label_encoder(config: RetinaNetConfig) -> Said:
    anchors = {
        "name": "anchor_generator",
        "bounding_box_format": "xywh",
        "sizes": list(config.anchor_sizes) or [config.anchor_scale * 2**level for level in config.levels],
        "scales": list(config.anchor_scales),
        "aspect_ratios": list(config.anchor_ratios),
        "strides": [2**level for level in config.levels],
        "clip_boxes": config.clip_anchors,
        "trainable": True,
        "dtype": DTYPE,
    }
    fields = {
        "name": "retina_net_label_encoder",
        "trainable": True,
        "dtype": DTYPE,
        "bounding_box_format": "xywh",
        "anchor_generator": _object("layers.object_detection.anchor_generator", "AnchorGenerator", anchors),
        "positive_threshold": config.match_iou,
        "negative_threshold": config.ignore_iou,
        "box_variance": VARIANCE,
        "background_class": -1.0,
        "ignore_class": -2.0,
    }
    return _object("models.object_detection.retinanet.retinanet_label_encoder", "RetinaNetLabelEncoder", fields)


def _decoder(config: RetinaNetConfig) -> Said:
    fields = {
        "name": "non_max_suppression",
        "trainable": True,
        "dtype": DTYPE,
        "bounding_box_format": "xywh",
        "from_logits": True,
        "iou_threshold": config.nms_iou,
        "confidence_threshold": config.score_threshold,
        "max_detections": config.detections_per_picture,
    }
    if config.nms_classes == "best_first":
        return _object("layers.object_detection.non_max_suppression", "NonMaxSuppression", fields)
    more = {"name": "multi_class_non_max_suppression", "max_detections_per_class": config.detections_per_picture}
    module = "layers.object_detection.multi_class_non_max_suppression"
    return _object(module, "MultiClassNonMaxSuppression", fields | more)


def _head(name: str, initializer: str, values: Said, filters: int, config: RetinaNetConfig) -> Said:
    bias = {"module": "keras.initializers", "class_name": initializer, "config": values, "registered_name": None}
    fields = {
        "name": name,
        "trainable": True,
        "dtype": DTYPE,
        "bias_initializer": bias,
        "output_filters": filters * config.anchors_per_cell,
        "num_conv_layers": config.head_depth,
    }
    found = _object("models.object_detection.retinanet.prediction_head", "PredictionHead", fields)
    return found | {"build_config": {"input_shape": [None, None, None, WIDTH]}}


def read_model(source: str, said: Any) -> Said:
    """The fields of a config that a file says of its model.

    Raises:
        InputError: for what KerasCV does not write, and for what no config can hold.
    """
    try:
        model = said["config"]
        parts = (_backbone_says, model["backbone"]), (_encoder_says, model["label_encoder"])
        every = (*parts, (_decoder_says, model["prediction_decoder"]))
        return {name: value for read, part in every for name, value in _read(source, read, part).items()}
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise InputError(
            f"{source}: config.json is not what KerasCV writes ({type(error).__name__}: {error})"
        ) from None


def _read(source: str, read: Callable[[str, str, Said], Said], part: Mapping[str, Any]) -> Said:
    return read(source, str(part["class_name"]), part["config"])


def _backbone_says(source: str, kind: str, backbone: Said) -> Said:
    if kind != "ResNetBackbone":
        raise InputError(f"{source}: its backbone is a {kind}, and only ResNetBackbone is read")
    return {"pixel_std": (RESCALED if backbone["include_rescaling"] else 1.0,) * 3}


def _encoder_says(source: str, kind: str, encoder: Said) -> Said:
    if encoder["box_variance"] != VARIANCE:
        raise InputError(f"{source}: box_variance {encoder['box_variance']} must be {VARIANCE}, by which it is decoded")
    anchors = encoder["anchor_generator"]["config"]
    sizes, strides = [float(size) for size in anchors["sizes"]], list(anchors["strides"])
    scales, ratios = anchors["scales"], anchors["aspect_ratios"]
    if strides != [2**level for level in range(3, 8)] or len(sizes) != len(strides):
        raise InputError(f"{source}: strides {strides} must be 8, 16, 32, 64 and 128, each with a size of its anchors")
    if not 0 < len(scales) <= MOST or not 0 < len(ratios) <= MOST:
        raise InputError(f"{source}: scales and aspect_ratios must have 1 to {MOST} numbers each")
    scale = sizes[0] / strides[0]
    in_strides = sizes == [scale * stride for stride in strides]
    return {
        **({"anchor_scale": scale} if in_strides else {"anchor_sizes": tuple(sizes)}),
        "anchor_scales": tuple(float(number) for number in scales),
        "anchor_ratios": tuple(float(number) for number in ratios),
        "clip_anchors": bool(anchors["clip_boxes"]),
        "match_iou": float(encoder["positive_threshold"]),
        "ignore_iou": float(encoder["negative_threshold"]),
    }


def _decoder_says(source: str, kind: str, decoder: Said) -> Said:
    if kind not in DECODERS or not decoder["from_logits"]:
        raise InputError(f"{source}: its decoder is a {kind}; only {' and '.join(DECODERS)} of logits are read")
    most = int(decoder["max_detections"])
    if int(decoder.get("max_detections_per_class", most)) < most:
        raise InputError(f"{source}: max_detections_per_class must be max_detections={most} at least to be read")
    return {
        "score_threshold": float(decoder["confidence_threshold"]),
        "nms_iou": float(decoder["iou_threshold"]),
        "detections_per_picture": most,
        "nms_classes": DECODERS[kind],
    }
