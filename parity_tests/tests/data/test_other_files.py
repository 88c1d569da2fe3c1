"""CSV of Vertex AI and Label Studio; and files that are no annotations as they are, named as what they are."""

import io
import json
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from parity_tests.tests.support.data_sets import (
    BOXES,
    PICTURES,
    SIZE,
    problems_in_a_file,
    what_is_in,
    write_csv,
    write_pictures,
)
from parity_tests.tests.support.tool_data_sets import label_studio_result
from torch_retinanet.data.formats import list_splits, read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.errors import InputError


def vertex_row(part: str, picture: str, name: str = "", box: tuple[int, ...] = ()) -> str:
    """A row of Vertex AI's with two corners, or none."""
    left, top, right, bottom = [f"{edge / SIZE[i % 2]:.9f}" for i, edge in enumerate(box)] if box else [""] * 4
    return f"{part},gs://bucket/folder/{picture},{name},{left},{top},,,{right},{bottom},,"


def write_vertex(folder: Path, parts: tuple[str, ...] = ("TRAIN", "VALIDATION", "TEST")) -> Path:
    """The small data set, a picture for each split."""
    write_pictures(folder)
    rows = [
        row
        for part, picture in zip(parts, PICTURES, strict=True)
        for row in [vertex_row(part, picture, *one) for one in BOXES[picture]] or [vertex_row(part, picture)]
    ]
    (folder / "export.csv").write_text("\n".join(rows) + "\n")
    return folder / "export.csv"


def test_a_csv_of_vertex_ai_is_read_with_its_splits(tmp_path: Path) -> None:
    path = write_vertex(tmp_path)
    assert what_is_in(screen(read_annotations(tmp_path), decode=False)) == BOXES
    assert list_splits(path) == ["train", "validation", "test"]
    train = screen(read_annotations(path, split="train"), decode=False)
    assert (what_is_in(train), train.classes) == ({"a.png": BOXES["a.png"]}, ["cat", "dog"])


def test_what_vertex_ai_has_not_assigned_is_trained_on(tmp_path: Path) -> None:
    path = write_vertex(tmp_path, ("UNASSIGNED", "TRAIN", "VALIDATE"))
    assert list_splits(path) == ["train", "validation"]
    assert [picture.name for picture in read_annotations(path, split="train").pictures] == ["a.png", "b.png"]


def test_four_corners_of_vertex_ai_are_the_box_of_two(tmp_path: Path) -> None:
    path = write_vertex(tmp_path)
    first = vertex_row("TRAIN", "a.png", "cat", (6, 4, 30, 20))
    path.write_text(f"{first}\nTRAIN,gs://bucket/folder/a.png,dog,0.1,0.1,0.5,0.1,0.5,0.5,0.1,0.5\n")
    read = screen(read_annotations(path), decode=False)
    assert what_is_in(read) == {"a.png": [("cat", (6, 4, 30, 20)), ("dog", (6, 4, 30, 20))]}


LABEL_STUDIO = "image,id,label,annotator,annotation_id,created_at,updated_at,lead_time"


def label_studio_row(picture: str, cell: str) -> str:
    """A row of Label Studio's."""
    quoted = cell.replace('"', '""')
    return f'/data/upload/1/0a1b2c3d-{picture},7,"{quoted}",1,3,2024,2024,1.5'


def label_studio_cell(picture: str) -> str:
    """The regions of a picture, as JSON-MIN has them."""
    results = [label_studio_result(*one) for one in BOXES[picture]]
    sides = {"original_width": SIZE[0], "original_height": SIZE[1]}
    return json.dumps([result["value"] | sides for result in results]) if results else ""


def write_label_studio_csv(folder: Path, *more: str) -> Path:
    """The small data set, and more lines."""
    write_pictures(folder)
    rows = [label_studio_row(picture, label_studio_cell(picture)) for picture in PICTURES]
    (folder / "project.csv").write_text("\n".join([LABEL_STUDIO, *rows, *more]) + "\n")
    return folder / "project.csv"


