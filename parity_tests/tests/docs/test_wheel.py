"""The wheel holds the three packages with their data, and no tests."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from parity_tests.tests.support.imports import product_files
from parity_tests.tests.support.paths import ROOT

PACKAGES = ("torch_retinanet", "keras_reference", "parity_tests")


@pytest.fixture(scope="module")
def in_the_wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The paths in a wheel, built from a copy, as building leaves folders beside the packages."""
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
    [wheel] = out.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_there_are_no_tests_in_it(in_the_wheel: list[str]) -> None:
    parts = {part for path in in_the_wheel for part in Path(path).parts}
    assert not [part for part in parts if part in ("tests", "conftest.py") or part.startswith("test_")]


def test_everything_else_is_in_it(in_the_wheel: list[str]) -> None:
    templates = [path for path in (ROOT / "parity_tests" / "report" / "templates").iterdir() if path.is_file()]
    files = [*product_files(*PACKAGES), ROOT / "parity_tests" / "report" / "schema.json", *templates]
    assert {path.relative_to(ROOT).as_posix() for path in files} <= set(in_the_wheel)
