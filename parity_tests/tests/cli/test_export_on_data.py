"""`retinanet export` with annotated pictures: what they say of a file, and files in int8, which they decide upon."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from parity_tests.tests.support.commands import written
from parity_tests.tests.support.exported import loud_detector, program
from parity_tests.tests.support.pages import PAGES
from torch_retinanet import InputError, RetinaNetDetector
from torch_retinanet.cli import main
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.engines import export as exporting
from torch_retinanet.engines import quantised
from torch_retinanet.engines.certificate import Certificate, Look, place_of
from torch_retinanet.engines.exporters import write_program
from torch_retinanet.engines.int8 import Int8
from torch_retinanet.engines.on_data import DataCheck, readable
from torch_retinanet.engines.runtimes import Run

PICTURES = 4
OBJECTS = 5
"""On each picture: the best detections of eager torch, so that it finds them; others count as wrong."""

pytest.importorskip("onnxruntime")


def write_objects(folder: Path, detector: RetinaNetDetector, pixels: NDArray[np.float32]) -> Path:
    """Write pictures (B,3,64,90), and the best that a detector finds on each as its objects."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for i, picture in enumerate((pixels * 255).astype(np.uint8).transpose(0, 2, 3, 1)):
        Image.fromarray(picture).save(folder / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "height": 64, "width": 90})
        found = detector.predict(folder / f"{i}.png")[0]
        for box, label in zip(found["boxes"][:OBJECTS].tolist(), found["labels"].tolist(), strict=False):
            sides = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            one = {"id": len(annotations), "image_id": i, "category_id": label, "bbox": sides, "iscrowd": 0}
            annotations.append(one | {"area": sides[2] * sides[3]})
    categories = [{"id": i, "name": name} for i, name in enumerate(detector.class_names)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "objects.json").write_text(json.dumps(content))
    return folder / "objects.json"


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures with objects; the detector lies beside them, as `run`."""
    folder, detector = tmp_path_factory.mktemp("data"), loud_detector()
    detector.save_pretrained(folder / "run")
    return write_objects(folder, detector, Look(seed=7, batch=PICTURES, height=64, width=90).pictures(3))


@pytest.fixture
def command(objects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`export`, which traces nothing: its file is run by eager torch."""
    monkeypatch.setattr(exporting, "write_program", lambda detector, path, to, raw: path.write_text("[]"))
    monkeypatch.setattr(exporting, "open_program", lambda path, outputs, bf16: program(loud_detector()))
    return ["export", str(objects.parent / "run"), "--to", "onnx", "--out", str(tmp_path / "model.onnx")]


def int8_of(objects: Path) -> list[str]:
    """The flags for int8."""
    return ["--precision", "int8", "--calibrate", str(objects)]