def test_a_csv_of_label_studio_is_read(tmp_path: Path) -> None:
    write_label_studio_csv(tmp_path)
    read = read_annotations(tmp_path)
    assert (what_is_in(read), read.problems) == (BOXES, [])


def test_a_bad_line_of_label_studio_is_a_loss_at_its_place(tmp_path: Path) -> None:
    cut, short = label_studio_row("a.png", '[{"x": 1'), "a.png,7"
    point = label_studio_row("d.png", json.dumps([{"x": 1, "y": 2, "rectanglelabels": ["cat"]}]))
    read = read_annotations(write_label_studio_csv(tmp_path, cut, short, point))
    assert problems_in_a_file(read) == [
        ("line 5", "no JSON in a field", True),
        ("line 6", "fields that are not 8", True),
        ("line 7.result[0]", "shape without extent", True),
    ]


def test_classes_of_whole_pictures_are_no_boxes(tmp_path: Path) -> None:
    path = tmp_path / "project.csv"
    path.write_text(f"{LABEL_STUDIO}\n{label_studio_row('a.png', 'cat')}\n")
    with pytest.raises(InputError, match=r"must have regions as JSON in a column, and has none in image, id, label"):
        read_annotations(path)


def packed(name: str) -> bytes:
    """An archive of a kind."""
    memory = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(memory, "w") as archive:
            archive.writestr("train/a.txt", "0 0.5 0.5 0.1 0.1")
    else:
        with tarfile.open(fileobj=memory, mode="w:gz" if name.endswith("gz") else "w") as archive:
            archive.addfile(tarfile.TarInfo("a.txt"))
    return memory.getvalue()


NO_ANNOTATIONS = [
    ("set.zip", packed("set.zip"), "is a ZIP archive; unpack it, and give the folder as DATA"),
    ("set.tar", packed("set.tar"), "is a tar archive; unpack it"),
    ("set.tar.gz", packed("set.tar.gz"), "is an archive of gzip; unpack it"),
    ("train-00000-of-00001.parquet", b"PAR1" + bytes(99), "is a table of Parquet; convert it to COCO's JSON"),
    ("a.tfrecord", bytes(99), "is a file of TFRecord; convert it"),
    ("a.record-00000-of-00010", bytes(99), "is a file of TFRecord; convert it"),
    ("boxes.xlsx", packed("set.zip"), "is a workbook of Excel; save the sheet as CSV"),
    ("boxes.pkl", b"\x80\x04", "is a pickle, which can run any code and is never read; convert it"),
    ("a.jsonl", b'{"imageGcsUri": "gs://b/a.jpg"}\n', "is Vertex AI's JSON lines, which is not read; export it"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), NO_ANNOTATIONS, ids=[name for name, *_ in NO_ANNOTATIONS])
def test_a_file_that_is_no_annotation_is_named_by_itself_and_in_its_folder(
    name: str, content: bytes, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / name
    file.write_bytes(content)
    for path in (file, tmp_path):
        with pytest.raises(InputError, match=f"^{re.escape(f'{file}: {sentence}')}"):
            read_annotations(path)


@pytest.mark.parametrize("name", ["val.csv", "val.json"])
def test_a_split_that_git_lfs_has_not_fetched_is_lost(name: str, tmp_path: Path) -> None:
    write_csv(tmp_path).rename(tmp_path / "train.csv")
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    read = read_annotations(tmp_path)
    assert what_is_in(read) == BOXES
    [problem] = read.problems
    assert problem.file == tmp_path / name
    assert problem.finding.startswith("is a Git LFS pointer in place of the file itself")
    assert problem.data_loss


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("# Compatible with PASCAL Annotation Version 1.00\n", "the text of PASCAL 1.00, as Penn-Fudan has it"),
        ("a b.jpg 1,2,30,33,0 4,5,9,9,1\nb.jpg 1,2,3,4,0\n", "a list of pictures with boxes, as keras-yolo3 has it"),
    ],
)
def test_a_text_of_another_program_is_named(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(content)
    for data in (tmp_path, tmp_path / "train.txt"):
        with pytest.raises(InputError, match=f"train.txt: is {words}; "):
            read_annotations(data)
