"""A side is recorded once, and the other is checked against it without it; a bundle that is damaged is refused."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests.bundle.check import sampled_sizes, samples_in_words, unrecorded
from parity_tests.bundle.files import MANIFEST, Bundle, manifest_digest
from parity_tests.bundle.record import record
from parity_tests.cli import main
from parity_tests.ladder.climb import climb
from parity_tests.retinanet.comparison import DetectorComparison, detector_sides
from parity_tests.retinanet.recorded import LEFT_OUT, facts_of, recorded_comparison, recorded_facts
from parity_tests.retinanet.rungs import RUNGS, cases_of
from parity_tests.retinanet.setup import override
from parity_tests.retinanet.torch_side import TorchDetectorSide
from parity_tests.rule.divergence import divergence
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Record
from parity_tests.tests.support.planted import Build

FEW = ("forward", "anchors", "targets", "losses", "backward", "detections")
"""Rungs of the bundles here."""

LARGE = (128, 128)
"""A size at which taps are samples in both precisions."""

SMALL = (32, 64)
"""A size at which they are whole."""


@pytest.fixture(scope="module")
def small(run: DetectorComparison) -> DetectorComparison:
    """The default run at a small size and a large one, whose models are built already."""
    return replace(run, sizes=[SMALL, LARGE])


@pytest.fixture(scope="module", params=["keras", pytest.param("torch", marks=pytest.mark.slow)])
def recorded(
    request: pytest.FixtureRequest, small: DetectorComparison, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of either side."""
    folder = tmp_path_factory.mktemp("bundles") / f"{request.param}.parity"
    run = alone(small, request.param)
    record(cases_of(run, FEW), run.sides, run.weights, folder, about=facts_of(run, request.param))
    return folder


@pytest.fixture(scope="module", params=["keras", "torch"])
def light(request: pytest.FixtureRequest, small: DetectorComparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of either side at the small size alone, with next to no weights, of which many copies are made."""
    folder = tmp_path_factory.mktemp("light") / f"{request.param}.parity"
    run = replace(alone(small, request.param), sizes=[SMALL])
    cases = [case for case in cases_of(run, ("forward", "anchors", "targets")) if case.where.size in (SMALL, None)]
    record(cases, run.sides, {"bias": np.zeros(3)}, folder, about=facts_of(run, request.param))
    return folder


def alone(run: DetectorComparison, side: str) -> DetectorComparison:
    """The run of one side, with no port beside it."""
    own = run.sides.reference if side == "keras" else run.sides.port
    return replace(run, sides=detector_sides({"reference": own}, run.weights))


def check(folder: Path, build: Build, *rungs: str) -> list[Record]:
    """The records of a bundle and the other side, on the rungs that are named or on all that were recorded."""
    bundle = Bundle(folder)
    run = recorded_comparison(bundle, recorded_facts(bundle), build)
    return climb(cases_of(run, rungs or bundle.rungs), run.sides, answers=bundle)


@pytest.fixture(scope="module")
def checked(recorded: Path, small: DetectorComparison) -> list[Record]:
    """The other side against what was recorded."""
    return check(recorded, other_side(recorded, small))


def other_side(recorded: Path, run: DetectorComparison) -> Build:
    return run.sides.port if recorded.stem == "keras" else run.sides.reference


def test_the_other_side_is_equal_to_what_was_recorded(checked: list[Record]) -> None:
    assert [record for record in checked if record.verdict != "equal"] == []
    assert {record.rung for record in checked} == {*FEW}
    assert modes_of_forward(checked, SMALL) == {"isolated", "cascaded"}


def modes_of_forward(records: list[Record], size: tuple[int, int]) -> set[str]:
    places = (record.where for record in records if record.rung == "forward")
    return {where.mode for where in places if where.size == size}


def test_where_taps_are_samples_modules_are_not_fed_and_the_report_says_so(checked: list[Record]) -> None:
    assert modes_of_forward(checked, LARGE) == {"cascaded"}
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
def test_a_changed_convention_is_named_against_a_recorded_reference(
    small: DetectorComparison, recorded: Path, assignment: str, rung: str, name: str
) -> None:
    """Conventions are changed on the PyTorch side."""
    config, _ = override(small.config, [assignment])

    def around(dtype: str) -> Any:
        """The network as it is, in what is changed around it."""
        port: Any = small.sides.port(dtype)
        return port.surrounded(config)

    build = around if rung != "forward" else lambda dtype: TorchDetectorSide(config, dtype, is_narrow=True)
    parting = divergence(check(recorded, build, rung))
    assert parting is not None
    assert parting.first.name == name


def copied(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / recorded.name))


FORWARD = ("cases", "forward 32x64")
IMAGES = (*FORWARD, "answer", "items", "images")
"""Places in a manifest."""

NO_ARRAY = "which stands for no array of the bundle"


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


def forge(*path: str, value: object = None, forget: bool = False) -> Callable[[Path], None]:
    """What stands there is changed or lost, and the manifest's digest is right again."""

    def change(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text())
        inner = manifest
        for key in path[:-1]:
            inner = inner[key]
        if forget:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
        manifest["digest"] = manifest_digest(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest))

    return change


