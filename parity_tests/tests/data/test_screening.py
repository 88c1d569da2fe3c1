"""What no training can use is taken out and named, and whatever else is odd is noted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from parity_tests.tests.support.data_sets import (
    BOXES,
    PICTURES,
    SIZE,
    voc_object,
    voc_xml,
    what_is_in,
    write_coco,
    write_csv,
    write_pictures,
    write_voc,
)
from parity_tests.tests.support.paths import shared
from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.data.screening.near_duplicates import near_duplicates
from torch_retinanet.data.screening.pictures import screen_pictures
from torch_retinanet.pictures import read_picture


def kinds(problems: list[Problem]) -> list[tuple[str, bool]]:
    return [(problem.finding.partition(":")[0], problem.data_loss) for problem in problems]


def found(annotations: Annotations, *, decode: bool = False) -> list[Problem]:
    """What the screening alone finds."""
    problems = list(screen(replace(annotations, problems=[]), decode=decode).problems)
    return [problem for problem in problems if isinstance(problem, Problem)]


@pytest.mark.parametrize("decode", [False, True])
def test_what_is_right_stays_as_it_is(decode: bool, tmp_path: Path) -> None:
    annotations = screen(read_annotations(write_csv(tmp_path)), decode=decode)
    assert what_is_in(annotations) == BOXES
    assert annotations.problems == []
    assert annotations.sizes.tolist() == [[SIZE[1], SIZE[0]]] * 3, "of the pictures, which the file does not say"


def with_boxes(tmp_path: Path, *boxes: str) -> Annotations:
    """One picture of 60 by 40 with these boxes."""
    path = write_csv(tmp_path)
    path.write_text("".join(f"a.png,{box}\n" for box in boxes))
    return replace(read_annotations(path), problems=[])


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ("5,5,5,9,cat", "no extent"),
        ("5,5,9,5,cat", "no extent"),
        ("60,5,70,9,cat", "wholly outside the picture"),
        ("-9,5,0,9,cat", "wholly outside the picture"),
        ("5,1e300,9,1e301,cat", "wholly outside the picture"),
        ("2,3,30,33,cat", "box that is there twice"),
    ],
)
def test_a_box_that_no_training_can_use_is_lost(box: str, kind: str, tmp_path: Path) -> None:
    annotations = with_boxes(tmp_path, "2,3,30,33,cat", box, "10,5,50,25,dog")
    screened = screen(annotations, decode=False)
    assert what_is_in(screened) == {"a.png": BOXES["a.png"]}
    assert kinds(list(screened.problems)) == [(kind, True)]
    assert screened.problems[0].location == "line 2"


@pytest.mark.parametrize("box", ["nan,2,3,4,cat", "1,2,inf,4,cat", "1,2,1e999,4,cat"])
def test_a_picture_with_a_box_that_is_not_finite_is_left_out(box: str, tmp_path: Path) -> None:
    screened = screen(with_boxes(tmp_path, "2,3,30,33,cat", box), decode=False)
    assert what_is_in(screened) == {}
    places = ("numbers that are not finite", True), ("objects at places that are not known", True)
    assert kinds(list(screened.problems)) == list(places)
    assert [problem.location for problem in screened.problems] == ["line 2", ""]


def test_a_box_whose_edges_are_in_the_wrong_order_is_ignored(tmp_path: Path) -> None:
    screened = screen(with_boxes(tmp_path, "2,3,30,33,cat", "50,5,40,25,dog"), decode=False)
    assert what_is_in(screened) == {"a.png": [("cat", (2, 3, 30, 33)), ("", (40, 5, 50, 25))]}
    assert screened.ignored.tolist() == [False, True]
    assert kinds(list(screened.problems)) == [("edges in the wrong order", True)]


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ("4,3,30,33,cat", "nearly the box of another"),
        ("7.5,3,30,33,cat", "nearly the box of another"),
        ("40,5,42.9,30,cat", "side below 3 pixels"),
        ("40,30,70,36,cat", "over the border"),
        ("58,5,70,30,cat", "over the border"),
    ],
)
def test_a_box_that_is_odd_is_noted_and_kept(box: str, kind: str, tmp_path: Path) -> None:
    annotations = with_boxes(tmp_path, "2,3,30,33,cat", box)
    screened = screen(annotations, decode=False)
    assert len(screened.boxes) == 2
    assert kinds(list(screened.problems))[0] == (kind, False)
    assert screened.problems[0].location == "line 2"


@pytest.mark.parametrize(
    "box", ["5,3,31,33,dog", "9,3,37,33,cat", "40,5,43,30,cat", "40,5,60.4,30,cat", "0,0,60,40,cat"]
)
def test_a_box_that_is_not_odd_is_not_noted(box: str, tmp_path: Path) -> None:
    """Of another class, of an IoU of 0.6, of 3 pixels, over the border by rounding, of the whole picture."""
    assert found(with_boxes(tmp_path, "2,3,30,33,cat", box)) == []


def test_boxes_are_cut_off_at_the_border(tmp_path: Path) -> None:
    screened = screen(with_boxes(tmp_path, "-5,-1,70,39,cat", "10,30,20,1e300,cat"), decode=False)
    assert screened.boxes.tolist() == [[0, 0, 60, 39], [10, 30, 20, 40]]


def test_the_same_box_on_two_pictures_or_ignored_is_no_duplicate(tmp_path: Path) -> None:
    path = write_voc(tmp_path)
    boxes = voc_object("cat", (1, 2, 30, 40)) + voc_object("dog", (1, 2, 30, 40), difficult=1)
    for name in ("a", "b"):
        (path / "Annotations" / f"{name}.xml").write_text(voc_xml(f"{name}.png", boxes))
    assert found(read_annotations(path)) == []


def test_an_object_with_two_classes_is_noted_and_taken_for_granted(tmp_path: Path) -> None:
    screened = screen(with_boxes(tmp_path, "2,3,30,33,cat", "3,3,31,33,cat", "2,3,30,33.5,dog"), decode=False)
    assert len(screened.boxes) == 3
    (problem,) = (one for one in screened.problems if one.assumption)
    assert problem.location == "line 3"
    assert problem.finding == "object with two classes: 'dog' and, with IoU 0.98, 'cat' in line 1"


boxes = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), *[st.integers(0, 12)] * 2, *[st.integers(1, 12)] * 2)


@settings(deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(boxes, st.integers(0, 1), st.integers(0, 1)), max_size=12), st.booleans())
def test_near_duplicates_are_those_that_comparing_all_pairs_finds(
    objects: list[tuple[tuple[int, ...], int, int]], of_two_labels: bool
) -> None:
    corners = np.array([box for box, _, _ in objects], dtype=float).reshape(-1, 4)
    groups, labels = (np.array([one[k] for one in objects], dtype=np.int64) for k in (1, 2))
    pairs = near_duplicates(corners, groups, 0.8, labels=labels if of_two_labels else None)
    assert {pair.later for pair in pairs} == {
        j
        for j in range(len(objects))
        for i in range(j)
        if groups[i] == groups[j] and overlap(corners[i], corners[j]) >= 0.8
        if not of_two_labels or labels[i] != labels[j]
    }


def overlap(box: np.ndarray, other: np.ndarray) -> float:
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    return shared / (float(np.prod(box[2:] - box[:2])) + float(np.prod(other[2:] - other[:2])) - shared)


def test_pictures_that_are_missing_or_broken_are_lost_with_their_boxes(tmp_path: Path) -> None:
    annotations = read_annotations(write_csv(tmp_path))
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").write_bytes(b"no picture")
    screened = screen(annotations, decode=False)
    assert what_is_in(screened) == {"c.png": []}
    lost = [problem for problem in screened.problems if problem.data_loss]
    assert [(problem.file.name, problem.finding, problem.data_loss) for problem in lost] == [
        ("a.png", "missing picture: named in 'objects.csv', boxes lost with it: 2", True),
        (
            "b.png",
            "unreadable picture: no picture that Pillow knows (UnidentifiedImageError), boxes lost with it: 3",
            True,
        ),
    ]


def test_a_picture_that_is_cut_off_is_found_where_it_is_decoded(tmp_path: Path) -> None:
    annotations = read_annotations(write_csv(tmp_path))
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-2000])
    assert found(annotations) == []
    assert kinds(found(annotations, decode=True)) == [("unreadable picture", True)]


def test_a_picture_beyond_the_limit_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    annotations = read_annotations(write_csv(tmp_path))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert kinds(found(annotations)) == [("unreadable picture", True)] * 3


def oriented(tmp_path: Path, orientation: int, size: tuple[int, int], suffix: str = ".jpg") -> Annotations:
    """One picture stored as 60 by 40, annotated as `size`."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", SIZE).save(tmp_path / f"a{suffix}", exif=exif)
    (tmp_path / "a.xml").write_text(voc_xml(f"a{suffix}", voc_object("cat", (0, 0, *size)), size))
    return read_annotations(tmp_path / "a.xml")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize(
    ("orientation", "annotated", "as_stored", "kind"),
    [
        (1, (60, 40), False, None),
        (6, (40, 60), False, "EXIF orientation"),
        (6, (60, 40), True, "annotated as it is stored"),
        (8, (60, 40), True, "annotated as it is stored"),
        (3, (60, 40), False, "EXIF orientation"),
        (9, (60, 40), False, "EXIF orientation that is none"),
    ],
)
def test_boxes_lie_on_the_picture_as_it_is_stored_where_its_annotated_size_says_so(
    orientation: int, annotated: tuple[int, int], as_stored: bool, kind: str | None, suffix: str, tmp_path: Path
) -> None:
    screened = screen(oriented(tmp_path, orientation, annotated, suffix), decode=False)
    assert screened.as_stored.tolist() == [as_stored]
    assert screened.sizes.tolist() == [[annotated[1], annotated[0]]]
    assert screened.boxes.tolist() == [[0, 0, *annotated]]
    assert kinds(list(screened.problems)) == ([(kind, False)] if kind else [])
    picture = read_picture(screened.pictures[0], upright=not as_stored)
    assert picture.shape[1:] == (annotated[1], annotated[0]), "training reads it in this size"


