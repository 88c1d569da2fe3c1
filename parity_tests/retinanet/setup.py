"""What a comparison of both sides starts from: conventions, weights, and all that a user can say about it.

Keras, and what draws digits and computes metrics, is loaded where it is used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from parity_tests.retinanet.anchors import changed_anchors
from parity_tests.retinanet.comparison import PRESETS, DetectorComparison, detector_sides
from parity_tests.retinanet.inputs import LazyWeights, Size, random_variables, size_name
from parity_tests.retinanet.matching import Limits
from parity_tests.retinanet.optimizers import OptimizerConventions
from parity_tests.retinanet.side import DetectorSide
from parity_tests.retinanet.torch_side import TorchDetectorSide
from parity_tests.retinanet.torch_surroundings import Config
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from torch_retinanet.config.fields import check_value, conventions, read_value
from torch_retinanet.weights import read_weights
from torch_retinanet.weights.keras_file import keras_preset
from torch_retinanet.weights.keras_names import keras_name, keras_shape, keras_variables
from torch_retinanet.weights.weights_file import check_numpy, expected_shapes


def start_run(
    preset: str = "",
    *,
    weights: Path | None = None,
    overrides: Sequence[str] = (),
    sizes: Sequence[Size] = (),
    images: Sequence[Path] = (),
    data: Path | None = None,
    seed: int = 0,
) -> DetectorComparison:
    """A run of the reference of a preset, and of the port with conventions changed.

    Args:
        preset: by default that of `weights`.
        weights: a file of either side; by default seeded random.
        overrides: conventions of the port, `p7_relu=before`.
        sizes: picture sizes of all rungs; by default each rung has its own.
        images: pictures, instead of seeded noise.
        data: annotated pictures on which `weights` detect.
        seed: of weights and pictures.

    Raises:
        UsageError: for whatever cannot be taken, of the side that refuses it.
        FileNotFoundError: where there is no file.
    """
    from parity_tests.retinanet.coco import coco_numbers
    from parity_tests.retinanet.pictures import read_pictures
    from parity_tests.retinanet.scenes import DigitInputs

    assert weights or not data, "the command refuses pictures without weights"
    pictures = read_pictures(images) if images else None
    preset = check_preset(preset, weights)
    config, variables = prepare(preset, weights, sizes, seed=seed)
    changed, optimizer_overrides = override(config, overrides)
    build: dict[str, Callable[[str], DetectorSide]] = {
        "reference": partial(_reference, preset, config, seed),
        "port": partial(TorchDetectorSide, changed, seed=seed, optimizer_overrides=optimizer_overrides),
    }
    run = DetectorComparison(
        preset=preset,
        config=changed,
        limits=detection_limits(preset),
        sides=detector_sides(build, variables),
        weights=variables,
        inputs=DigitInputs(pictures, seed=seed),
        metric=coco_numbers,
        sizes=sizes,
    )
    return replace(run, scenes=_scenes(data, weights, changed)) if data and weights else run


def _reference(preset: str, config: Config, seed: int, dtype: str) -> DetectorSide:
    from parity_tests.retinanet.keras_side import KerasDetectorSide  # what prepares the port does not need Keras

    anchors = changed_anchors(config, Config.preset(preset))
    return KerasDetectorSide(preset, config.num_classes, dtype, anchors=anchors, seed=seed)


def _scenes(data: Path, weights: Path, config: Config) -> list[Any]:
    from parity_tests.retinanet.annotated import annotated_scenes  # what reads annotations is in the extra `train`

    return list(annotated_scenes(data, weights, config))


def check_preset(preset: str, weights: Path | None) -> str:
    """The preset itself; where it has no name, that of the weights file.

    Raises:
        UsageError: for a preset without a reference.
    """
    if not preset and weights is not None:
        return _preset_of(weights)
    Config.preset(preset)
    if preset not in PRESETS:
        raise UsageError(f"--preset: {preset!r} has no Keras reference; there is one for {', '.join(PRESETS)}")
    return preset


def prepare(
    preset: str, weights: Path | None = None, sizes: Sequence[Size] = (), *, seed: int = 0
) -> tuple[Config, Mapping[str, Array]]:
    """Config of a preset and variables by Keras name, from a weights file of either framework or random from a seed.

    Raises:
        UsageError: for sizes that the preset refuses, or a file that holds something else.
    """
    config = Config.preset(preset)
    if refused := [size for size in sizes if any(side % 32 for side in size)]:
        raise UsageError(f"--sizes: {size_name(refused[0])} does not divide by 32, which preset {preset} needs")
    if weights is not None:
        return _read_variables(weights, preset)
    shapes = {key: keras_shape(shape) for name, shape in expected_shapes(config).items() if (key := keras_name(name))}
    return config, LazyWeights(lambda: random_variables(shapes, seed=seed))


def detection_limits(preset: str) -> Limits:
    """Where the detections of a preset are cut off."""
    config = Config.preset(preset)
    return Limits(config.score_threshold, config.nms_iou, config.detections_per_picture)


def override(config: Config, assignments: Sequence[str]) -> tuple[Config, dict[str, Any]]:
    """`config` with conventions changed, each written as `p7_relu=before`, and those of the optimiser among them."""
    of_optimizer = {field.name: field for field in conventions(OptimizerConventions)}
    changed: dict[str, Any] = {}
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        if name in of_optimizer:
            changed[name] = read_value(of_optimizer[name], text)
            check_value(of_optimizer[name], changed[name])
        else:
            config = config.with_convention(assignment)
    return config, changed


def _preset_of(path: Path) -> str:
    """The preset of a weights file that both sides can hold."""
    config = read_weights(path).config
    preset = keras_preset(config)
    if preset is None:
        raise UsageError(f"--weights: {path} holds preset {config.name}, which has no Keras reference")
    return preset


def _read_variables(path: Path, preset: str) -> tuple[Config, dict[str, Array]]:
    contents = read_weights(path, preset=preset if path.name.endswith(".weights.h5") else None)
    if keras_preset(contents.config) != preset:
        raise UsageError(f"{path}: holds preset {contents.config.name}, not {preset}")
    if contents.part != "model":
        raise UsageError(f"--weights: {path} holds a {contents.part} alone, and a whole model is compared")
    variables = keras_variables(contents.tensors)
    check_numpy(str(path), variables)
    return contents.config, {name: tensor.numpy() for name, tensor in variables.items()}
