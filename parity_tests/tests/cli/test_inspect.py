"""`retinanet inspect` and `retinanet browse` as their users meet them: what they print, draw and refuse."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from parity_tests.tests.support.data_sets import (
    WRITERS,
    voc_object,
    voc_xml,
    write_coco,
    write_csv,
    write_kitti,
    write_pictures,
)
from parity_tests.tests.support.paths import shared
from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.cli import main
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.data.anchor_coverage import best_overlaps
from torch_retinanet.data.annotation_sheet import GAP, TILE, draw_annotations
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen


@pytest.mark.parametrize("name", WRITERS)
def test_of_a_data_set_without_faults_there_is_a_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(WRITERS[name](tmp_path))]) == 0
    *read, counts = capsys.readouterr().out.splitlines()
    assert counts == "pictures: 3, of them without boxes: 1; boxes: 5 (dog 3, cat 2); lost in places: 0"
    assert len(read) == (name in ("voc", "kitti", "yolo")), "of a folder what was read of it"


def test_what_is_lost_is_listed_first_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path)
    with path.open("a") as file:
        file.write("b.png,20,10,44,33.5,dog\nb.png,3,4,3,5,cat\n")
    assert main(["inspect", str(path)]) == 1
    table, summary = capsys.readouterr().out.rsplit("\n", 2)[:2]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if line.startswith("│")]
    assert rows == [
        ["objects.csv", "line 8", "no extent: 3, 4, 3, 5 in 60x40", "the box is left out"],
        ["objects.csv", "line 7", "nearly the box of another: IoU 0.98 with line 5", "it is kept"],
    ]
    assert summary == "pictures: 3, of them without boxes: 1; boxes: 6 (dog 4, cat 2); lost in places: 1"


def test_problems_and_counts_are_written_for_programs(tmp_path: Path) -> None:
    path, found, cases = write_csv(tmp_path), tmp_path / "found.json", tmp_path / "found.xml"
    with path.open("a") as file:
        file.write("b.png,20,10,44,33.5,dog\nb.png,3,4,3,5,c\x1bat\n")
    assert main(["inspect", str(path), "--json", str(found), "--junit", str(cases)]) == 1
    content = json.loads(found.read_text())
    lost, noted = content.pop("problems")
    assert content == {
        **{"pictures": 3, "without_boxes": 1, "boxes": 6, "ignored_regions": 0, "lost": 1, "assumed": 0, "refused": ""},
        "classes": [{"name": "dog", "boxes": 4}, {"name": "cat", "boxes": 2}, {"name": "c\x1bat", "boxes": 0}],
    }
    assert lost == {
        **{"file": str(path), "location": "line 8", "finding": "no extent: 3, 4, 3, 5 in 60x40"},
        **{"action": "the box is left out", "data_loss": True, "assumption": False},
    }
    assert not noted["data_loss"]
    suites = ElementTree.parse(cases).getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suites.iter("testcase") if case.find("failure") is not None] == [
        "line 8: no extent: 3, 4, 3, 5 in 60x40"
    ]
    assert main(["inspect", str(write_csv(tmp_path)), "--junit", str(cases)]) == 0
    assert [case.get("name") for case in ElementTree.parse(cases).getroot().iter("testcase")] == ["nothing is wrong"]


def test_a_file_for_programs_is_not_written_over_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path)
    before = path.read_bytes()
    for target in (path, tmp_path, tmp_path / "nowhere" / "found.json"):
        assert main(["inspect", str(path), "--json", str(target)]) == 2
        rule = "must be a file in a folder that is there, and not the data"
        assert capsys.readouterr() == ("", f"retinanet: --json: {target} {rule}\n")
    assert path.read_bytes() == before


def test_notes_alone_end_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path)
    write_pictures(tmp_path, ["other.png"])
    assert main(["inspect", str(path)]) == 0
    assert "pictures that no annotation names: 1, as 'other.png'" in capsys.readouterr().out


def test_of_many_of_one_kind_the_first_few_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path)
    with path.open("a") as file:
        file.writelines(f"a.png,50,{4 + i % 7},50,35,cat\n" for i in range(1000))
    assert main(["inspect", str(path)]) == 1
    output = capsys.readouterr().out
    assert output.count("no extent") == 4
    assert "no extent: 997 more, which --all lists" in output
    assert output.endswith("lost in places: 1000\n")
    assert main(["inspect", str(path), "--all"]) == 1
    assert capsys.readouterr().out.count("no extent") == 1000


def test_of_many_classes_those_with_the_most_objects_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_csv(tmp_path)
    with path.open("a") as file:
        file.writelines(f"a.png,{i % 50},{i // 50},{i % 50 + 9},{i // 50 + 9},class {i}\n" for i in range(1000))
    assert main(["inspect", str(path)]) == 0
    summary = capsys.readouterr().out.splitlines()[-1]
    assert "(dog 3, cat 2, class 0 1, " in summary
    assert summary.endswith("1, 902 classes more, which --all lists); lost in places: 0")
    assert main(["inspect", str(path), "--all"]) == 0
    assert "class 999 1)" in capsys.readouterr().out.splitlines()[-1]


def test_a_data_set_whose_objects_are_all_ignored_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_coco(tmp_path)
    path.write_text(path.read_text().replace('"iscrowd": 0', '"iscrowd": 1'))
    assert main(["inspect", str(path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"{path} has no object to train on: all 5 boxes are ignored (crowds, `difficult`, `DontCare`, or unreadable)"
    )


def test_the_layout_of_boxes_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path)
    path.write_text("a.png,32,3,28,30,cat\nb.png,40,8,20,22,cat\n")
    assert main(["inspect", str(path)]) == 2
    assert "`--boxes xywh` reads them so" in capsys.readouterr().err
    assert main(["inspect", str(path), "--boxes", "xywh"]) == 0
    assert main(["browse", str(path), "--boxes", "xywh", "--out", str(tmp_path / "sheet.png")]) == 0


def test_every_picture_is_decoded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-2000])
    assert main(["inspect", str(path)]) == 1
    assert "boxes lost with it: 2" in capsys.readouterr().out


def test_names_that_a_terminal_would_obey_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path)
    with path.open("a") as file:
        file.write("a.png,1,1,1,2,\x1b[31mred[/bold]\nb\x1b[2Jc.png,1,2,3,4,cat\n")
    assert main(["inspect", str(path)]) == 1
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "b\\x1b[2Jc.png" in output


def test_a_data_set_that_cannot_be_read_ends_with_2_and_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["inspect", str(tmp_path)], ["inspect", str(tmp_path / "nowhere")], ["browse", str(tmp_path)]):
        assert main(arguments) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert re.fullmatch(r"retinanet: \S+: [^\n]+\n", output.err)


def test_splits_folders_and_classes_can_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = WRITERS["voc"](tmp_path / "voc")
    assert main(["inspect", str(path), "--split", "val"]) == 0
    read, counts = capsys.readouterr().out.splitlines()
    assert read == "Pascal VOC in voc; splits: train, val"
    assert counts.startswith("pictures: 1, ")
    assert main(["inspect", str(path), "--split", "evening"]) == 2
    write_pictures(tmp_path / "images")
    (tmp_path / "names.txt").write_text("dog\n")
    assert (
        main(["inspect", str(path), "--images", str(tmp_path / "images"), "--classes", str(tmp_path / "names.txt")])
        == 1
    )
    assert "boxes: 3 (dog 3)" in capsys.readouterr().out


def test_blood_cells_lose_two_boxes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(shared("bccd"))]) == 1
    output = capsys.readouterr().out
    assert "nearly the box of another: 5 more" in output
    assert output.splitlines()[-1] == (
        "pictures: 364, of them without boxes: 0; boxes: 4886 (RBC 4153, WBC 372, Platelets 361); lost in places: 2"
    )


def test_pictures_are_drawn_on_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, sheet = write_coco(tmp_path / "data"), tmp_path / "new" / "sheet.png"
    assert main(["browse", str(path), "--out", str(sheet), "--count", "2"]) == 0
    assert capsys.readouterr().out == f"{sheet}: 2 of 3 pictures, with boxes: 2\n"
    with Image.open(sheet) as picture:
        assert picture.width == 2 * TILE[0] + 3 * GAP
    assert [file.name for file in sheet.parent.iterdir()] == ["sheet.png"]


def test_boxes_that_no_anchor_matches_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path)
    path.write_text("a.png,2,3,30,33,cat\na.png,0,10,60,11,cat\na.png,10,0,11,40,cat\n")
    arguments = ["browse", str(path), "--out", str(tmp_path / "sheet.png"), "--anchors"]
    for model in (["--preset", "notebook"], []):
        assert main([*arguments, *model]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == (
            "boxes with which no anchor has an IoU of 0.5: 2 of 3, in red"
        )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--count", "0"], "--count: 0 must be at least 1"),
        (["--out", "sheet.pdf"], "--out: sheet.pdf must end in .png"),
        (["--preset", "notebook"], "--preset: must come with --anchors"),
        (["--run", "out"], "--run: must come with --anchors"),
        (["--anchors", "--run", "nowhere.safetensors"], "nowhere.safetensors: there is no such file"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["browse", str(write_csv(tmp_path)), *arguments]) == 2
    assert capsys.readouterr().err == f"retinanet: {sentence}\n"


PRESETS = ("torchvision", "keras_io", "notebook")


@pytest.mark.parametrize("preset", PRESETS)
def test_an_anchor_itself_is_matched_and_half_of_it_by_half(preset: str) -> None:
    """On a picture that is resized by 2: an anchor of the network is half as large on the picture."""
    config = RetinaNetConfig.preset(preset, num_classes=1)
    side = config.min_side // 2
    anchors = AnchorGenerator(config).get_anchors(2 * side, 2 * side, dtype=torch.float64) / 2
    inside = anchors[((anchors >= 0) & (anchors <= side)).all(-1)][::997]
    best = best_overlaps(inside, (side, side), config)
    assert len(inside) > 5
    assert torch.allclose(best, torch.ones_like(best))
    assert best_overlaps(inside[:0], (side, side), config).shape == (0,)


def test_boxes_and_ignored_regions_are_where_they_belong(tmp_path: Path) -> None:
    """On a white picture, four times as large: lines within a few pixels of a box's edge, gray stripes in a region."""
    path = write_kitti(tmp_path)
    Image.new("RGB", (TILE[0] // 4, TILE[1] // 4), "white").save(tmp_path / "image_2" / "a.png")
    (tmp_path / "label_2" / "a.txt").write_text(
        "cat 0 0 0 10 40 50 80 1 1 1 1 1 1 1\nDontCare 0 0 0 70 10 110 50 1 1 1 1 1 1 1\n"
    )
    annotations = screen(read_annotations(path), decode=False)
    sheet = np.array(draw_annotations(annotations, [0]).picture)[GAP : GAP + TILE[1], GAP : GAP + TILE[0]]
    drawn = (sheet != 255).any(-1)
    assert drawn[165:315, 40:44].any(1).all()
    assert drawn[165:315, 196:201].any(1).all()
    assert not drawn[200:300, 60:190].any(), "nothing is drawn within a box"
    assert 0.15 < drawn[60:190, 300:420].mean() < 0.35, "a quarter of a region is striped"
    assert (sheet[drawn][:, 0] == sheet[drawn][:, 1]).any(), "in gray"
    assert not drawn[320:, 60:].any()


def test_a_picture_whose_boxes_lie_on_it_as_it_is_stored_is_drawn_so(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (60, 20)).save(tmp_path / "a.png", exif=exif)
    (tmp_path / "a.xml").write_text(voc_xml("a.png", voc_object("cat", (2, 2, 50, 18)), (60, 20)))
    annotations = screen(read_annotations(tmp_path / "a.xml"), decode=False)
    sheet = np.array(draw_annotations(annotations, [0]).picture)[GAP : GAP + TILE[1], GAP : GAP + TILE[0]]
    rows, columns = np.nonzero((sheet == 0).all(-1))
    assert columns.max() - columns.min() > 2 * (rows.max() - rows.min()), "wide, and not high"


def test_pictures_of_any_shape_fit_their_tiles(tmp_path: Path) -> None:
    path = write_csv(tmp_path)
    for name, size in (("a.png", (900, 20)), ("b.png", (20, 900)), ("c.png", (1, 1))):
        write_pictures(tmp_path, [name], size)
    annotations = read_annotations(path)
    (tmp_path / "c.png").write_bytes(b"broken since")
    sheet = draw_annotations(annotations, [0, 1, 2], config=RetinaNetConfig.preset("torchvision"))
    assert sheet.picture.width == 2 * (TILE[0] + GAP) + GAP
    assert sheet.boxes == 5
