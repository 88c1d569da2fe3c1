"""What a whole model of keras-retinanet says beside its weights: `model_config`, the layers with their settings.

Source: keras-retinanet 1.0.0 layers/_misc.py (Anchors, RegressBoxes) and layers/filter_detections.py;
cvisionai/keras_retinanet c28d3ef (2025-01-09) layers/_misc.py (NonMaximumSuppression).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.keras_layers import MODEL
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.published.published import ANCHORS, Assumption

Said = dict[str, Any]


def told(found: TensorFile, config: RetinaNetConfig) -> Said:
    """Anchors, the scale of deltas and how detections are filtered, where a file has the layers that do so.

    Raises:
        InputError: for what no config can hold, and a file that is not keras-retinanet's.
    """
    try:
        layers = [*_layers(found.settings.get(MODEL, {}))]
        anchors = _of_kind(layers, "Anchors")
        said = _anchors(anchors, config) if anchors else {}
        for kind, read in READ.items():
            for layer in _of_kind(layers, kind):
                said |= read(layer)
        return said
    except InputError as error:
        raise InputError(f"{found.source}: {error}") from None
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError) as error:
        raise InputError(
            f"{found.source}: {MODEL} is not what keras-retinanet writes ({type(error).__name__}: {error})"
        ) from None


def assumed(found: TensorFile, config: RetinaNetConfig) -> tuple[Assumption, ...]:
    """The sizes of anchors, which neither a training model nor weights say."""
    if _of_kind([*_layers(found.settings.get(MODEL, {}))], "Anchors"):
        return ()
    return (Assumption(ANCHORS, "its file does not say the sizes of anchors: keras-retinanet's are assumed"),)


def _layers(model: Said) -> Iterator[Said]:
    """All layers of a model, and those of models within it."""
    config = model.get("config", {})
    for layer in config.get("layers", ()) if isinstance(config, Mapping) else ():
        yield layer
        yield from _layers(layer)


def _of_kind(layers: list[Said], kind: str) -> list[Said]:
    return [layer["config"] for layer in layers if layer["class_name"] == kind]


def _anchors(levels: list[Said], config: RetinaNetConfig) -> Said:
    levels = sorted(levels, key=lambda level: int(level["stride"]))
    strides, expected = [level["stride"] for level in levels], [2**level for level in config.levels]
    if strides != expected:
        raise InputError(f"strides of anchors {strides} must be {expected}")
    shapes = {(_numbers(level["ratios"]), _numbers(level["scales"])) for level in levels}
    if len(shapes) > 1:
        raise InputError("anchors have other ratios or scales at some levels, and must have the same at all")
    [(ratios, scales)] = shapes
    sizes = tuple(float(level["size"]) for level in levels)
    usual = sizes == tuple(config.anchor_scale * stride for stride in strides)
    return {"anchor_sizes": () if usual else sizes, "anchor_ratios": ratios, "anchor_scales": scales}


def _numbers(value: Any) -> tuple[float, ...]:
    """A list of numbers; the Keras of its day writes an array as a table with a `value`."""
    listed = value["value"] if isinstance(value, Mapping) else value
    return tuple(float(number) for number in listed)


def _deltas(layer: Said) -> Said:
    if any(_numbers(layer["mean"])):
        raise InputError(f"mean of deltas {layer['mean']} must be 0")
    return {"box_variance": _numbers(layer["std"])}


def _detections(layer: Said) -> Said:
    if not layer["nms"]:
        raise InputError("nms: False must be True, as detections without it are not made here")
    return {
        "nms_iou": float(layer["nms_threshold"]),
        "score_threshold": float(layer["score_threshold"]),
        "detections_per_picture": int(layer["max_detections"]),
        "nms_classes": "each" if layer["class_specific_filter"] else "one",
    }


def _one_label(layer: Said) -> Said:
    """cvisionai's, which has no threshold of scores."""
    if layer["top_k"]:
        raise InputError(f"top_k: {layer['top_k']} must be None, as boxes are not counted before NMS here")
    return {"nms_iou": float(layer["nms_threshold"]), "detections_per_picture": int(layer["max_boxes"])}


READ: dict[str, Callable[[Said], Said]] = {
    "RegressBoxes": _deltas,
    "FilterDetections": _detections,
    "NonMaximumSuppression": _one_label,
}
"""What is read of a layer, by its class."""
