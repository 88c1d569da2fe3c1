"""`retinanet export` and `retinanet verify`: files that answer as eager torch does, and what becomes of others."""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from parity_tests.tests.support.commands import written
from parity_tests.tests.support.exported import class_bias, loud_detector
from parity_tests.tests.support.paths import ROOT
from torch_retinanet import InputError
from torch_retinanet.cli import main
from torch_retinanet.engines import export as exporting
from torch_retinanet.engines.certificate import Certificate, checksum, files_of, place_of
from torch_retinanet.engines.export import certify, export
from torch_retinanet.engines.exporters import TARGETS
from torch_retinanet.engines.runtimes import KINDS, kind_of

FILES = {"onnx": "model.onnx", "openvino": "model.xml", "torch-export": "model.pt2", "aoti": "model.pt2"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector in a folder."""
    folder = tmp_path_factory.mktemp("run")
    loud_detector().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def certified(run: Path) -> Path:
    """It as a file of ONNX with its certificate."""
    pytest.importorskip("onnxscript")
    path = run.parent / "model.onnx"
    assert main(["export", str(run), "--to", "onnx", "--out", str(path)]) == 0
    return path


@pytest.fixture
def copied(certified: Path, tmp_path: Path) -> Path:
    for path in (certified, place_of(certified)):
        shutil.copy(path, tmp_path)
    return tmp_path / certified.name


def plant(path: Path, bias: NDArray[np.float32]) -> None:
    """Change one weight in a file, of these that are in it, and give its certificate the new checksum."""
    file, changed = files_of(path)[-1], bias.copy()
    changed[4] += 8  # which brings what it is the bias of among the best
    content = file.read_bytes()
    assert content.count(bias.tobytes()) == 1
    file.write_bytes(content.replace(bias.tobytes(), changed.tobytes()))
    place = place_of(path)
    values = json.loads(place.read_text())
    values["files"][file.name] = checksum(file)
    place.write_text(json.dumps(values))


def test_a_certificate_says_what_a_file_is_and_what_it_answers(certified: Path) -> None:
    certificate, detector = Certificate.read(place_of(certified)), loud_detector()
    assert certificate.kind == "detections"
    assert certificate.files == {"model.onnx": checksum(certified)}
    assert certificate.class_names == [*detector.class_names]
    assert certificate.conventions == json.loads(json.dumps(detector.config.as_dict()))
    assert {*certificate.versions} == {"torch-retinanet", "torch", "torchvision", "onnxruntime"}
    assert len({(look.height, look.width) for look in certificate.looks}) == 5
    assert {look.batch for look in certificate.looks} == {1, 2}
    assert all(answer["scores"] for look in certificate.looks for answer in look.answers)
    assert 0 < certificate.largest_share < 1


def test_nothing_in_a_file_names_a_place_on_this_machine(certified: Path) -> None:
    for path in (certified, place_of(certified)):
        assert str(ROOT).encode() not in path.read_bytes()


def test_a_certified_file_is_verified(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(copied)]) == 0
    assert f"{copied}: is the certified file, and equal on 7 pictures of 5 sizes" in capsys.readouterr().out


def test_weights_that_a_file_was_not_exported_from_differ(
    copied: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(copied), "--weights", str(run)]) == 0
    other = loud_detector()
    other.model.state_dict()["cls_head.1.bias"][4] += 1e-3
    other.save_pretrained(tmp_path / "other")
    assert main(["verify", str(copied), "--weights", str(tmp_path / "other")]) == 1
    assert f"was exported from other weights than those of {tmp_path / 'other'}" in capsys.readouterr().out


@pytest.mark.planted
def test_one_weight_that_differs_is_found_by_the_checksum_and_by_the_answers(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(copied.read_bytes())
    plant(copied, class_bias(loud_detector()))
    assert main(["verify", str(copied)]) == 1
    said = capsys.readouterr().out
    assert "pictures of seed 0, 1 of 65x65, picture 0: " in said
    assert "checksum" not in said
    place = place_of(copied)
    values = json.loads(place.read_text())
    values["files"]["model.onnx"] = "0"
    place.write_text(json.dumps(values))
    copied.write_bytes(content)
    assert main(["verify", str(copied)]) == 1
    assert f"{copied}: is not the file that was certified: its checksum differs" in capsys.readouterr().out


@pytest.mark.planted
def test_a_file_that_answers_otherwise_is_not_left_behind(
    certified: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has another threshold of NMS than the detector; what was there before stays."""
    monkeypatch.setattr(exporting, "write_program", lambda detector, path, to, raw: shutil.copy(certified, path))
    (tmp_path / "model.onnx").write_text("before")
    with pytest.raises(
        InputError, match=r"^model\.onnx: answers otherwise than eager torch, and is not kept: pictures"
    ):
        export(loud_detector(nms_iou=0.2), tmp_path / "model.onnx", to="onnx")
    assert written(tmp_path) == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_text() == "before"


def test_a_certificate_that_would_prove_nothing_is_not_made(certified: Path) -> None:
    with pytest.raises(InputError, match=r"score_threshold: 0\.999 leaves nothing on all pictures"):
        certify(loud_detector(score_threshold=0.999), certified)


@pytest.mark.planted
def test_a_file_that_no_runtime_reads_differs_from_its_certificate(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied.write_bytes(copied.read_bytes()[:1000])
    assert main(["verify", str(copied)]) == 1
    said = capsys.readouterr().out
    assert "its checksum differs" in said
    assert "its runtime cannot read it" in said


def test_a_certificate_of_another_model_is_said_in_a_sentence(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = place_of(copied)
    values = json.loads(place.read_text())
    values["conventions"]["in_channels"] = 1
    place.write_text(json.dumps(values))
    assert main(["verify", str(copied)]) == 2
    assert f"{copied}: its runtime cannot run it: " in capsys.readouterr().err.splitlines()[-1]
    values["files"][copied.name] = "0"
    place.write_text(json.dumps(values))
    assert main(["verify", str(copied)]) == 1


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["torchvision"] = None
from torch_retinanet.cli import main
code = main(["verify", sys.argv[1]])
import torch_retinanet
try:
    torch_retinanet.RetinaNet
except ModuleNotFoundError as error:
    print(error)
sys.exit(code)
"""


def test_a_file_is_verified_where_there_is_no_torch(certified: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, str(certified)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    assert "is the certified file" in ended.stdout
    assert "RetinaNet needs torch" in ended.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["export", "RUN", "--to", "onnx", "--out", "model.pt"],
            "model.pt: the name of a file for onnx must end in .onnx",
        ),
        (["export", "RUN", "--to", "onnx", "--threshold", "2"], "--threshold: 2.0 must be from 0 to 1"),
        (["export", "RUN", "--to", "onnx", "--out", "no/model.onnx"], "no/model.onnx: its folder must exist"),
        (["export", "RUN", "--to", "onnx", "--out", "is.onnx"], "is.onnx: is a folder, and must be the name of a file"),
        (["verify", "no.onnx"], "no.onnx: there is no such file"),
        (["verify", "alone.onnx"], "alone.onnx: alone.onnx.certificate.json must lie beside it"),
        (["verify", "broken.onnx"], "broken.onnx.certificate.json: is not a whole certificate; export the file again"),
    ],
)
def test_wrong_usage_is_said_in_a_sentence(
    words: list[str],
    sentence: str,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "is.onnx").mkdir()
    for name in ("alone.onnx", "broken.onnx", "broken.onnx.certificate.json"):
        (tmp_path / name).write_text("{}")
    assert main([str(run) if word == "RUN" else word for word in words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.slow
@pytest.mark.planted
@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("preset", ["notebook", "keras_io", "torchvision", "torchvision_v2"])
def test_each_runtime_answers_as_eager_torch_and_one_weight_that_differs_is_found(
    preset: str, to: str, tmp_path: Path
) -> None:
    if to == "openvino" and find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    detector, path = loud_detector(preset, **({"gn_groups": 8} if preset.endswith("v2") else {})), tmp_path / FILES[to]
    certificate = export(detector, path, to=to)
    assert len(certificate.looks) == 5
    assert certificate.found > 100
    assert main(["verify", str(path)]) == 0
    plant(path, class_bias(detector))
    assert main(["verify", str(path)]) in ((1, 2) if path.suffix == ".pt2" else (1,))


@pytest.mark.slow
@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("preset", ["keras_io", "torchvision", "detectron2"])
def test_the_network_alone_is_exported_in_any_convention(preset: str, to: str, tmp_path: Path) -> None:
    if to == "openvino" and find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    path = tmp_path / FILES[to]
    assert export(loud_detector(preset), path, to=to, raw=True).kind == "network"
    assert main(["verify", str(path)]) == 0


@pytest.mark.slow
def test_compiled_ahead_it_answers_for_pictures_of_any_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.pt2"
    certificate = export(loud_detector("keras_io", width=8), path, to="aoti", raw=True)
    assert len(certificate.looks) == 5
    assert main(["verify", str(path)]) == 0
    assert not capsys.readouterr().err.count("Warning")


@pytest.mark.ci
def test_a_compiler_that_is_missing_is_named(run: Path, tmp_path: Path) -> None:
    from torch._inductor import config  # which takes long to import

    with config.patch({"cpp.cxx": ("no-compiler",)}), pytest.raises(InputError, match=r"no C\+\+ compiler"):
        export(loud_detector(), tmp_path / "model.pt2", to="aoti")
    assert not [*tmp_path.iterdir()]


@pytest.mark.ci
def test_a_network_that_cannot_be_compiled_leaves_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object, **settings: object) -> None:
        raise RuntimeError("no lowering\nwith a long story")

    monkeypatch.setattr("torch._inductor.aoti_compile_and_package", fail)
    with pytest.raises(InputError, match=r"cannot compile this network \(no lowering\)$"):
        export(loud_detector(), tmp_path / "model.pt2", to="aoti")
    assert not [*tmp_path.iterdir()]


def test_files_of_one_suffix_are_told_apart_by_what_is_packed_in_them(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    for packed, runtime in {
        "model/data/aotinductor/model/x.so": "aoti",
        "model/models/model.json": "torch-export",
    }.items():
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(packed, "")
        assert kind_of(path) == KINDS[runtime]
    path.write_text("broken")
    assert kind_of(path) == KINDS["torch-export"]
