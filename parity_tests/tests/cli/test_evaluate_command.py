"""`retinanet evaluate` as its users meet it: a model on annotations, anybody's results, and what is refused."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from parity_tests.tests.support.commands import NAMES, photo, save_run, written
from parity_tests.tests.support.paths import shared
from torch_retinanet import RetinaNetDetector
from torch_retinanet.cli import main
from torch_retinanet.cli.detector import read_detector

FILES = ["confusion.png", "detections.json", "metrics.json", "mistakes.png", "precision_recall.png"]
SIZES = [(50, 70), (64, 48), (50, 70), (90, 120), (50, 70), (120, 90)]
IDS = [31, 5, 12, 40, 2, 9]
CELLS = ("00007", "00019", "00020")
"""Pictures of blood cells in which all three classes are."""
CLASS_IDS = {"bird": 3, "cat": 7, "fish": 8, "dog": 90}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that has left a detector."""
    return save_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def data(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """COCO's JSON of six pictures whose objects lie near some of what the model finds; one in nine is a crowd."""
    folder, generator = tmp_path_factory.mktemp("data"), torch.Generator().manual_seed(0)
    paths = [photo(folder / f"{i}.png", seed=i, size=size) for i, size in enumerate(SIZES)]
    annotations: list[dict[str, Any]] = []
    for picture, size, found in zip(IDS, SIZES, read_detector(run).predict(paths), strict=True):
        for i in range(0, 90, 5):
            left, top, right, bottom = found["boxes"][i].tolist()
            width = min((right - left) * (1 - 0.3 * float(torch.rand((), generator=generator))), size[1] - left)
            annotations.append(
                {
                    "image_id": picture,
                    "category_id": CLASS_IDS[NAMES[int(found["labels"][i])]],
                    "bbox": [left, top, width, bottom - top],
                    "area": width * (bottom - top) / 2,
                    "iscrowd": int(i % 9 == 8),
                }
            )
    (folder / "data.json").write_text(
        json.dumps(
            {
                "images": [{"id": one, "file_name": f"{i}.png"} for i, one in enumerate(IDS)],
                "annotations": annotations,
                "categories": [{"id": one, "name": name} for name, one in CLASS_IDS.items()],
            }
        )
    )
    return folder / "data.json"


@pytest.fixture(scope="module")
def evaluated(run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the command leaves."""
    out = tmp_path_factory.mktemp("evaluated") / "out"
    assert main(["evaluate", str(run), str(data), "--out", str(out), "--read-ahead", "8"]) == 0
    return out


def metrics(folder: Path, name: str = "metrics.json") -> dict[str, Any]:
    numbers: dict[str, Any] = json.loads((folder / name).read_text())
    return numbers


def test_a_folder_has_numbers_detections_and_pictures(evaluated: Path, data: Path) -> None:
    assert written(evaluated) == FILES
    numbers = metrics(evaluated)
    assert (numbers["pictures"], numbers["unreadable"]) == (6, [])
    assert [one["name"] for one in numbers["classes"]] == list(NAMES)
    assert numbers["objects"] == sum(not one["iscrowd"] for one in json.loads(data.read_text())["annotations"])
    assert 0.01 < numbers["coco"]["map"] < 0.9
    for name in FILES:
        if name.endswith(".png"):
            with Image.open(evaluated / name) as picture:
                assert np.asarray(picture.convert("L")).std() > 10


def test_the_detections_evaluated_as_results_give_the_same_numbers(
    evaluated: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Up to the classes, of which the file has one that the model has not, in the order of their ids."""
    arguments = ["--truth", str(data), "--results", str(evaluated / "detections.json")]
    assert main(["evaluate", *arguments, "--json", str(tmp_path / "again.json")]) == 0
    again, before = metrics(tmp_path, "again.json"), metrics(evaluated)
    assert again["coco"] == before["coco"]
    assert again["voc_ap_50"] == pytest.approx(before["voc_ap_50"], abs=1e-12)
    assert again["mistakes"] == before["mistakes"]
    by_name = {one["name"]: one for one in again["classes"]}
    assert list(by_name) == ["bird", "cat", "fish", "dog"]
    assert [by_name[name] for name in NAMES] == before["classes"]
    assert capsys.readouterr().err == ""


def test_another_engine_gives_its_own_numbers(run: Path, data: Path, evaluated: Path, tmp_path: Path) -> None:
    """Packed weights cost no mAP; bfloat16 rounds scores to 8 bits."""
    expected = metrics(evaluated)["coco"]["map"]
    for name, flags in {"packed": ["--engine", "packed"], "bf16": ["--precision", "bf16"]}.items():
        assert main(["evaluate", str(run), str(data), "--json", str(tmp_path / name), *flags]) == 0
    assert metrics(tmp_path, "packed")["coco"]["map"] == pytest.approx(expected, abs=1e-3)
    assert 0 < abs(metrics(tmp_path, "bf16")["coco"]["map"] - expected) < 0.1


def test_no_number_depends_on_how_many_pictures_are_read_ahead(
    run: Path, data: Path, evaluated: Path, tmp_path: Path
) -> None:
    assert main(["evaluate", str(run), str(data), "--read-ahead", "1", "--out", str(tmp_path)]) == 0
    assert metrics(tmp_path) == metrics(evaluated)
    assert (tmp_path / "detections.json").read_bytes() == (evaluated / "detections.json").read_bytes()


def test_batches_are_held_against_single_pictures_and_change_no_number(
    run: Path, data: Path, evaluated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), str(data), "--batch-size", "6", "--out", str(tmp_path)]) == 0
    assert "batches of 6 find what single pictures find, at most 0." in capsys.readouterr().err
    assert metrics(tmp_path)["coco"]["map"] == pytest.approx(metrics(evaluated)["coco"]["map"], abs=1e-6)


