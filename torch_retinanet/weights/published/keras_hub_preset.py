"""The JSON files of a KerasHub preset of a RetinaNet: read, and written as keras-hub 0.32.0 does (`save_to_preset`)."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.keras_archive import config_in

Said = dict[str, Any]

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue, from 0 to 1, as torchvision has them."""

SIDE = 800
"""Pixels of both sides of what is fed."""

TASK_FILE, PREPROCESSOR_FILE = "task.json", "preprocessor.json"
"""What of a preset says its anchors, targets and thresholds, and how pictures are fed."""

LARGEST_JSON = 2**20
"""Bytes of such a file; some 6000 are used."""

MOST_SCALES = 100
"""Scales of anchors that a preset may have."""

FED = {"interpolation": "bilinear", "crop_to_aspect_ratio": False, "pad_to_aspect_ratio": True}
"""How pictures are resized here, as in KerasHub's own presets; of a preset with other values that is said."""

UNSAID = {"interpolation": "bilinear", "crop_to_aspect_ratio": True, "pad_to_aspect_ratio": False, "image_size": None}
"""What KerasHub's ImageConverter takes where nothing is given."""

NEARLY = 1e-9
"""The share by which a mean or deviation may differ from the preset's, as it is written as its inverse."""

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


def read_preset(folder: Path) -> Said:
    """The fields of a config that the JSON files in a folder, or in a `.keras` archive, say.

    Raises:
        InputError: for a file that is not KerasHub's, and for what no config can hold.
    """
    return _read(folder / TASK_FILE, _task_says) | _read(folder / PREPROCESSOR_FILE, _preprocessor_says)


def prepared_otherwise(folder: Path) -> str:
    """The end of a sentence: what a preset says of pictures that is done otherwise here; nothing where all is alike.

    Raises:
        InputError: for a file that is not KerasHub's.
    """
    if not (said := _read(folder / PREPROCESSOR_FILE, _other_pictures)):
        return ""
    values = ", ".join(f"{name}={value!r}" for name, value in said.items())
    here = "here they are padded to a square and resized by bilinear interpolation, and detections can differ"
    return f"; it prepares pictures with {values}; {here}"


def _read(path: Path, fields: Callable[[Path, Said], Said]) -> Said:
    """What a file says; nothing where there is none. An archive that was saved whole has all in one file."""
    if not (path.is_file() or path.parent.is_file()):
        return {}
    try:
        return fields(path, _config_in(path))
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError) as error:
        raise InputError(f"{path}: is not what KerasHub writes ({type(error).__name__}: {error})") from None


def _task_says(path: Path, task: Said) -> Said:
    anchors, labels, kept = (task[n]["config"] for n in ("anchor_generator", "label_encoder", "prediction_decoder"))
    pyramid = task["backbone"]["config"]
    count, levels = int(anchors["num_scales"]), (pyramid["min_level"], pyramid["max_level"])
    if levels != (anchors["min_level"], anchors["max_level"]) or pyramid.get("use_fpn_batch_norm"):
        raise InputError(f"{path}: has other levels than its anchors, or BatchNorm in the pyramid, which is not read")
    if not 0 < count <= MOST_SCALES:
        raise InputError(f"{path}: num_scales {count} must be from 1 to {MOST_SCALES}")
    return {
        "min_level": levels[0],
        "max_level": levels[1],
        "anchor_scale": float(anchors["anchor_size"]),
        "anchor_scales": tuple(2 ** (i / count) for i in range(count)),
        "anchor_ratios": tuple(float(ratio) for ratio in anchors["aspect_ratios"]),
        "box_variance": tuple(float(number) for number in labels["box_variance"]),
        "match_iou": float(labels["positive_threshold"]),
        "ignore_iou": float(labels["negative_threshold"]),
        "score_threshold": float(kept["confidence_threshold"]),
        "nms_iou": float(kept["iou_threshold"]),
        "detections_per_picture": int(kept["max_detections"]),
    }


def _config_in(path: Path) -> Said:
    """The config in a file of a preset; of an archive that of its task, or what it has of its preprocessor."""
    if not path.parent.is_file():
        if path.stat().st_size > LARGEST_JSON:
            raise InputError(f"{path}: must have {LARGEST_JSON} bytes at most")
        config: Said = json.loads(path.read_text(encoding="utf-8"))["config"]
        return config
    task = json.loads(config_in(path.parent))["config"]
    of_archive: Said = task if path.name == TASK_FILE else task["preprocessor"]["config"]
    return of_archive


def _converter(preprocessor: Said) -> Said:
    said: Said = preprocessor["image_converter"]["config"]
    return UNSAID | said


def _other_pictures(path: Path, preprocessor: Said) -> Said:
    """What a converter has of resizing that is not as here."""
    converter = _converter(preprocessor)
    other = {name: converter[name] for name, value in FED.items() if converter[name] != value}
    size = converter["image_size"]
    return other if size and size[0] == size[1] else other | {"image_size": size}


def _preprocessor_says(path: Path, preprocessor: Said) -> Said:
    converter = _converter(preprocessor)
    side = int(max(converter["image_size"] or [SIDE]))
    scales = _of_colours(1.0 if converter["scale"] is None else converter["scale"])
    offsets = _of_colours(0.0 if converter["offset"] is None else converter["offset"])
    return {
        "min_side": side,
        "max_side": side,
        "resize_antialias": bool(converter.get("antialias", False)),
        "pixel_mean": _known([(0.0 - o) / s for o, s in zip(offsets, scales, strict=True)], [255 * m for m in MEAN]),
        "pixel_std": _known([1 / s for s in scales], [255 * d for d in DEVIATION]),
    }


def _of_colours(value: Any) -> list[float]:
    """A number for each colour, where a preset may say one for all."""
    return [float(number) for number in value] if isinstance(value, list) else [float(value)] * len(MEAN)


def _known(found: Sequence[float], usual: Sequence[float]) -> tuple[float, ...]:
    """Numbers as they are usually written, where they are those but for rounding."""
    pairs = list(zip(found, usual, strict=True))
    is_usual = all(abs(number - known) <= NEARLY * known for number, known in pairs)
    return tuple(round(number, 6) for number in usual) if is_usual else tuple(found)
