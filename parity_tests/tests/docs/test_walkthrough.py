"""The walkthrough notebook shows what it prints, and each of its exercises is equal."""

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from parity_tests.tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"
EXERCISES = ("backbone", "feature pyramid", "heads", "RetinaNet", "focal loss")


def read_notebook() -> Any:
    return nbformat.read(EXAMPLES / "walkthrough.ipynb", as_version=4)  # type: ignore[no-untyped-call]


def texts(notebook: Any) -> dict[str, str]:
    """What each code cell shows, by its id; a kernel may send one line in several pieces."""
    return {
        cell.id: "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def test_each_exercise_has_a_line_that_says_it_is_equal() -> None:
    lines = "".join(texts(read_notebook()).values()).splitlines()
    for exercise in EXERCISES:
        assert [line.split(",")[0] for line in lines if line.startswith(f"{exercise}: ")] == [f"{exercise}: equal"]


@pytest.mark.ci
def test_it_prints_in_jupyter_what_is_stored_in_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.setenv("JUPYTER_PATH", str(Path(sys.prefix, "share", "jupyter")))  # before kernels that a user has
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # without what a user starts IPython with
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # with it, a kernel does not capture what libraries print
    notebook = read_notebook()
    stored = texts(notebook)
    resources = {"metadata": {"path": str(EXAMPLES)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    assert texts(notebook) == stored