def forget(*path: str) -> Callable[[Path], None]:
    """A part of the manifest is lost, and its digest is right again."""
    return forge(*path, forget=True)


def forge_sample(**parts: object) -> Callable[[Path], None]:
    """Samples with a part that is another or, if it is `None`, lost stand for an array."""
    whole = {"array": "0", "shape": [2, 32, 64, 3], "largest": 1.0, "finite": True} | parts
    return forge(*IMAGES, value={name: part for name, part in whole.items() if part is not None})


def forge_file(folder: Path) -> None:
    """A file of something else, whose checksum is right."""
    (folder / "anchors.safetensors").write_bytes(b"nothing")
    forge("checksums", "anchors.safetensors", value=hashlib.sha256(b"nothing").hexdigest())(folder)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (damage_bytes, "forward.safetensors: is not as it was recorded (its checksum differs)"),
    "the end of a file": (truncate, "targets.safetensors: is not as it was recorded"),
    "a file": (lambda folder: (folder / "anchors.safetensors").unlink(), "anchors.safetensors: is missing"),
    "a file of something else": (forge_file, "anchors.safetensors: not a whole safetensors file"),
    "a file that is not told of": (forget("checksums", "forward.safetensors"), NO_ARRAY),
    "weights that are not told of": (forget("checksums", "weights.safetensors"), "has no weights.safetensors"),
    "the manifest": (lambda folder: (folder / MANIFEST).unlink(), "is no bundle, since it has no manifest.json"),
    "half the manifest": (lambda folder: (folder / MANIFEST).write_text('{"format": "ret'), "not JSON"),
    "a manifest that is a list": (lambda folder: (folder / MANIFEST).write_text("[]"), "holds 'list'"),
    "another version": (change_manifest("format", "retinanet-parity bundle 9"), "holds 'retinanet-parity bundle 9'"),
    "the version before": (forge("format", value="retinanet-parity bundle 4"), "holds 'retinanet-parity bundle 4'"),
    "fewer cases": (change_manifest("cases", {}), "is not as it was recorded (its digest differs)"),
    "a foreign side": (forge("side", value="mxnet"), "side 'mxnet' must be one of keras, torch"),
    "checksums that are a list": (forge("checksums", value=[]), "'checksums' is [], and must be of type dict"),
    "sizes that are a number": (forge("sizes", value=5), "'sizes' is 5, and must be of type list"),
    "a size that is a number": (forge("sizes", value=[5]), "'sizes'[0] is 5, and must be of type list"),
    "a size of three sides": (forge("sizes", value=[[32, 64, 3]]), "'sizes'[0] is [32, 64, 3], and must have 2 items"),
    "a side that is a text": (forge("sizes", value=[["32", 64]]), "'sizes'[0][0] is '32', and must be of type int"),
    "a size that was not recorded": (forge("sizes", value=[[64, 64]]), "has no answer of forward 64x64"),
    "no limits": (forge("limits", value={}), "'limits'['score'] is None, and must be of type float"),
    "cases that are a list": (forge("cases", value=[]), "'cases' is [], and must be of type dict"),
    "a case that is a list": (forge(*FORWARD, value=[]), "'cases'['forward 32x64'] is [], and must be of type dict"),
    "a case of no rung": (
        forget(*FORWARD, "rung"),
        "'cases'['forward 32x64']['rung'] is None, and must be of type str",
    ),
    "a case without an answer": (forget(*FORWARD, "answer"), "['answer'] is None, and must be of type dict"),
    "an answer that is a text": (forge(*FORWARD, "answer", value="x"), "['answer'] is 'x', and must be of type dict"),
    "a case that is none": (forget(*FORWARD), "has no answer of forward 32x64; it was recorded otherwise"),
    "an answer of nothing": (forge(*FORWARD, "answer", value={}), f"an answer holds {{}}, {NO_ARRAY}"),
    "items that are a list": (forge(*FORWARD, "answer", value={"items": []}), NO_ARRAY),
    "an array that is none": (forge(*IMAGES, value={"array": "x"}), f"an answer holds {{'array': 'x'}}, {NO_ARRAY}"),
    "an array that is a list": (forge(*IMAGES, value={"array": []}), f"an answer holds {{'array': []}}, {NO_ARRAY}"),
    "samples of a number": (forge_sample(shape=5), NO_ARRAY),
    "samples of a text": (forge_sample(shape=["x"]), NO_ARRAY),
    "samples without end": (forge_sample(shape=[float("inf")]), NO_ARRAY),
    "samples of no array": (forge_sample(array=None), NO_ARRAY),
    "samples without a scale": (forge_sample(largest=None), NO_ARRAY),
    "samples whose scale is a list": (forge_sample(largest=[]), NO_ARRAY),
    "a source that is none": (forge("sources", "p3", value=None), "'sources'['p3'] is None, and must be of type str"),
    "a path that leaves": (forge("checksums", value={"../../x.safetensors": ""}), "is missing in the bundle"),
    "a preset nobody knows": (forge("preset", value="ssd"), "'ssd' must be one of"),
}
"""What can happen to a bundle, and the sentence that says so."""


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_or_foreign_bundle_is_refused_in_a_sentence(
    what: str, light: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(light, tmp_path)
    harm, sentence = DAMAGE[what]
    harm(folder)
    assert main(["check", str(folder)]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("what", ["asked with", "targets", "float64"])
@pytest.mark.parametrize("recorded", ["keras"], indirect=True)
def test_an_answer_that_lacks_a_part_is_incomplete_and_says_which(
    what: str, recorded: Path, small: DetectorComparison, tmp_path: Path
) -> None:
    bundle = Bundle(recorded)
    case = "losses 32x64"
    del bundle.manifest["cases"][case]["answer"]["items"][what]
    run = replace(recorded_comparison(bundle, recorded_facts(bundle), small.sides.port), sizes=[SMALL])
    asked = [each for each in cases_of(run, ["losses"]) if each.name == case]
    [record] = climb(asked, run.sides, answers=bundle)
    assert (record.verdict, what in record.reason) == ("incomplete", True)


def test_a_rung_that_was_not_recorded_makes_the_check_incomplete(recorded: Path) -> None:
    rungs = [name for name in RUNGS if name not in LEFT_OUT]
    missing = unrecorded(Bundle(recorded), rungs)
    assert [record.rung for record in missing] == [name for name in rungs if name not in FEW]
    assert {record.verdict for record in missing} == {"incomplete"}


def test_what_is_sampled_is_said(recorded: Path) -> None:
    [sentence] = samples_in_words(Bundle(recorded))
    assert re.match(r"recorded as samples and digests, since they are large: \d+ of forward", sentence)


def test_where_nothing_is_sampled_nothing_is_said(light: Path) -> None:
    assert samples_in_words(Bundle(light)) == []


@pytest.mark.parametrize("rung", ["losses", "backward", "detections"])
def test_an_answer_is_not_held_against_another_question(
    recorded: Path, small: DetectorComparison, rung: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where numpy draws other numbers than it did on the machine where the side was recorded."""
    draw = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda *seed: draw([1, *np.ravel(seed)]))
    with pytest.raises(UsageError, match="was asked with other numbers; record it again with this version"):
        check(recorded, other_side(recorded, small), rung)


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


def test_what_was_not_recorded_is_refused(recorded: Path, small: DetectorComparison) -> None:
    with pytest.raises(UsageError, match="has no answer of trajectory 32x64 inference; it was recorded otherwise"):
        check(recorded, other_side(recorded, small), "trajectory")
