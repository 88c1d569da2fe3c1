"""A side is recorded where the other framework is not installed, from weights and pictures that both sides share."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from parity_tests.bundle.files import Bundle
from parity_tests.ladder.climb import climb
from parity_tests.retinanet.comparison import PRESETS, DetectorComparison
from parity_tests.retinanet.inputs import NoiseInputs
from parity_tests.retinanet.one_side import FRAMEWORKS, start_one_side
from parity_tests.retinanet.recorded import OTHER, recorded_comparison, recorded_facts
from parity_tests.retinanet.rungs import cases_of
from parity_tests.retinanet.setup import detection_limits

SIDES = ("keras", "torch")

WITHOUT = """
import sys
from importlib.machinery import PathFinder
absent, find = sys.argv.pop(1).split(), PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name.partition(".")[0] in absent else find(name, *more)
"""
"""What makes an interpreter one in which the packages that its first argument names are not installed."""

RECORDS = """
from dataclasses import replace
from pathlib import Path
from parity_tests.retinanet.one_side import start_one_side
from parity_tests.bundle.record import record
from parity_tests.retinanet.recorded import facts_of
from parity_tests.retinanet.rungs import cases_of
side, folder = sys.argv[1:]
run = replace(start_one_side(side, "notebook"), sizes=[(32, 64)])
record(cases_of(run, ["anchors", "targets"]), run.sides, run.weights, Path(folder), about=facts_of(run, side))
print([name for name in absent if name in sys.modules])
"""
"""What records a side in a folder."""

PACKAGES = {"keras": ("tensorflow", "keras", "focal_loss", "jax"), "torch": ("torch", "torchvision")}
"""The packages that a side needs and the other does not."""


def python_without(side: str, code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """What code does where the packages of a side are not installed."""
    words = [sys.executable, "-c", WITHOUT + code, " ".join(PACKAGES[side]), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow  # .ci/run records each side in an environment of its own
@pytest.mark.parametrize("side", SIDES)
def test_a_side_is_recorded_where_the_other_framework_is_not_installed(
    side: str, run: DetectorComparison, tmp_path: Path
) -> None:
    folder = tmp_path / f"{side}.parity"
    ended = python_without(OTHER[side], RECORDS, side, folder)
    assert (ended.returncode, ended.stdout) == (0, "[]\n"), ended.stderr[-2000:]
    bundle, other = Bundle(folder), run.sides.port if side == "keras" else run.sides.reference
    recorded = recorded_comparison(bundle, recorded_facts(bundle), other)
    records = climb(cases_of(recorded, bundle.rungs), recorded.sides, answers=bundle)
    assert {record.rung for record in records} == {"anchors", "targets"}
    assert {record.verdict for record in records} == {"equal"}


def test_weights_in_a_file_are_refused_where_there_is_no_torch(tmp_path: Path) -> None:
    command = "from parity_tests.cli import main; sys.exit(main(['record', *sys.argv[1:]]))"
    ended = python_without("torch", command, "--out", tmp_path / "x.parity", "--weights", "model.keras")
    sentence = "retinanet-parity: --weights: model.keras is read with torch, which is not installed\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", sentence)


@pytest.mark.parametrize("preset", PRESETS)
def test_detections_are_cut_off_alike_on_either_side(preset: str) -> None:
    limits = [FRAMEWORKS[side](preset).limits for side in SIDES]
    assert limits == [detection_limits(preset)] * 2


def test_either_side_has_the_same_weights_and_pictures_from_a_seed() -> None:
    runs = [start_one_side(side, "notebook", seed=3) for side in SIDES]
    assert runs[0].weights.keys() == runs[1].weights.keys()
    assert all(np.array_equal(values, runs[1].weights[name]) for name, values in runs[0].weights.items())
    scenes = [run.inputs.training((32, 64), 2, 5)[4] for run in runs]
    assert np.array_equal(scenes[0].images, scenes[1].images)
    assert all(map(np.array_equal, scenes[0].boxes, scenes[1].boxes))


@pytest.mark.parametrize("size", [(32, 64), (64, 64), (96, 160)])
def test_some_anchor_fits_a_box_of_every_picture(run: DetectorComparison, size: tuple[int, int]) -> None:
    for scene in NoiseInputs(seed=1).training(size, 2, 50):
        classes = run.sides.port("float64").targets(size, scene.boxes, scene.labels)["targets.classes"]
        assert (classes >= 0).any(axis=1).all()


NORM = """
import numpy as np
from parity_tests.retinanet.rungs.step import norm
rng = np.random.default_rng(0)
print(repr(norm([rng.normal(size=(3, 3, 256, 256)), rng.normal(size=100_001)])))
"""


def test_what_a_step_is_asked_does_not_depend_on_threads() -> None:
    norms = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        words = [sys.executable, "-c", NORM]
        norms.add(
            subprocess.run(words, capture_output=True, text=True, env=environment, timeout=100, check=True).stdout
        )
    assert len(norms) == 1
