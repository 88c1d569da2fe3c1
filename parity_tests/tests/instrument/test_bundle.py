"""A side is recorded once, and the other is checked against it without it; a bundle that is damaged is refused."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.bundle.check import (
    LEFT_OUT,
    OTHER,
    replayed,
    rungs_of,
    sampled_sizes,
    samples_in_words,
    unrecorded,
)
from parity_tests.bundle.files import MANIFEST, Bundle, BundleWriter, manifest_digest
from parity_tests.bundle.record import record
from parity_tests.cli import main
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.rungs import RUNGS
from parity_tests.retinanet.setup import turn
from parity_tests.retinanet.side import DetectorSide
from parity_tests.retinanet.torch_side import TorchSide
from parity_tests.rule.budgets import rounding_budget
from parity_tests.rule.compare import compare_values
from parity_tests.rule.digest import digest_of
from parity_tests.rule.divergence import divergence
from parity_tests.rule.errors import InputError
from parity_tests.rule.record import Record
from parity_tests.rule.sampled import DIGESTS, LARGEST_WHOLE, SAMPLES, Sampled, sample

FEW = ("forward", "anchors", "targets", "losses", "backward", "detections")
"""Rungs of the bundles here."""

LARGE = (128, 128)
"""A size at which taps are samples in both precisions."""

SIDES = ("keras", "torch")
"""By their place in a run."""


@pytest.fixture(scope="module")
def small(run: DetectorComparison) -> DetectorComparison:
    """The default run at a small size and a large one, whose models are built already."""
    return replace(run, sizes=[(32, 64), LARGE], build=run.sides)


@pytest.fixture(scope="module", params=["keras", "torch"])
def recorded(
    request: pytest.FixtureRequest, small: DetectorComparison, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of either side."""
    folder = tmp_path_factory.mktemp("bundles") / f"{request.param}.parity"
    few = {name: RUNGS[name] for name in FEW}
    about = {"left_out": {}, "seed": 0}
    record(against_itself(small, request.param), request.param, folder, few, about=about)
    return folder


def against_itself(run: DetectorComparison, name: str) -> DetectorComparison:
    """A run of one of its sides, whose models outlive it."""

    def build(dtype: str) -> tuple[DetectorSide, DetectorSide]:
        side: Any = KeptSide(run.sides(dtype)[SIDES.index(name)])
        return side, side

    return replace(run, build=build, _sides={})


class KeptSide:
    """A side that is not released."""

    def __init__(self, side: DetectorSide) -> None:
        self.side, self.sources = side, side.sources

    def __getattr__(self, name: str) -> object:
        return getattr(self.side, name)

    def release(self) -> None:
        """Others still use it."""


def check(folder: Path, build: Callable[[str], DetectorSide], *rungs: str) -> list[Record]:
    """The records of a bundle and the other side, on the rungs that are named or on all that were recorded."""
    bundle = Bundle(folder)
    asked = {name: cases for name, cases in rungs_of(bundle).items() if not rungs or name in rungs}
    return [*climb(asked, replayed(bundle, build), lambda progress: None).records]


@pytest.fixture(scope="module")
def checked(recorded: Path, small: DetectorComparison) -> list[Record]:
    """The other side against what was recorded."""
    return check(recorded, other_side(recorded, small))


def other_side(recorded: Path, run: DetectorComparison) -> Callable[[str], DetectorSide]:
    return lambda dtype: run.sides(dtype)[SIDES.index(OTHER[recorded.stem])]


def test_the_other_side_is_equal_to_what_was_recorded(checked: list[Record]) -> None:
    assert [record for record in checked if record.verdict != "equal"] == []
    assert {record.rung for record in checked} == {*FEW}
    assert {record.mode for record in checked if record.rung == "forward" and record.size == "32x64"} == {
        *("isolated", "cascaded")
    }


def test_where_taps_are_samples_modules_are_not_fed_and_the_report_says_so(checked: list[Record]) -> None:
    assert {record.mode for record in checked if record.rung == "forward" and record.size == "128x128"} == {"cascaded"}
    assert sampled_sizes(checked) == [
        "at 128x128 in float64, 128x128 in float32 taps were recorded as samples and digests: modules were not fed "
        "alone there"
    ]