def test_all_classes_suppress_where_it_is_asked_for(run: Path, data: Path, evaluated: Path, tmp_path: Path) -> None:
    found = [json.loads((evaluated / "detections.json").read_text())]
    for classes in ("each", "all"):
        out = tmp_path / classes
        assert main(["evaluate", str(run), str(data), "--out", str(out), "--nms-classes", classes]) == 0
        found.append(json.loads((out / "detections.json").read_text()))
    default, each, every = found
    assert default == each
    assert 0 < len(every) < len(each)


def test_tables_are_printed_and_last_what_is_looked_at_first(
    run: Path, data: Path, evaluated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), str(data)]) == 0
    output, error = capsys.readouterr()
    numbers = metrics(evaluated)
    coco = numbers["coco"]
    row = " +".join(f"{coco[name]:.3f}" for name in ("map", "map_50", "map_75"))
    assert re.search(rf"^ +{row} ", output, re.MULTILINE)
    for one in numbers["classes"]:
        values = " +".join(f"{one[name]:.3f}" for name in ("ap", "ap_50", "recall", "voc_ap_50"))
        assert re.search(rf"^ {one['name']} +{one['objects']} +{values} *$", output, re.MULTILINE)
    for counts in numbers["confusion"]["table"][:-1]:
        assert re.search(" +".join(str(count) for count in counts if count), output)
    assert output.splitlines()[-1] == (
        f"6 pictures, {numbers['objects']} objects: mAP {coco['map']:.3f}, AP50 {coco['map_50']:.3f}, "
        f"VOC AP50 {numbers['voc_ap_50']:.3f}"
    )
    assert error == ""


