"""What a side is recorded from: a run of it against itself, for which the other framework need not be installed."""

from pathlib import Path
from typing import Any

from parity_tests.bridge.side import Side
from parity_tests.bundle.check import no_metric
from parity_tests.errors import InputError
from parity_tests.inputs import random_variables
from parity_tests.matching import Limits
from parity_tests.noise import NoiseInputs
from parity_tests.rungs import Run


def start_alone(side: str, preset: str = "", *, weights: Path | None = None, seed: int = 0) -> Run:
    """The run of a side against itself; from one seed, either side has the same weights and pictures.

    Args:
        side: `keras` or `torch`; it alone is imported and built, and torch where there is a file of weights to read.
        preset: by default that of `weights`.
        weights: a file of either side; by default seeded random.
        seed: of weights and pictures.

    Raises:
        InputError: for a file that holds something else, or cannot be read since torch is not installed.
        FileNotFoundError: where there is no file.
        ModuleNotFoundError: where the side's own framework is not installed.
    """
    config, variables = None, None
    if weights is not None:
        preset, config, variables = _read(weights, preset)
    config = config or _config(side, preset)

    def build(dtype: str) -> tuple[Side, Side]:
        alone = _built(side, preset, config, dtype, seed)
        return alone, alone

    return Run(
        preset=preset,
        config=config,
        limits=_limits(side, preset),
        variables=variables or _drawn(build("float32")[0], seed),
        build=build,
        inputs=NoiseInputs(seed=seed),
        metric=no_metric,
    )


def _read(weights: Path, preset: str) -> tuple[str, Any, Any]:
    """The preset, config and variables of a file."""
    try:
        from parity_tests.bridge.prepare import check_preset, prepare
    except ModuleNotFoundError as error:
        raise InputError(f"--weights: {weights} is read with {error.name}, which is not installed") from None
    preset = check_preset(preset, weights)
    return preset, *prepare(preset, weights)


def _drawn(side: Side, seed: int) -> Any:
    """Random variables in the order of their names, which both sides share."""
    shapes = {name: values.shape for name, values in sorted(side.variables().items())}
    side.release()
    return random_variables(shapes, seed=seed)


def _config(side: str, preset: str) -> Any:
    if side == "keras":
        from parity_tests.bridge.keras_side import REFERENCES, preset_classes

        return REFERENCES[preset](preset_classes(preset))
    from parity_tests.bridge.torch_side import Config

    return Config.preset(preset)


def _limits(side: str, preset: str) -> Limits:
    """Where the side cuts its detections off."""
    if side == "keras":
        from parity_tests.bridge.frameworks import keras_reference

        limits = keras_reference.DecodePredictions().limits
        return Limits(limits["confidence_threshold"], limits["nms_iou_threshold"], limits["max_detections"])
    from parity_tests.bridge.prepare import detection_limits

    return detection_limits(preset)


def _built(side: str, preset: str, config: Any, dtype: str, seed: int) -> Side:
    if side == "keras":
        from parity_tests.bridge.keras_side import KerasSide

        return KerasSide(preset, config.num_classes, dtype, anchor_scale=config.anchor_scale, seed=seed)
    from parity_tests.bridge.torch_side import TorchSide

    return TorchSide(config, dtype, seed=seed)