@pytest.mark.planted
@pytest.mark.parametrize(
    ("assignment", "rung", "name"),
    [
        ("stride2_padding=symmetric", "forward", "p6"),
        ("anchor_centre=corner", "anchors", "anchors"),
        ("match_iou=0.50001", "targets", "targets.classes"),
        ("focal_gamma=1.5", "losses", "loss.classification"),
    ],
)
@pytest.mark.parametrize("recorded", ["keras"], indirect=True)
def test_a_turned_convention_is_named_against_a_recorded_reference(
    small: DetectorComparison, recorded: Path, assignment: str, rung: str, name: str
) -> None:
    """Conventions are turned on the PyTorch side."""
    config, _ = turn(small.config, [assignment])
    parting = divergence(check(recorded, lambda dtype: TorchSide(config, dtype), rung))
    assert parting is not None
    assert parting.first.name == name


def copied(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / recorded.name))


def damage_bytes(folder: Path) -> None:
    path = folder / "forward.safetensors"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def truncate(folder: Path) -> None:
    path = folder / "targets.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def change_manifest(key: str, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest[key] = value
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return change


def forge(key: str, value: object) -> Callable[[Path], None]:
    """A change after which the manifest's digest is right again."""

    def change(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        manifest[key] = value
        manifest["digest"] = manifest_digest(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return change


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (damage_bytes, "forward.safetensors: is not as it was recorded (its checksum differs)"),
    "the end of a file": (truncate, "targets.safetensors: is not as it was recorded"),
    "a file": (lambda folder: (folder / "anchors.safetensors").unlink(), "anchors.safetensors: is missing"),
    "the manifest": (lambda folder: (folder / MANIFEST).unlink(), "is no bundle, since it has no manifest.json"),
    "half the manifest": (lambda folder: (folder / MANIFEST).write_text('{"format": "ret'), "not JSON"),
    "another version": (change_manifest("format", "retinanet-parity bundle 9"), "holds 'retinanet-parity bundle 9'"),
    "fewer rungs": (change_manifest("rungs", ["anchors"]), "is not as it was recorded (its digest differs)"),
    "a foreign side": (forge("side", "mxnet"), "side 'mxnet' must be one of keras, torch"),
    "checksums that are a list": (forge("checksums", []), "'checksums' is [], and must be of type dict"),
    "sizes that are a number": (forge("sizes", 5), "'sizes' is 5, and must be of type list"),
    "a size that is a number": (forge("sizes", [5]), "'sizes'[0] is 5, and must be of type list"),
    "a size of three sides": (forge("sizes", [[32, 64, 3]]), "'sizes'[0] is [32, 64, 3], and must have 2 items"),
    "a side that is a text": (forge("sizes", [["32", 64]]), "'sizes'[0][0] is '32', and must be of type int"),
    "no limits": (forge("limits", {}), "'limits'['score'] is None, and must be of type float"),
    "names that are a text": (forge("names", {"forward": "x"}), "'names'['forward'] is 'x', and must be of type list"),
    "a name that is none": (forge("names", {"forward": ["x"]}), "has no answer of forward for float64/forward 32x64/1"),
    "a sample that is a number": (forge("samples", {"a": 5}), "'samples'['a'] is 5, and must be of type dict"),
    "a source that is none": (forge("sources", {"p3": None}), "'sources'['p3'] is None, and must be of type str"),
    "a path that leaves": (forge("checksums", {"../../x.safetensors": ""}), "is missing in the bundle"),
    "a preset nobody knows": (forge("preset", "fizyr"), "'fizyr' must be one of"),
}
"""What can happen to a bundle, and the sentence that says so."""


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_or_foreign_bundle_is_refused_in_a_sentence(
    what: str, recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(recorded, tmp_path)
    harm, sentence = DAMAGE[what]
    harm(folder)
    assert main(["check", str(folder)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_what_is_recorded_stays_as_it_was() -> None:
    writer, live = BundleWriter(), np.zeros(3)
    writer.put("step", "bias", live)
    live += 1
    assert not writer.arrays["step"]["bias"].any()


def test_a_rung_that_was_not_recorded_makes_the_check_incomplete(recorded: Path) -> None:
    missing = unrecorded(Bundle(recorded))
    assert [record.rung for record in missing] == [name for name in RUNGS if name not in (*FEW, *LEFT_OUT)]
    assert {record.verdict for record in missing} == {"incomplete"}


def test_what_is_sampled_is_said(recorded: Path) -> None:
    [sentence] = samples_in_words(Bundle(recorded))
    assert re.match(r"recorded as samples and digests, since they are large: .*\d+ of forward", sentence)


def test_an_answer_is_not_given_to_another_question(recorded: Path, small: DetectorComparison) -> None:
    run = replayed(Bundle(recorded), other_side(recorded, small))
    side = run.sides.reference("float64")
    boxes, labels = [np.array([[0.0, 0, 9, 9]])], [np.array([1])]
    side.begin("targets 32x64")
    with pytest.raises(InputError, match="was given something else for targets"):
        side.targets((32, 64), boxes, labels)


def test_the_digest_of_arguments_is_of_every_number_and_shape_and_none_of_samples() -> None:
    given = ({"a": np.arange(3.0)}, [np.ones(2)], 5)
    assert digest_of(given) == digest_of(({"a": np.arange(3.0)}, [np.ones(2)], 5))
    assert digest_of(given) != digest_of(({"a": np.arange(3.0)}, [np.ones(2)], 6))
    assert digest_of(given) != digest_of(({"a": np.arange(3.0)}, [np.zeros(2)], 5))
    assert digest_of(np.ones((2, 3))) != digest_of(np.ones((3, 2)))
    assert digest_of(np.zeros(2)) != digest_of(np.zeros(2, np.int64))
    assert digest_of(([np.ones(2)], [np.ones(1)])) != digest_of(([np.ones(1)], [np.ones(2)]))
    assert digest_of((sample(np.arange(9e4)),)) == ""


def test_a_folder_that_only_looks_like_a_bundle_is_not_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / MANIFEST).write_text('{"format": "retinanet-parity bundle 1"}')
    (tmp_path / "thesis.txt").write_text("two years of work")
    assert main(["record", "--out", str(tmp_path)]) == 2
    assert "exists and is no bundle, and is not replaced" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()


def test_a_folder_that_is_no_bundle_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("two years of work")
    assert main(["record", "--out", str(tmp_path)]) == 2
    assert "exists and is no bundle, and is not replaced" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").exists()


@pytest.fixture
def large() -> "np.ndarray":
    return np.random.default_rng(0).normal(size=(2, 40, 60, 8))


def compare(reference: "np.ndarray", port: "np.ndarray") -> Record:
    kept = sample(reference)
    return compare_values("forward", "float64 cascaded", "p3", kept, port, rounding_budget(kept, 64))


def test_small_arrays_are_kept_whole_and_large_ones_as_samples_and_digests(large: "np.ndarray") -> None:
    assert isinstance(sample(np.zeros(LARGEST_WHOLE)), np.ndarray)
    kept = sample(large)
    assert isinstance(kept, Sampled)
    assert kept.values.shape == (SAMPLES + DIGESTS,)
    assert (kept.shape, kept.finite, kept.largest) == (large.shape, True, np.abs(large).max())


def test_any_single_wrong_element_shows_in_the_digests(large: "np.ndarray") -> None:
    assert compare(large, large.copy()).verdict == "equal"
    for place in np.random.default_rng(1).integers(0, large.size, 50):
        wrong = large.copy()
        wrong.reshape(-1)[place] += 1e-9
        assert compare(large, wrong).verdict == "different"


@pytest.mark.parametrize("change", [lambda x: x.swapaxes(1, 2), lambda x: x[:1], lambda x: x.astype(np.float32)])
def test_the_structure_of_samples_is_that_of_the_whole(
    large: "np.ndarray", change: Callable[["np.ndarray"], "np.ndarray"]
) -> None:
    assert compare(large, change(large)).verdict == "different"


def test_rounding_passes_in_samples_and_a_nan_does_not(large: "np.ndarray") -> None:
    signs = np.where(np.random.default_rng(2).random(large.shape) < 0.5, -np.inf, np.inf)
    assert compare(large, np.nextafter(large, signs)).verdict == "equal"
    broken = large.copy()
    broken[0, 0, 0, 0] = np.nan
    assert compare(large, broken).verdict == "different"
    assert compare(broken, large).verdict == "different"
    assert compare(broken, broken).verdict == "incomplete"


def test_what_was_not_recorded_is_refused(recorded: Path, small: DetectorComparison) -> None:
    case = RUNGS["trajectory"](replayed(Bundle(recorded), other_side(recorded, small)))[0]
    with pytest.raises(InputError, match="has no answer of trajectory"):
        case.compare()
