"""The only room that knows both wings: the Keras reference and its port to torch behind one interface.

Both sides take and give numpy arrays, channels last, and variables by Keras name, so that what compares them needs to
know neither framework. Weights go to torch through the converter that users have.
"""

import gc
from collections.abc import Mapping
from typing import Any

from parity_tests.bridge.coco import coco_numbers
from parity_tests.bridge.frameworks import keras, keras_reference, tensorflow, torch_retinanet
from parity_tests.bridge.keras_side import ANCHOR_SCALE, KerasSide
from parity_tests.bridge.pictures import picture_batch, read_pictures
from parity_tests.bridge.prepare import check_preset, detection_limits, prepare, turn
from parity_tests.bridge.scenes import digits, matching_digits
from parity_tests.bridge.side import Recipe, Side
from parity_tests.bridge.torch_side import Config, TorchSide
from parity_tests.errors import InputError

INPUT_ERRORS = (InputError, torch_retinanet.InputError, keras_reference.InputError)
"""What either side raises for wrong input."""

FRAMEWORK_ERRORS = (RuntimeError, MemoryError, tensorflow.errors.OpError)
"""What either side raises where it cannot compute, for want of memory or of a kernel."""


def build_sides(
    preset: str,
    config: Config,
    dtype: str,
    *,
    optimizer_turns: Mapping[str, Any] | None = None,
    anchor_scale: float = ANCHOR_SCALE,
) -> tuple[Side, Side]:
    """The reference of `preset` and the port in the conventions of `config`, with fresh values.

    The reference has anchors of `anchor_scale`, whatever those of the port are.
    """
    reference = KerasSide(preset, config.num_classes, dtype, anchor_scale=anchor_scale)
    return reference, TorchSide(config, dtype, optimizer_turns=optimizer_turns)


def release() -> None:
    """Give the memory of all models that are no longer used back."""
    keras.backend.clear_session()
    gc.collect()


__all__ = [
    "ANCHOR_SCALE",
    "FRAMEWORK_ERRORS",
    "INPUT_ERRORS",
    "Config",
    "KerasSide",
    "Recipe",
    "Side",
    "TorchSide",
    "build_sides",
    "check_preset",
    "coco_numbers",
    "detection_limits",
    "digits",
    "matching_digits",
    "picture_batch",
    "prepare",
    "read_pictures",
    "release",
    "turn",
]
