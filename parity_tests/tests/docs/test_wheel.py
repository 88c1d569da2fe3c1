"""The wheel holds the three packages with their data and no tests, and says what it is."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from parity_tests.tests.support.imports import product_files
from parity_tests.tests.support.pages import README
from parity_tests.tests.support.paths import ROOT
from torch_retinanet import __version__

PACKAGES = ("torch_retinanet", "keras_reference", "parity_tests")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy, as building leaves folders beside the packages."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    words = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(out), str(source)]
    ended = subprocess.run(
        [sys.executable, "-m", "pip", *words], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stderr
    [path] = out.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def in_the_wheel(wheel: zipfile.ZipFile) -> list[str]:
    """The paths in it."""
    return wheel.namelist()


def test_its_metadata_are_whole(in_the_wheel: list[str], wheel: zipfile.ZipFile) -> None:
    """As a package index checks them."""
    [path] = [path for path in in_the_wheel if path.endswith(".dist-info/METADATA")]
    said = Metadata.from_email(wheel.read(path), validate=True)
    assert (said.name, str(said.version), said.license_expression) == ("torch-retinanet", __version__, "MIT")
    assert said.description == README
    assert "Typing :: Typed" in (said.classifiers or [])


def test_it_brings_no_plugin_into_the_tests_of_others(in_the_wheel: list[str], wheel: zipfile.ZipFile) -> None:
    [path] = [path for path in in_the_wheel if path.endswith("entry_points.txt")]
    assert "pytest11" not in wheel.read(path).decode()


def test_there_are_no_tests_in_it(in_the_wheel: list[str]) -> None:
    parts = {part for path in in_the_wheel for part in Path(path).parts}
    assert not [part for part in parts if part in ("tests", "conftest.py") or part.startswith("test_")]


def test_everything_else_is_in_it(in_the_wheel: list[str]) -> None:
    templates = [path for path in (ROOT / "parity_tests" / "report" / "templates").iterdir() if path.is_file()]
    files = [
        *product_files(*PACKAGES),
        ROOT / "torch_retinanet" / "py.typed",
        ROOT / "parity_tests" / "report" / "schema.json",
        *templates,
    ]
    assert {path.relative_to(ROOT).as_posix() for path in files} <= set(in_the_wheel)
