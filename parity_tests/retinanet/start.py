"""What a run of both sides starts from, all that a user can say about it included."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from parity_tests.retinanet.coco import coco_numbers
from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.keras_side import KerasSide
from parity_tests.retinanet.pictures import read_pictures
from parity_tests.retinanet.prepare import check_preset, detection_limits, prepare, turn
from parity_tests.retinanet.rungs import Run
from parity_tests.retinanet.scenes import DigitInputs
from parity_tests.retinanet.side import Side
from parity_tests.retinanet.torch_side import Config, TorchSide


def start_run(
    preset: str = "",
    *,
    weights: Path | None = None,
    turns: Sequence[str] = (),
    sizes: Sequence[Size] = (),
    images: Sequence[Path] = (),
    data: Path | None = None,
    seed: int = 0,
) -> Run:
    """A run of the reference of a preset, and of the port with conventions turned.

    Args:
        preset: by default that of `weights`.
        weights: a file of either side; by default seeded random.
        turns: conventions of the port, `p7_relu=before`.
        sizes: picture sizes of all rungs; by default each rung has its own.
        images: pictures, instead of seeded noise.
        data: annotated pictures on which `weights` detect.
        seed: of weights and pictures.

    Raises:
        InputError: for whatever cannot be taken, of the side that refuses it.
        FileNotFoundError: where there is no file.
    """
    assert weights or not data, "the command refuses pictures without weights"
    pictures = read_pictures(images) if images else None
    preset = check_preset(preset, weights)
    config, variables = prepare(preset, weights, sizes, seed=seed)
    turned, optimizer_turns = turn(config, turns)
    run = Run(
        preset=preset,
        config=turned,
        limits=detection_limits(preset),
        variables=variables,
        build=partial(build_sides, preset, turned, optimizer_turns, config.anchor_scale, seed=seed),
        inputs=DigitInputs(pictures, seed=seed),
        metric=coco_numbers,
        sizes=sizes,
    )
    return replace(run, scenes=_scenes(data, weights, turned)) if data and weights else run


def build_sides(
    preset: str, config: Config, optimizer_turns: dict[str, Any], anchor_scale: float, dtype: str, *, seed: int = 0
) -> tuple[Side, Side]:
    """The reference of `preset` with anchors of a scale, and the port in the conventions of `config`; fresh values."""
    reference = KerasSide(preset, config.num_classes, dtype, anchor_scale=anchor_scale, seed=seed)
    return reference, TorchSide(config, dtype, seed=seed, optimizer_turns=optimizer_turns)


def _scenes(data: Path, weights: Path, config: Config) -> list[Any]:
    from parity_tests.retinanet.annotated import annotated_scenes  # what reads annotations is in the extra `train`

    return list(annotated_scenes(data, weights, config))
