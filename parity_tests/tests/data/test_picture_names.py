"""Names of pictures as other machines and tools write them: where exactly one picture fits it is found, with a note."""

import json
import unicodedata
from pathlib import Path

import pytest

from parity_tests.tests.support.data_sets import coco, write_pictures
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen

COMPOSED = unicodedata.normalize("NFC", "é.png")
DECOMPOSED = unicodedata.normalize("NFD", "é.png")


def named(folder: Path, name: str) -> Annotations:
    """A COCO file whose first picture has a name, and its others none that is there."""
    images = [image | {"file_name": name} for image in coco()["images"][:1]]
    (folder / "objects.json").write_text(json.dumps(coco() | {"images": images}))
    return read_annotations(folder / "objects.json")


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("..\\..\\tool\\media\\cb-p0.png", "images/cb-p0.png"),
        ("../../media/p0.png", "images/p0.png"),
        ("/data/local-files/?d=set/p0.png", "images/p0.png"),
        ("https://example.org/store/p0.png?sig=abc", "images/p0.png"),
        ("https://example.org/p0.png?token=" + "x" * 300, "images/p0.png"),
        ("p%200.png", "images/p 0.png"),
        ("p0", "deep/er/p0.png"),
        ("P0.PNG", "images/p0.png"),
        (COMPOSED, f"images/{DECOMPOSED}"),
        (DECOMPOSED, f"images/{COMPOSED}"),
        ("elsewhere/camera2/p0.png", "images/camera2/p0.png"),
    ],
)
def test_a_picture_is_found_by_its_bare_name(name: str, there: str, tmp_path: Path) -> None:
    write_pictures((tmp_path / there).parent, [Path(there).name, "other.png"])
    write_pictures(tmp_path / "images" / "camera1", ["p1.png"])
    annotations = named(tmp_path, name)
    assert annotations.pictures == [tmp_path / there]
    kinds = [one.finding.partition(":")[0] for one in annotations.problems if one.location.startswith("images")]
    assert kinds == ["picture found by its bare name"]


def test_of_several_pictures_of_one_name_none_is_guessed(tmp_path: Path) -> None:
    for camera in ("camera1", "camera2"):
        write_pictures(tmp_path / camera, ["p0.png"])
    assert named(tmp_path, "elsewhere/camera2/p0.png").pictures == [tmp_path / "camera2" / "p0.png"]
    annotations = named(tmp_path, "elsewhere/p0.png")
    assert not annotations.pictures
    assert "'camera1/p0.png', 'camera2/p0.png'" in annotations.problems[-1].finding


def test_where_pictures_were_looked_for_is_said(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    notes = [one for one in screen(named(tmp_path, "p0.png"), decode=False).problems if "not found" in one.finding]
    assert f"1, looked for in {tmp_path}" in notes[0].finding
    assert "--images names their folder" in notes[0].action


def test_one_name_with_several_sizes_is_a_conflict(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["a.png"])
    images = [image | {"file_name": "a.png", "width": 60 + image["id"]} for image in coco()["images"]]
    (tmp_path / "objects.json").write_text(json.dumps(coco() | {"images": images}))
    (tmp_path / "objects.csv").write_text(
        "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,60,40,cat,1,2,3,4\na.png,80,40,cat,5,6,7,8\n"
    )
    for name in ("objects.json", "objects.csv"):
        problems = screen(read_annotations(tmp_path / name), decode=False).problems
        assert any(one.finding.startswith("one picture with several sizes: 'a.png'") for one in problems)