def test_a_certificate_says_what_annotated_pictures_said(
    command: list[str], objects: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--data", str(objects)]) == 0
    said = Certificate.read(place_of(tmp_path / "model.onnx")).data
    assert said is not None
    assert said.pictures == PICTURES
    assert said.detections > PICTURES * OBJECTS
    assert said.map_eager > 0.5
    assert said.map_difference == said.map_file - said.map_eager == 0
    assert said.share is not None
    assert said.share < 1
    words = (
        f"mAP {said.map_file:.4f}, {said.map_eager:.4f} of eager float32 on 4 pictures; {said.detections} detections"
    )
    printed = capsys.readouterr().out
    assert words in printed
    assert worded(printed) <= worded(PAGES["docs/export.md"])


def worded(text: str) -> set[str]:
    """The last words of an export, without numbers and the name of the file."""
    lines = (line.rpartition("/")[2].partition(": ") for line in text.splitlines() if ".onnx: " in line)
    return {re.sub(r"\d+(\.\d+)?", "N", words) for _, _, words in lines}


@pytest.mark.planted
def test_a_picture_of_the_data_on_which_a_file_differs_is_named(objects: Path) -> None:
    check = DataCheck(loud_detector(), read_annotations(objects))
    with pytest.raises(InputError, match=r"^model\.onnx: answers otherwise than eager torch, and is not kept: 0\.png"):
        check.equal(Path("model.onnx"), program(loud_detector(nms_iou=0.2)))


def test_a_file_that_finds_nothing_on_made_pictures_is_certified_by_those_of_the_data(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures of black and white dots have higher scores than any that are made."""
    folder = tmp_path / "dots"
    folder.mkdir()
    dots = np.random.default_rng(0).random((2, 3, 64, 90)) > 0.5
    data = write_objects(folder, loud_detector(), dots.astype(np.float32))
    monkeypatch.setattr(
        exporting, "open_program", lambda path, outputs, bf16: program(loud_detector(score_threshold=0.995))
    )
    assert main([*command, "--threshold", "0.995", "--data", str(data)]) == 0
    certificate = Certificate.read(place_of(tmp_path / "model.onnx"))
    assert certificate.found == 0
    assert certificate.data is not None
    assert certificate.data.detections > 0


class PretendedInt8:
    """A file in int8 that finds too little, unless the layers that are needed stay in float32."""

    groups = ("stem", "pyramid", "head")
    needed: set[str]

    def __init__(self, path: Path, pictures: Callable[[], Any], folder: Path) -> None:
        pass

    def errors(self, pictures: Any) -> dict[str, float]:
        return {"stem": 0.02, "pyramid": 0.03, "head": 0.01}

    def write(self, path: Path, floats: list[str]) -> None:
        path.write_text(json.dumps(floats))

    @classmethod
    def opened(cls, path: Path, outputs: tuple[str, ...]) -> Run:
        enough = cls.needed <= {*json.loads(path.read_text())}
        return program(loud_detector(detections_per_picture=100 if enough else 2))


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantised, "Int8", PretendedInt8)
    monkeypatch.setattr(quantised, "open_program", PretendedInt8.opened)


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("needed", [[], ["pyramid"], ["pyramid", "stem"]])
def test_layers_with_the_largest_error_stay_in_float32_as_few_as_are_needed(
    needed: list[str],
    command: list[str],
    objects: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(PretendedInt8, "needed", {*needed}, raising=False)
    assert main([*command, *int8_of(objects)]) == 0
    certificate = Certificate.read(place_of(tmp_path / "model.onnx"))
    assert certificate.precision == "int8"
    assert certificate.float_layers == needed
    assert needed or worded(capsys.readouterr().out) <= worded(PAGES["docs/export.md"])
    assert certificate.data is not None
    assert certificate.data.map_difference == 0


@pytest.mark.planted
@pytest.mark.usefixtures("pretended")
def test_int8_that_costs_too_much_leaves_nothing_behind(
    command: list[str],
    objects: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(PretendedInt8, "needed", {"none that there is"}, raising=False)
    assert main([*command, *int8_of(objects)]) == 2
    assert "model.onnx: int8 costs too much, and is not kept: mAP 0." in capsys.readouterr().err
    assert written(tmp_path) == []


@pytest.mark.planted
def test_bfloat16_has_its_cost_in_the_certificate_and_is_refused_where_it_is_too_high(
    command: list[str],
    objects: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened = []

    def rounded(path: Path, outputs: tuple[str, ...], *, bf16: bool) -> Run:
        opened.append(bf16)
        (path.with_suffix(".bin")).touch()
        return program(loud_detector(detections_per_picture=most))

    monkeypatch.setattr(exporting, "open_program", rounded)
    path, most = tmp_path / "model.xml", 100
    command = [*command, "--to", "openvino", "--precision", "bf16", "--out", str(path), "--data", str(objects)]
    assert main(command) == 0
    certificate = Certificate.read(place_of(path))
    assert (certificate.precision, opened) == ("bf16", [True])
    assert certificate.data is not None
    assert certificate.data.share is None
    assert f"{path}: bf16; {certificate.found} detections on 7 pictures" in capsys.readouterr().out
    path, most = tmp_path / "other.xml", 2
    assert main([*command, "--out", str(path)]) == 2
    assert "other.xml: bf16 costs too much, and is not kept: mAP 0." in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--precision", "int8"], "--precision int8 and --calibrate: must be given together"),
        (["--calibrate", "objects.json"], "--precision int8 and --calibrate: must be given together"),
        (["--precision", "int8", "--to", "openvino"], "--precision: int8 must come with --to onnx, and not openvino"),
        (["--precision", "bf16"], "--precision: bf16 must come with --to openvino, without --raw"),
        (["--raw", "--data", "objects.json"], "--data: must not be given with --raw, which finds no objects"),
        (["--split", "val"], "--split: must come with --data or --calibrate"),
        (["--threshold", "0.999"], "train the model, or give pictures of its objects by --data"),
    ],
)
def test_wrong_usage_is_said_in_a_sentence(
    words: list[str], sentence: str, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, *words]) == 2
    assert sentence in capsys.readouterr().err
    assert written(tmp_path) == []


@pytest.fixture(scope="module")
def traced(objects: Path) -> Path:
    """The detector as a file of ONNX."""
    pytest.importorskip("onnxscript")
    path = objects.parent / "traced.onnx"
    write_program(loud_detector(), path, "onnx")
    return path


@pytest.mark.slow
@pytest.mark.planted
def test_a_file_in_int8_is_verified_by_its_own_answers(
    traced: Path, objects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Random weights lose more than trained ones: 0.040 of mAP in int8, and 0.009 with four groups in float32."""
    monkeypatch.setattr(quantised, "MAP_COST", 0.025)
    monkeypatch.setattr(exporting, "write_program", lambda detector, path, to, raw: shutil.copy(traced, path))
    path = tmp_path / "model.onnx"
    command = ["export", str(objects.parent / "run"), "--to", "onnx", "--out", str(path)]
    assert main([*command, *int8_of(objects)]) == 0
    assert 0 < len(Certificate.read(place_of(path)).float_layers) < 6
    assert main(["verify", str(path)]) == 0
    shutil.copy(traced, path)  # that in float32, which answers otherwise
    assert main(["verify", str(path)]) == 1
    assert "pictures of seed 0, 1 of 65x65, picture 0: " in capsys.readouterr().out

    def dark(*given: Any) -> Iterator[NDArray[np.float32]]:
        return (picture * np.float32(0.01) for picture in readable(*given))

    monkeypatch.setattr(quantised, "readable", dark)  # so that the ranges are too small
    assert main([*command, *int8_of(objects)]) == 2
    assert "int8 costs too much" in capsys.readouterr().err


@pytest.mark.slow
def test_groups_of_layers_stay_in_float32(traced: Path, tmp_path: Path) -> None:
    import onnx

    pictures = [Look(seed=1, batch=1, height=64, width=90).pictures(3)]
    int8 = Int8(traced, lambda: pictures, tmp_path)
    assert [*int8.groups] == ["backbone.steps", "pyramid", "cls_head.0", "cls_head.1", "box_head.0", "box_head.1"]
    int8.write(tmp_path / "int8.onnx", ["cls_head.1"])
    graph = onnx.load(tmp_path / "int8.onnx").graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    floats = [node.name for node in graph.node if node.op_type == "Conv" and node.input[1] not in made_by]
    assert floats == int8.groups["cls_head.1"]
    assert all(0 < error < 0.1 for error in int8.errors(pictures).values())
