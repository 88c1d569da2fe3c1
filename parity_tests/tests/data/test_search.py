"""How far a folder is looked through for annotations, and what is said of what was not looked into."""

import shutil
import sys
from pathlib import Path

import pytest

from parity_tests.tests.support.data_sets import BOXES, what_is_in, write_coco
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.formats.known import FORMATS
from torch_retinanet.data.formats.search import find_data_sets, worth_a_look
from torch_retinanet.data.tree import Tree
from torch_retinanet.errors import InputError


def test_how_far_a_folder_was_looked_through_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("nothing")
    with pytest.raises(InputError, match=r"none of its 1 files in 2 folders is one$"):
        read_annotations(tmp_path)


def test_files_that_were_not_looked_into_are_said_with_how_to_point_at_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is nearest to the root is looked into first, though its name comes last."""
    for i in range(30):
        folder = tmp_path / "a" / str(i)
        folder.mkdir(parents=True)
        (folder / "notes.json").write_text('{"a": 1}')
    write_coco(tmp_path / "z")
    monkeypatch.setattr("torch_retinanet.data.formats.search.LOOKS", 10)
    read = read_annotations(tmp_path)
    assert what_is_in(read) == BOXES
    [said] = [problem for problem in read.problems if problem.assumption]
    assert said.finding.startswith("files that were not looked into: 21, after ")
    assert said.action.endswith("give the folder of the annotations as DATA")
    shutil.rmtree(tmp_path / "z")
    with pytest.raises(
        InputError, match=r"files that were not looked into: 20, .*; give the folder of the annotations"
    ):
        read_annotations(tmp_path)


def test_large_files_take_more_looks(tmp_path: Path) -> None:
    files = [tmp_path / f"{i}.json" for i in range(3)]
    for file, size in zip(files, (100, 5000, 10**6), strict=True):
        file.write_bytes(bytes(size))
    assert [len(worth_a_look(files, looks)[0]) for looks in (0, 1, 2, 3, 18, 19)] == [0, 1, 1, 2, 2, 3]


def test_the_kind_of_a_json_is_found_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.json").write_text('{"a": 1}')
    asked: list[Path] = []
    monkeypatch.setattr(sys.modules["torch_retinanet.data.formats.json_kind"], "json_kind", asked.append)
    assert find_data_sets(Tree(tmp_path), FORMATS) == []
    assert asked == [tmp_path / "notes.json"]
