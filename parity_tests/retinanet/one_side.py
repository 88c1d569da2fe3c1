"""What a side is recorded from, for which the other framework need not be installed."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from parity_tests.retinanet.anchors import changed_anchors
from parity_tests.retinanet.comparison import DetectorComparison, detector_sides
from parity_tests.retinanet.inputs import NoiseInputs, random_variables
from parity_tests.retinanet.matching import Limits
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array


class Framework(NamedTuple):
    """What one framework has of a preset: its conventions, its limits, and what builds its side in them."""

    config: Any
    limits: Limits
    build: Callable[[Any, str, int], DetectorSide]


def start_one_side(side: str, preset: str = "", *, weights: Path | None = None, seed: int = 0) -> DetectorComparison:
    """A comparison that has one side alone; from one seed, either side has the same weights and pictures.

    Args:
        side: `keras` or `torch`; it alone is imported and built, and torch where there is a file of weights to read.
        preset: by default that of `weights`.
        weights: a file of either side; by default seeded random.
        seed: of weights and pictures.

    Raises:
        UsageError: for a file that holds something else, or cannot be read since torch is not installed.
        FileNotFoundError: where there is no file.
        ModuleNotFoundError: where the side's own framework is not installed.
    """
    read = _read(weights, preset) if weights else None
    preset = read[0] if read else preset
    own = FRAMEWORKS[side](preset)
    config = read[1] if read else own.config
    if set(changed_anchors(config, own.config)) - {"anchor_scale"}:
        raise UsageError(f"--weights: {weights} has other anchors a cell than {preset}, which bundles cannot say")

    def build(dtype: str) -> DetectorSide:
        return own.build(config, dtype, seed)

    variables = read[2] if read else _drawn(build("float32"), seed)
    return DetectorComparison(
        preset=preset,
        config=config,
        limits=own.limits,
        sides=detector_sides({"reference": build}, variables),
        weights=variables,
        inputs=NoiseInputs(seed=seed),
        metric=no_metric,
    )


def no_metric(*arguments: Any) -> dict[str, float]:
    """Bundles have no rung that needs it."""
    raise NotImplementedError


def _read(weights: Path, preset: str) -> tuple[str, Any, Mapping[str, Array]]:
    """The preset, config and variables of a file."""
    try:
        from parity_tests.retinanet.setup import check_preset, prepare
    except ModuleNotFoundError as error:
        raise UsageError(f"--weights: {weights} is read with {error.name}, which is not installed") from None
    preset = check_preset(preset, weights)
    return preset, *prepare(preset, weights)


def _drawn(side: DetectorSide, seed: int) -> Mapping[str, Array]:
    """Random variables in the order of their names, which both sides share."""
    shapes = {name: values.shape for name, values in sorted(side.parameters().items())}
    side.release()
    return random_variables(shapes, seed=seed)


def _keras(preset: str) -> Framework:
    from parity_tests.retinanet.frameworks import keras_reference
    from parity_tests.retinanet.keras_side import REFERENCES, KerasDetectorSide, preset_classes

    def build(config: Any, dtype: str, seed: int) -> DetectorSide:
        anchors = changed_anchors(config, REFERENCES[preset](config.num_classes))
        return KerasDetectorSide(preset, config.num_classes, dtype, anchors=anchors, seed=seed)

    cut = keras_reference.DecodePredictions().limits
    limits = Limits(cut["confidence_threshold"], cut["nms_iou_threshold"], cut["max_detections"])
    return Framework(REFERENCES[preset](preset_classes(preset)), limits, build)


def _torch(preset: str) -> Framework:
    from parity_tests.retinanet.setup import detection_limits
    from parity_tests.retinanet.torch_side import TorchDetectorSide
    from parity_tests.retinanet.torch_surroundings import Config

    def build(config: Any, dtype: str, seed: int) -> DetectorSide:
        return TorchDetectorSide(config, dtype, seed=seed)

    return Framework(Config.preset(preset), detection_limits(preset), build)


FRAMEWORKS: Mapping[str, Callable[[str], Framework]] = {"keras": _keras, "torch": _torch}
"""By the side that is recorded."""
