"""Damaged data sets: nothing but a sentence is ever raised, and nothing is lost without a word.

An entry is what a file has one of for each object or picture: a line that is not blank, an item of the lists
`annotations` and `images`, an `<object>`. Entries are counted in the damaged file by means of these tests' own. It is a
silent loss if one is neither in what is read, nor named as lost by its file and place, nor in a file that is refused or
named as lost as a whole; if a box or picture that was read is neither in what the screening gives, nor named by it; and
if anything of a file that is whole is missing. Where it cannot be told what the entries of a damaged file are, as of a
JSON or XML that is not whole, it must be refused or named as a whole, or account for as many as it had.

What is cut off at the end of a file of lines has left no trace in it, and nothing can tell.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from parity_tests.tests.support.accounting import (
    Entries,
    entries_of_lines,
    in_utf_8,
    places_of_boxes,
    places_of_losses,
    silent_in_screening,
)
from parity_tests.tests.support.damage import DAMAGES, TO_BYTES, Damage
from parity_tests.tests.support.data_sets import BOXES, PICTURES, WRITERS, write_csv, write_voc, write_yolo
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.errors import InputError

DAMAGED = {
    "coco": "objects.json",
    "csv": "objects.csv",
    "csv with header": "objects.csv",
    "voc": "Annotations/b.xml",
    "kitti": "label_2/b.txt",
    "yolo": "labels/b.txt",
}
"""The file of each data set that is damaged."""

SEEDS = range(8)
"""With 13 kinds of damage and 6 files 624 damaged files."""


def entries_of_json(content: bytes) -> set[str] | None:
    try:
        lists = json.loads(content)
        return {f"{name}[{i}]" for name in ("images", "annotations") for i in range(len([*lists[name]]))}
    except (ValueError, RecursionError, KeyError, TypeError):
        return None


def entries_of_xml(content: bytes) -> set[str] | None:
    try:
        return {f"object[{i}]" for i in range(len(ET.fromstring(content).findall("object")))}
    except (ET.ParseError, ValueError, LookupError):
        return None


ENTRIES: dict[str, Callable[[bytes], set[str] | None]] = {
    ".json": entries_of_json,
    ".xml": entries_of_xml,
    ".csv": entries_of_lines,
    ".txt": entries_of_lines,
}


def places_without_boxes(file: Path, annotations: Annotations) -> Entries:
    """Items of `images`, and lines of a CSV with zeros or nothing for a box, that say a picture which was read."""
    names = {path.name for path in annotations.pictures}
    if file.suffix == ".json":
        images = json.loads(file.read_bytes())["images"]
        said = [isinstance(image, dict) and Path(str(image.get("file_name"))).name in names for image in images]
        return {(file, f"images[{i}]") for i, is_said in enumerate(said) if is_said}
    rows = [line.decode("utf-8", "replace").split(",") for line in in_utf_8(file.read_bytes()).splitlines()]
    without = [sum(field in ("", "0", "-0") for field in row) >= 4 for row in rows]
    said = [bool(names & {*map(bare_name, row)}) for row in rows]
    return {(file, f"line {i + 1}") for i in range(len(rows)) if without[i] and said[i]}


def bare_name(field: str) -> str:
    return field.strip().rpartition("/")[2]


def silent_in_reading(name: str, file: Path, annotations: Annotations) -> Entries:
    """What the damaged file has, and neither what is read nor any problem."""
    boxes, lost = places_of_boxes(annotations), places_of_losses(annotations.problems)
    if (file, "") in lost:
        return set()
    entries = ENTRIES[file.suffix](file.read_bytes())
    if entries is None:
        accounted = {place for path, place in boxes | lost if path == file}
        return set() if len(accounted) >= sum(map(len, BOXES.values())) else {(file, "")}
    header = {(file, "line 1")} if name == "csv with header" else set()
    return {(file, place) for place in entries} - boxes - lost - header - places_without_boxes(file, annotations)


def what_is_silent(name: str, path: Path, file: Path) -> Entries:
    try:
        read = read_annotations(path)
    except InputError as error:
        return {(file, "sentence")} if "\n" in str(error) else set()
    silent = silent_in_reading(name, file, read) | silent_in_screening(read, screen(read, decode=False))
    whole = [picture for picture in PICTURES if file.stem != "objects" and picture != "b.png"]
    read_whole = {path.name: len(read.objects(i).boxes) for i, path in enumerate(read.pictures)}
    return silent | {(Path(one), "whole") for one in whole if read_whole.get(one) != len(BOXES[one])}


def damaged(content: bytes, damage: Damage, seed: int) -> bytes:
    return damage(content, random.Random(f"{damage.__name__} {seed}"))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_annotations_are_refused_or_account_for_every_entry(name: str, damage: Damage, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    file = tmp_path / DAMAGED[name]
    content = file.read_bytes()
    for seed in SEEDS:
        file.write_bytes(damaged(content, damage, seed))
        assert what_is_silent(name, path, file) == set(), f"seed {seed}: {file.read_bytes()[:2000]!r}"


def write_yolo_with_yaml(folder: Path) -> Path:
    (write_yolo(folder) / "data.yaml").write_text(
        "path: ../x\nnames: {0: cat, 1: dog}\ntrain: images\nval: [val.txt]\n"
    )
    (folder / "val.txt").write_text("images/a.png\n./images/c.png\n")
    return folder


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize(
    ("writer", "name", "split"),
    [
        (write_yolo_with_yaml, "data.yaml", "train"),
        (write_yolo_with_yaml, "val.txt", "val"),
        (write_yolo, "classes.txt", None),
        (write_voc, "ImageSets/Main/train.txt", "train"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_lists_of_names_are_read_or_refused_in_a_sentence(
    writer: Callable[[Path], Path], name: str, split: str | None, damage: Damage, tmp_path: Path
) -> None:
    path = writer(tmp_path)
    content = (path / name).read_bytes()
    for seed in SEEDS:
        (path / name).write_bytes(damaged(content, damage, seed))
        try:
            screen(read_annotations(path, split=split), decode=False)
            sentence = ""
        except InputError as error:
            sentence = str(error)
        assert "\n" not in sentence
        assert len(sentence) < 1000


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".gif"])
@pytest.mark.parametrize("damage", TO_BYTES, ids=lambda damage: damage.__name__)
def test_damaged_pictures_are_read_or_lost_with_their_boxes(suffix: str, damage: Damage, tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    path.write_text(path.read_text().replace("b.png", f"b{suffix}"))
    file = tmp_path / f"b{suffix}"
    with Image.open(tmp_path / "b.png") as picture:
        picture.save(file)
    read, content = read_annotations(path), file.read_bytes()
    for seed in SEEDS:
        file.write_bytes(damaged(content, damage, seed))
        for decode in (False, True):
            assert silent_in_screening(read, screen(read, decode=decode)) == set(), f"seed {seed}"


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_not_damaged_accounts_for_every_entry(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    assert what_is_silent(name, path, tmp_path / DAMAGED[name]) == set()


@pytest.mark.parametrize("name", DAMAGED)
def test_a_loss_without_a_word_would_be_found(name: str, tmp_path: Path) -> None:
    """A reader, and a screening, that keep the last box to themselves."""
    path, file = WRITERS[name](tmp_path), tmp_path / DAMAGED[name]
    read = read_annotations(path)
    fewer = read.select(boxes=read.places != read.places[-1])
    assert silent_in_reading(name, file, fewer)
    assert silent_in_screening(read, fewer)
    assert silent_in_screening(read, read.select(pictures=read.sizes[:, 0] < 0))