def test_orientation_behind_the_pixels_of_a_png_counts_too(tmp_path: Path) -> None:
    annotations = oriented(tmp_path, 6, (40, 60), ".png")
    stored = (tmp_path / "a.png").read_bytes()
    start = stored.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(stored[start : start + 4], "big")
    others, last = stored[:start] + stored[end:-12], stored[-12:]
    (tmp_path / "a.png").write_bytes(others + stored[start:end] + last)
    screened = screen(annotations, decode=False)
    assert kinds(list(screened.problems)) == [("EXIF orientation", False)]
    assert screened.sizes.tolist() == [[60, 40]] == [list(read_picture(tmp_path / "a.png").shape[1:])]


def test_a_size_that_differs_otherwise_is_noted(tmp_path: Path) -> None:
    problems = found(oriented(tmp_path, 1, (59, 40)))
    assert [problem.finding for problem in problems] == ["annotated size that differs: 59x40, the picture has 60x40"]


def test_a_suffix_of_another_format_is_noted(tmp_path: Path) -> None:
    annotations = read_annotations(write_csv(tmp_path))
    Image.new("RGB", SIZE).save(tmp_path / "a.png", format="JPEG")
    assert [problem.finding for problem in found(annotations)] == ["suffix of another format: '.png', and it is JPEG"]