def test_pictures_that_cannot_be_read_are_counted_and_the_others_evaluated(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is missing, one that is no picture, and one of which only the end is missing."""
    content = json.loads(data.read_text())
    for entry in content["images"]:
        (tmp_path / entry["file_name"]).write_bytes((data.parent / entry["file_name"]).read_bytes())
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").write_text("no picture")
    (tmp_path / "3.png").write_bytes((tmp_path / "3.png").read_bytes()[:-2000])
    (tmp_path / "data.json").write_text(json.dumps(content))
    assert main(["evaluate", str(run), str(tmp_path / "data.json"), "--out", str(tmp_path / "out")]) == 1
    output, error = capsys.readouterr()
    assert output.splitlines()[-1].startswith("3 pictures, ")
    assert output.splitlines()[-1].endswith("; 3 pictures could not be read")
    assert error.count("\n") == 3
    numbers = metrics(tmp_path / "out")
    assert [Path(one["picture"]).name for one in numbers["unreadable"]] == ["1.png", "2.png", "3.png"]
    assert all(one["reason"].startswith(one["picture"]) for one in numbers["unreadable"])
    assert (numbers["pictures"], written(tmp_path / "out")) == (3, FILES)


def without_names(run: Path, folder: Path) -> str:
    nameless = RetinaNetDetector.from_pretrained(run)
    nameless.class_names = ()
    nameless.save(folder / "model.safetensors")
    return str(folder / "model.safetensors")


def test_classes_are_matched_by_name_and_without_names_by_place(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The three classes of the file in the order of their ids are bird, cat, dog; those of the model cat, dog, bird."""
    content = json.loads(data.read_text())
    content["categories"] = [one for one in content["categories"] if one["name"] != "fish"]
    three = data.parent / "three.json"
    three.write_text(json.dumps(content))
    model = without_names(run, tmp_path)
    assert main(["evaluate", str(run), str(three), "--json", str(tmp_path / "by_name.json")]) == 0
    assert main(["evaluate", model, str(three), "--json", str(tmp_path / "by_place.json")]) == 0
    by_name, by_place = metrics(tmp_path, "by_name.json"), metrics(tmp_path, "by_place.json")
    assert [one["name"] for one in by_place["classes"]] == ["bird", "cat", "dog"]
    assert by_place["coco"]["map"] < by_name["coco"]["map"]
    assert main(["evaluate", model, str(data)]) == 2
    assert "has 3 classes without names, and" in capsys.readouterr().err


def test_classes_that_the_model_does_not_know_are_said_and_do_not_count(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(data.read_text())
    for one in content["categories"]:
        one["name"] = one["name"].replace("dog", "wolf")
    other = data.parent / "other.json"
    other.write_text(json.dumps(content))
    assert main(["evaluate", str(run), str(other), "--json", str(tmp_path / "numbers.json")]) == 0
    error = capsys.readouterr().err
    assert re.fullmatch(
        rf"retinanet: {other}: class 'wolf', with \d+ objects, is none of {run}, and does not count\n", error
    )
    dog = metrics(tmp_path, "numbers.json")["classes"][1]
    assert (dog["name"], dog["objects"], dog["ap"]) == ("dog", 0, None)


def test_blood_cells_are_evaluated_from_their_xml(run: Path, tmp_path: Path) -> None:
    """Other formats have no ids: pictures and classes count from 1."""
    cells = shared("bccd")
    if not cells.is_dir():
        pytest.skip("there is no folder shared/data/bccd of blood cells beside the project")
    for kind, suffix in (("Annotations", "xml"), ("JPEGImages", "jpg")):
        (tmp_path / kind).mkdir()
        for number in CELLS:
            name = f"BloodImage_{number}.{suffix}"
            (tmp_path / kind / name).write_bytes((cells / kind / name).read_bytes())
    model = without_names(run, tmp_path)
    assert main(["evaluate", model, str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert [one["name"] for one in metrics(tmp_path / "out")["classes"]] == ["Platelets", "RBC", "WBC"]
    results = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert {(one["image_id"], one["file_name"]) for one in results} == {
        (i, f"BloodImage_{number}.jpg") for i, number in enumerate(CELLS, 1)
    }
    assert {one["category_id"] for one in results} <= {1, 2, 3}


def test_many_classes_have_a_list_of_confusions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of class 3 one object is taken for class 5, and of class [b]4[/b] one is missed."""
    names = [f"class {i}" for i in range(12)]
    names[4] = "[b]4[/b]"
    box = {"image_id": 1, "bbox": [0, 0, 10, 10]}
    truth = {
        "images": [{"id": 1}],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
        "annotations": [box | {"category_id": 3}, box | {"category_id": 4, "bbox": [50, 50, 10, 10]}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "results.json").write_text(json.dumps([box | {"category_id": 5, "score": 0.5}]))
    files = ["--truth", str(tmp_path / "truth.json"), "--results", str(tmp_path / "results.json")]
    assert main(["evaluate", *files]) == 0
    output = capsys.readouterr().out
    assert re.search(r"^ class 3 +class 5 +1 *$", output, re.MULTILINE)
    assert re.search(r"^ \[b\]4\[/b\] +background +1 *$", output, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "RUN and DATA: must both be given, or --truth and --results in their place"),
        (["{run}"], "RUN and DATA: must both be given"),
        (["--truth", "{data}"], "--truth and --results: must be given together"),
        (["{run}", "{data}", "--results", "{data}"], "--truth and --results: must be given together"),
        (["{run}", "--truth", "{data}", "--results", "{data}"], "RUN: {run} must not be given with --truth"),
        (["--truth", "{data}", "--results", "{data}", "--out", "o"], "--out: o must not be given with --truth"),
        (["--truth", "{data}", "--results", "{data}"], "{data}: must be a list of results, and is `dict`"),
        (["--truth", "{data}", "--results", "{data}", "--engine", "packed"], "--engine: packed must not be given"),
        (["--truth", "{data}", "--results", "{data}", "--nms-classes", "all"], "--nms-classes: all must not be given"),
        (["{run}", "{data}", "--nms-classes", "none"], "argument --nms-classes: invalid choice: 'none'"),
        (["{run}", "{data}", "--json", "{data}"], "--json: {data} is what is evaluated, and must not be written over"),
        (["{run}", "{data}", "--json", "no/where.json"], "--json: no/where.json must be a file in a folder that is"),
        (["{run}", "{data}", "--out", "{data}"], "--out: {data} must be a folder"),
        (["{run}", "{data}", "--read-ahead", "0"], "argument --read-ahead: 0 must be"),
        (["nowhere", "{data}"], "nowhere: there is no such file"),
        (["{run}", "nowhere"], "nowhere: there is no such file or folder"),
        (["{run}", "{fish}"], "{fish}: has classes fish, and {run} cat, dog, bird"),
    ],
)
def test_wrong_usage_ends_in_one_sentence(
    arguments: list[str],
    sentence: str,
    run: Path,
    data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    content = json.loads(data.read_text())
    fish = data.parent / "fish.json"
    fish.write_text(json.dumps(content | {"annotations": [], "categories": [{"id": 8, "name": "fish"}]}))
    places = {"run": run, "data": data, "fish": fish}
    with pytest.raises(SystemExit) as ending:
        sys.exit(main(["evaluate", *(argument.format(**places) for argument in arguments)]))
    output, error = capsys.readouterr()
    assert (ending.value.code, output, error.count("\n")) == (2, "", 1)
    assert re.match(rf"retinanet( evaluate)?: {re.escape(sentence.format(**places))}", error)
    assert list(tmp_path.iterdir()) == []
