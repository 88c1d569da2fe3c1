"""The JSON files of a KerasHub preset of a RetinaNet, as `save_to_preset` of keras-hub 0.32.0 writes them."""

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

Said = dict[str, Any]

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue, from 0 to 1, as torchvision has them."""

SIDE = 800
"""Pixels of both sides of what is fed."""

FILTERS = (64, 128, 256, 512)
DTYPE = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}


def preset_files(
    *, classes: int, blocks: tuple[int, ...], depth: int, second: bool, parameters: int
) -> Mapping[str, Said]:
    """The files by name.

    Args:
        classes: K.
        blocks: of each stage of the encoder.
        depth: convolutions of a head before its last.
        second: whether P6 is made from C5 and heads have GroupNorm.
        parameters: numbers in the backbone and the pyramid.
    """
    backbone, preprocessor = _backbone(blocks, second), _preprocessor()
    return {
        "config.json": backbone,
        "task.json": _task(backbone, preprocessor, classes, depth, second),
        "preprocessor.json": preprocessor,
        "image_converter.json": preprocessor["config"]["image_converter"],
        "metadata.json": {
            "keras_version": "3.15.1",
            "keras_hub_version": "0.32.0",
            "parameter_count": parameters,
            "date_saved": datetime.now(timezone.utc).strftime("%Y-%m-%d@%H:%M:%S"),
            "tasks": ["ObjectDetector"],
        },
    }


def _object(module: str, name: str, config: Said, registered: str = "keras_hub>") -> Said:
    """An object as Keras writes it, which says in which module its class is."""
    module = f"keras_hub.src.{module}"
    return {"module": module, "class_name": name, "config": config, "registered_name": f"{registered}{name}"}


def _layer(name: str) -> Said:
    return {"name": name, "trainable": True, "dtype": DTYPE}


def _backbone(blocks: tuple[int, ...], second: bool) -> Said:
    encoder = _layer("res_net_backbone") | {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": list(FILTERS),
        "stackwise_num_blocks": list(blocks),
        "stackwise_num_strides": [1, 2, 2, 2],
        "block_type": "bottleneck_block",
        "use_pre_activation": False,
        "image_shape": [None, None, 3],
    }
    config = _layer("retina_net_backbone") | {
        "image_encoder": _object("models.resnet.resnet_backbone", "ResNetBackbone", encoder),
        "min_level": 3,
        "max_level": 7,
        "use_p5": second,
        "use_fpn_batch_norm": False,
        "image_shape": [None, None, 3],
    }
    return _object("models.retinanet.retinanet_backbone", "RetinaNetBackbone", config)


def _preprocessor() -> Said:
    converter = _layer("retina_net_image_converter") | {
        "image_size": [SIDE, SIDE],
        "scale": [1.0 / 255.0 / deviation for deviation in DEVIATION],
        "offset": [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)],
        "interpolation": "bilinear",
        "antialias": False,
        "crop_to_aspect_ratio": False,
        "pad_to_aspect_ratio": True,
        "bounding_box_format": "yxyx",
    }
    module, name = "models.retinanet.retinanet_object_detector_preprocessor", "RetinaNetObjectDetectorPreprocessor"
    image_converter = _object("models.retinanet.retinanet_image_converter", "RetinaNetImageConverter", converter)
    more = {"image_converter": image_converter, "config_file": "preprocessor.json"}
    return _object(module, name, _layer("retina_net_object_detector_preprocessor") | more)


def _task(backbone: Said, preprocessor: Said, classes: int, depth: int, second: bool) -> Said:
    anchors = {
        "name": "anchor_generator",
        "bounding_box_format": "yxyx",
        "min_level": 3,
        "max_level": 7,
        "num_scales": 3,
        "aspect_ratios": [0.5, 1.0, 2.0],
        "anchor_size": 4,
        "trainable": True,
        "dtype": DTYPE,
    }
    generator = _object("layers.modeling.anchor_generator", "AnchorGenerator", anchors)
    encoder = _layer("retina_net_label_encoder") | {
        "anchor_generator": generator,
        "bounding_box_format": "yxyx",
        "encoding_format": "center_xywh",
        "positive_threshold": 0.5,
        "box_variance": [1.0, 1.0, 1.0, 1.0],
        "negative_threshold": 0.4,
        "background_class": -1.0,
        "ignore_class": -2.0,
    }
    decoder = _layer("non_max_suppression") | {
        "bounding_box_format": "yxyx",
        "from_logits": True,
        "iou_threshold": 0.5,
        "confidence_threshold": 0.5,
        "max_detections": 100,
    }
    config = {
        "backbone": backbone,
        "preprocessor": preprocessor,
        "name": "retina_net_object_detector",
        "num_classes": classes,
        "use_prediction_head_norm": second,
        "pre_logits_num_conv_layers": depth,
        "bounding_box_format": "yxyx",
        "anchor_generator": generator,
        "label_encoder": _object("models.retinanet.retinanet_label_encoder", "RetinaNetLabelEncoder", encoder, ""),
        "prediction_decoder": _object("layers.modeling.non_max_supression", "NonMaxSuppression", decoder),
    }
    return _object("models.retinanet.retinanet_object_detector", "RetinaNetObjectDetector", config)