def test_pixels_that_are_not_rgb_are_noted_once_a_kind(tmp_path: Path) -> None:
    annotations = read_annotations(write_csv(tmp_path))
    for name, mode in zip(PICTURES, ("L", "RGBA", "L"), strict=True):
        Image.new(mode, SIZE).save(tmp_path / name)
    assert [(problem.file.name, problem.finding) for problem in found(annotations)] == [
        ("a.png", "pictures of mode L: 2, this the first"),
        ("b.png", "pictures of mode RGBA: 1, this the first"),
    ]


def test_pictures_of_one_name_are_noted(tmp_path: Path) -> None:
    annotations = read_annotations(write_csv(tmp_path))
    write_pictures(tmp_path, ["a.jpg", "other.jpg", "other.png"])
    assert [problem.finding for problem in found(annotations)] == ["pictures of one name: 'a.jpg', 'a.png'"]


@pytest.mark.parametrize(
    ("names", "noted"), [("Stop sign,stop_sign,dog", "'Stop sign', 'stop_sign'"), ("A,a,b", ""), ("cat,cats,dog", "")]
)
def test_classes_of_nearly_one_name_are_noted(names: str, noted: str, tmp_path: Path) -> None:
    write_pictures(tmp_path, ["a.png"])
    rows = [f"a.png,{i},3,{i + 20},33,{name}\n" for i, name in enumerate(names.split(","))]
    (tmp_path / "objects.csv").write_text("".join(rows))
    findings = [one.finding for one in screen(read_annotations(tmp_path), decode=False).problems]
    assert [one for one in findings if "name" in one] == ([f"classes of nearly one name: {noted}"] if noted else [])


