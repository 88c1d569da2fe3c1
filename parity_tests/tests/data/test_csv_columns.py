"""Columns of a CSV are found by the names in its header, or without one by what stands in the rows."""

from pathlib import Path

import numpy as np
import pytest

from parity_tests.tests.support.data_sets import what_is_in, write_pictures
from torch_retinanet.data.formats import known, list_splits, read_annotations
from torch_retinanet.data.formats.csv_file import csv_splits
from torch_retinanet.errors import InputError

WHOLE = {"a.png": [("cat", (2, 3, 30, 33))]}


@pytest.mark.parametrize(
    "content",
    [
        "a.png,2,3,30,33,cat\n",
        "a.png;2;3;30;33;cat\n",
        "a.png\t2\t3\t30\t33\tcat\n",
        "a.png, 2, 3, 30, 33, cat\n",
        '"a.png","2","3","30","33","cat"\n',
        "a.png,2,3,30,33,cat,60,40\n",
        "0,a.png,2,3,30,33,cat\n",
        "cat,a.png,2,3,30,33\n",
        "filename;width;height;class;xmin;ymin;xmax;ymax\na.png;60;40;cat;2;3;30;33\n",
        "\tfilename\txmin\tymin\txmax\tymax\tclass\n0\ta.png\t2\t3\t30\t33\tcat\n",
        ",filename,xmin,ymin,xmax,ymax,class\n0,a.png,2,3,30,33,cat\n",
        "location,x1,y1,x2,y2,class_name\na.png,2,3,30,33,cat\n",
        "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\na.png;60;40;2;3;30;33;cat\n",
        "xmin,ymin,xmax,ymax,label,score,image_path\n2,3,30,33,cat,0.9,a.png\n",
        "filename,x,y,w,h,label\na.png,2,3,28,30,cat\n",
        "filename,xmin,ymin,width,height,label\na.png,2,3,28,30,cat\n",
        "image,bbox_x,bbox_y,bbox_width,bbox_height,label\na.png,2,3,28,30,cat\n",
        'image_id,class,width,height,bbox\na,cat,60,40,"[2.0, 3.0, 28.0, 30.0]"\n',
        "image;label;bbox\na.png;cat;2 3 28 30\n",
        "patientId,x,y,width,height,Target\na,2,3,28,30,cat\n",
        "image,x_center,y_center,width,height,label\na.png,16,18,28,30,cat\n",
    ],
)
def test_the_same_box_is_read_from_columns_of_other_tools(content: str, tmp_path: Path) -> None:
    write_pictures(tmp_path, ["a.png"])
    (tmp_path / "objects.csv").write_text(content)
    assert what_is_in(read_annotations(tmp_path)) == WHOLE
    assert not [one for one in read_annotations(tmp_path).problems if one.data_loss or one.assumption]


def test_objects_of_a_file_without_a_column_of_classes_are_of_one_class(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["a.png", "b.png", "c.png"])
    rows = 'a.png,"[2, 3, 28, 30]"\nb.png,[]\nc.png,"[1, 2, 3]"\n'
    (tmp_path / "train.csv").write_text(f"image_id,bbox\n{rows}")
    (tmp_path / "sample_submission.csv").write_text("image_id,PredictionString\na.png,\n")
    annotations = read_annotations(tmp_path)
    assert annotations.classes == ["object"]
    assert np.array_equal(annotations.boxes, [(2, 3, 30, 33), (np.nan,) * 4], equal_nan=True)
    assert annotations.offsets.tolist() == [0, 1, 1, 2]
    assert [(one.location, one.kind, one.data_loss, one.assumption) for one in annotations.problems] == [
        ("line 4", "box that is not of four numbers", True, False),
        ("line 1", "no column of classes", False, True),
    ]


def test_tabs_at_the_end_of_a_line_stand_for_fields(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["a.png", "b.png"])
    (tmp_path / "objects.csv").write_text("a.png\t2\t3\t30\t33\tcat\nb.png\t\t\t\t\t\n")
    assert what_is_in(read_annotations(tmp_path)) == WHOLE | {"b.png": []}


def test_columns_that_are_missing_are_named_with_those_found(tmp_path: Path) -> None:
    (tmp_path / "objects.csv").write_text("image_id,width,height,area,source\na,60,40,9,x\n")
    words = "has columns image_id, width, height, area, source and none for 'xmin', 'ymin', 'xmax', 'ymax'"
    with pytest.raises(InputError, match=f"line 1 {words}; needed are a picture"):
        read_annotations(tmp_path / "objects.csv")


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_column_says_the_splits_which_have_one_list_of_classes(delimiter: str, tmp_path: Path) -> None:
    write_pictures(tmp_path)
    rows = ["Split,filename,xmin,ymin,xmax,ymax,class", "train,a.png,2,3,30,33,dog", "VAL,b.png,2,3,30,33,cat"]
    (tmp_path / "boxes.csv").write_text("\n".join(rows).replace(",", delimiter))
    assert list_splits(tmp_path) == ["train", "val"]
    train, val = (read_annotations(tmp_path, split=split) for split in ("train", "val"))
    assert (what_is_in(train), what_is_in(val)) == (
        {"a.png": [("dog", (2, 3, 30, 33))]},
        {"b.png": [("cat", (2, 3, 30, 33))]},
    )
    assert train.classes == val.classes == ["cat", "dog"]
    assert len(read_annotations(tmp_path).pictures) == 2


def test_a_column_with_other_words_names_no_splits(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    (tmp_path / "boxes.csv").write_text("split,filename,xmin,ymin,xmax,ymax,class\nfold 1,a.png,2,3,30,33,dog\n")
    assert list_splits(tmp_path) == []


def test_a_csv_is_read_once_for_the_names_of_its_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(tmp_path, ["a.png"])
    (tmp_path / "a.csv").write_text("filename,xmin,ymin,xmax,ymax,class,split\na.png,1,2,30,33,cat,train\n")
    asked: list[Path] = []

    def noted(path: Path) -> list[str]:
        asked.append(path)
        return csv_splits(path)

    monkeypatch.setattr(known, "csv_splits", noted)
    assert len(read_annotations(tmp_path, split="train").boxes) == 1
    assert asked == [tmp_path / "a.csv"]
