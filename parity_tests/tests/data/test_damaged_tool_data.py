"""Damaged exports of annotation tools: as `test_damaged_data`, nothing is lost without a word.

An entry is here what a file has one of for each box or picture. A box is accounted for where its picture is lost as a
whole. A picture is accounted for where it was read, or a problem has its place.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from parity_tests.tests.support.accounting import (
    entries_of_lines,
    in_utf_8,
    places_of_boxes,
    places_of_losses,
    silent_in_screening,
)
from parity_tests.tests.support.damage import DAMAGES, Damage
from parity_tests.tests.support.data_sets import BOXES, PICTURES
from parity_tests.tests.support.tool_data_sets import TOOL_WRITERS, write_open_images
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.errors import InputError

WRITERS = TOOL_WRITERS | {"open images": write_open_images}

DAMAGED = {
    "labelme": "b.json",
    "createml": "objects.json",
    "via": "objects.json",
    "via project": "objects.json",
    "via csv": "objects.csv",
    "label studio": "objects.json",
    "cvat": "objects.xml",
    "open images": "train-annotations-bbox.csv",
}
"""The file of each data set that is damaged."""

SEEDS = range(4)


def of_labelme(content: Any) -> set[str]:
    return {f"shapes[{i}]" for i in range(len([*content["shapes"]]))}


def of_createml(content: Any) -> set[str]:
    return nested("[{}]", ".annotations[{}]", [boxes_in(entry, "annotations") for entry in content])


def of_via(content: Any) -> set[str]:
    entries = content.get("_via_img_metadata", content).values()
    return nested("picture[{}]", ".regions[{}]", [boxes_in(entry, "regions") for entry in entries])


def of_label_studio(content: Any) -> set[str]:
    return nested("[{}]", ".result[{}]", [boxes_in(task["annotations"][-1], "result") for task in content])


def boxes_in(entry: Any, name: str) -> list[Any]:
    """What an entry lists under a name, if it does."""
    listed = entry.get(name) if isinstance(entry, dict) else None
    return listed if isinstance(listed, list) else []


def nested(picture: str, box: str, boxes: list[Any]) -> set[str]:
    """The places of pictures, and of their boxes."""
    pictures = {picture.format(i) for i in range(len(boxes))}
    return pictures | {picture.format(i) + box.format(j) for i, own in enumerate(boxes) for j in range(len(own))}


def entries_of_cvat(content: bytes) -> set[str] | None:
    try:
        images = ET.fromstring(content).findall("image")
    except (ET.ParseError, ValueError, LookupError):
        return None
    return nested("image[{}]", ".shape[{}]", [list(image) for image in images])


def entries_of_json(of_kind: Callable[[Any], set[str]]) -> Callable[[bytes], set[str] | None]:
    def entries(content: bytes) -> set[str] | None:
        try:
            return of_kind(json.loads(content))
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            return None

    return entries


def entries_of_table(content: bytes) -> set[str] | None:
    lines = entries_of_lines(content)
    return None if lines is None else lines - {"line 1"}


def entries_of_via_csv(content: bytes) -> set[str] | None:
    """Its lines but for the header, and those of pictures without regions."""
    lines = entries_of_table(content)
    if lines is None:
        return None
    empty = {f"line {number}" for number, line in enumerate(in_utf_8(content).splitlines(), 1) if b'"{}","{}"' in line}
    return lines - empty


ENTRIES: dict[str, Callable[[bytes], set[str] | None]] = {
    "labelme": entries_of_json(of_labelme),
    "createml": entries_of_json(of_createml),
    "via": entries_of_json(of_via),
    "via project": entries_of_json(of_via),
    "via csv": entries_of_via_csv,
    "label studio": entries_of_json(of_label_studio),
    "cvat": entries_of_cvat,
    "open images": entries_of_table,
}


def silent_in_reading(name: str, file: Path, annotations: Annotations) -> set[str]:
    """What the damaged file has, and neither what is read nor any problem."""
    boxes = {place for path, place in places_of_boxes(annotations) if path == file}
    lost = {place for path, place in places_of_losses(annotations.problems) if path == file}
    entries = ENTRIES[name](file.read_bytes())
    if "" in lost:
        return set()
    if entries is None:
        return set() if len(boxes | lost) >= len(BOXES["b.png"]) else {"entries"}
    said = lost | {problem.location for problem in annotations.problems if problem.file == file}
    pictures = {entry for entry in entries if entry.endswith("]") and entry.count("[") == 1 and name != "labelme"}
    silent = {
        entry for entry in entries - pictures if entry not in boxes | lost and entry.rpartition(".")[0] not in said
    }
    return silent | ({"pictures"} if len(pictures - said) > len(annotations.pictures) else set())


def what_is_silent(name: str, path: Path, file: Path) -> set[str | tuple[Path, str]]:
    try:
        read = read_annotations(path)
        screened = screen(read, decode=False)
    except InputError as error:
        return {"sentence"} if "\n" in str(error) else set()
    return {*silent_in_reading(name, file, read), *silent_in_screening(read, screened)}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", WRITERS)
def test_damaged_exports_are_refused_or_account_for_every_entry(name: str, damage: Damage, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    file = tmp_path / DAMAGED[name]
    content = file.read_bytes()
    for seed in SEEDS:
        file.write_bytes(damage(content, random.Random(f"{damage.__name__} {seed}")))
        assert what_is_silent(name, path, file) == set(), f"seed {seed}: {file.read_bytes()[:2000]!r}"


@pytest.mark.parametrize("name", WRITERS)
def test_a_loss_without_a_word_would_be_found(name: str, tmp_path: Path) -> None:
    path, file = WRITERS[name](tmp_path), tmp_path / DAMAGED[name]
    read = read_annotations(path)
    assert what_is_silent(name, path, file) == set()
    last = read.places[read.owners() == PICTURES.index("b.png")][-1]
    assert silent_in_reading(name, file, read.select(boxes=read.places != last))
