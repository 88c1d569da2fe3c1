"""docs/serve.md against the program that `retinanet export` writes, and the browser example against onnxruntime-web."""

import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image

from parity_tests.tests.support.detectors import SMALL, noise
from parity_tests.tests.support.lively import lively_detector
from parity_tests.tests.support.paths import ROOT
from torch_retinanet import RetinaNetDetector
from torch_retinanet.engines.certificate import OUTPUTS

PAGE = (ROOT / "docs/serve.md").read_text(encoding="utf-8")
BROWSER = ROOT / "examples/browser"
TYPES = {"float32": "TYPE_FP32", "int64": "TYPE_INT64"}


def described() -> dict[str, tuple[str, int]]:
    """Type and number of axes of each tensor in the page's table."""
    rows = re.findall(r"^\| `(\w+)` \| \(([^)]*)\) \| (\w+) \|", PAGE, re.MULTILINE)
    return {name: (kind, len([axis for axis in axes.split(",") if axis])) for name, axes, kind in rows}


def test_the_table_has_what_a_program_takes_and_gives() -> None:
    assert list(described()) == ["images", *OUTPUTS["detections"]]


def test_the_file_for_triton_has_the_same_tensors() -> None:
    found = re.findall(r'name: "(\w+)", data_type: (\w+), dims: \[([^\]]*)\]', PAGE)
    assert {name: (kind, len(dims.split(","))) for name, kind, dims in found} == {
        name: (TYPES[kind], axes) for name, (kind, axes) in described().items()
    }


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RetinaNetDetector]:
    """A folder with an exported file, and its detector."""
    pytest.importorskip("onnxscript")
    from torch_retinanet.engines.export import export

    detector = lively_detector(SMALL)
    path = tmp_path_factory.mktemp("browser") / "model.onnx"
    export(detector, path, to="onnx")
    return path.parent, detector


@pytest.mark.slow
def test_an_exported_file_has_the_types_and_axes_of_the_table(exported: tuple[Path, RetinaNetDetector]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(exported[0] / "model.onnx"))
    tensors = [*session.get_inputs(), *session.get_outputs()]
    types = {"float32": "tensor(float)", "int64": "tensor(int64)"}
    assert {one.name: (one.type, len(one.shape)) for one in tensors} == {
        name: (types[kind], axes) for name, (kind, axes) in described().items()
    }


@pytest.fixture
def address(exported: tuple[Path, RetinaNetDetector]) -> Iterator[str]:
    """Where the example is served from, with the packages that `npm install` put beside it."""
    if not (BROWSER / "node_modules").is_dir():
        pytest.skip("npm install in examples/browser brings onnxruntime-web")
    shutil.copytree(BROWSER, exported[0], dirs_exist_ok=True)
    handler = partial(SimpleHTTPRequestHandler, directory=str(exported[0]))
    with ThreadingHTTPServer(("localhost", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


@pytest.mark.slow
def test_the_browser_finds_what_the_detector_finds(
    exported: tuple[Path, RetinaNetDetector], address: str, tmp_path: Path
) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or pytest.skip("chromium is not installed")
    pixels = (noise(3, 64, 96) * 255).byte()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(tmp_path / "picture.png")
    with sync_api.sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        page.goto(address)
        page.get_by_text("Ready.").wait_for(timeout=60_000)
        page.set_input_files("#picture", tmp_path / "picture.png")
        page.wait_for_function("window.detections !== undefined", timeout=60_000)
        found = json.loads(json.dumps(page.evaluate("window.detections")))
    (expected,) = exported[1].predict([pixels])
    assert [one["label"] for one in found] == expected["labels"].tolist()
    torch.testing.assert_close(torch.tensor([one["score"] for one in found]), expected["scores"])
    np.testing.assert_allclose([one["box"] for one in found], expected["boxes"].numpy(), rtol=1e-4, atol=1e-3)