def test_a_picture_that_one_file_lists_twice_has_the_boxes_of_both(tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    path.write_text(path.read_text().replace("b.png", "a.png"))
    screened = screen(replace(read_annotations(path), problems=[]), decode=False)
    assert what_is_in(screened) == {"a.png": BOXES["a.png"] + BOXES["b.png"], "c.png": []}
    assert screened.picture_ids == [0, 20]
    assert kinds(list(screened.problems)) == [("picture listed twice", False)]
    assert screened.places.tolist() == [0, 1, 2, 3, 4]


def test_of_two_files_of_one_picture_the_boxes_of_the_second_are_ignored(tmp_path: Path) -> None:
    path = write_voc(tmp_path)
    (path / "Annotations" / "a copy.xml").write_text((path / "Annotations" / "a.xml").read_text())
    screened = screen(replace(read_annotations(path), problems=[]), decode=False)
    objects = screened.objects(0)
    assert screened.pictures[0].name == "a.png"
    assert objects.ignored.tolist() == [False, False, True, True]
    assert objects.labels.tolist() == [*objects.labels[:2].tolist(), -1, -1]
    assert objects.boxes[2:].tolist() == objects.boxes[:2].tolist()
    (problem,) = screened.problems
    assert (problem.file.name, problem.finding, problem.data_loss) == (
        "a.xml",
        f"picture of another file too: 'a.png', of {str(path / 'Annotations' / 'a copy.xml')!r}, boxes: 2",
        True,
    )


def test_nothing_at_all_can_be_screened(tmp_path: Path) -> None:
    annotations = read_annotations(write_csv(tmp_path))
    nothing = annotations.select(pictures=np.zeros(3, dtype=bool))
    screened = screen_pictures(screen(nothing, decode=True), decode=True)
    assert (screened.boxes.shape, screened.sizes.shape, screened.pictures) == ((0, 4), (0, 2), [])


def test_blood_cells_lose_two_boxes_and_have_eight_that_are_nearly_others() -> None:
    screened = screen(read_annotations(shared("bccd")), decode=False)
    assert len(screened.boxes) == 4886
    assert [(problem.file.stem, problem.finding) for problem in screened.problems if problem.data_loss] == [
        ("BloodImage_00338", "no extent: 504, 337, 504, 337 in 640x480"),
        ("BloodImage_00343", "no extent: 181, 329, 181, 329 in 640x480"),
    ]
    assert (
        kinds([problem for problem in screened.problems if not problem.data_loss])
        == [("nearly the box of another", False)] * 8
    )


def test_awkward_pictures_are_lost_if_training_cannot_read_them(awkward: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in awkward.iterdir() if path.suffix in (".png", ".jpg", ".mpo", ".tif"))
    (tmp_path / "objects.csv").write_text("".join(f"{name},,,,,\n" for name in names))
    screened = screen(read_annotations(tmp_path / "objects.csv", images=awkward), decode=True)
    assert {problem.file.name for problem in screened.problems if problem.data_loss} == {
        "broken_data_stream.png",
        "truncated_image.png",
        "truncated_jpeg.jpg",
    }
    assert len(screened.pictures) == 17
    for path, size in zip(screened.pictures, screened.sizes.tolist(), strict=True):
        if path.name != "hopper_bad_exif.jpg":
            assert list(read_picture(path).shape[1:]) == size
