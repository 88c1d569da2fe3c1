"""Annotations and pictures are found wherever they lie in a folder, by what is in files, and splits by their names."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from parity_tests.tests.support.data_sets import (
    BOXES,
    CLASSES,
    PICTURES,
    coco,
    voc_object,
    voc_xml,
    what_is_in,
    write_coco,
    write_csv,
    write_kitti,
    write_pictures,
    write_voc,
    write_yolo,
    yolo_line,
)
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import list_splits, read_annotations
from torch_retinanet.data.tree import Tree
from torch_retinanet.errors import InputError

SPLITS = {"train": "a.png", "valid": "b.png", "test": "c.png"}
"""The picture of each split, as platforms export a folder for each."""


def lost(annotations: Annotations) -> list[str]:
    return [problem.finding for problem in annotations.problems if problem.data_loss]


def labels_of(picture: str) -> str:
    return "".join(yolo_line(name, box) for name, box in BOXES[picture])


def coco_of(picture: str) -> str:
    """The file of one picture; classes that it does not show are not in it."""
    content = coco()
    images = [image for image in content["images"] if image["file_name"] == picture]
    boxes = [box for box in content["annotations"] if box["image_id"] == images[0]["id"]]
    used = {box["category_id"] for box in boxes}
    categories = [category for category in content["categories"] if category["id"] in used]
    return json.dumps({"images": images, "annotations": boxes, "categories": categories})


def csv_of(picture: str) -> str:
    rows = [f"{picture},{','.join(map(str, box))},{name}" for name, box in BOXES[picture]]
    return "\n".join(rows or [f"{picture},,,,,"]) + "\n"


def xml_of(picture: str) -> str:
    return voc_xml(picture, "".join(voc_object(name, box) for name, box in BOXES[picture]))


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def coco_in_split_folders(root: Path) -> None:
    for split, picture in SPLITS.items():
        write_pictures(root / split, [picture])
        put(root / split / "_annotations.coco.json", coco_of(picture))


def coco_beside_split_folders(root: Path) -> None:
    for split, picture in SPLITS.items():
        write_pictures(root / f"{split}2017", [picture])
        put(root / "annotations" / f"instances_{split}2017.json", coco_of(picture))
        put(root / "annotations" / f"captions_{split}2017.json", coco_of(picture))


def csv_in_split_folders(root: Path) -> None:
    for split, picture in SPLITS.items():
        write_pictures(root / split, [picture])
        # The format does not know a file of one empty picture from other tables.
        put(root / split / "_annotations.csv", csv_of(picture) + ("z.png,1,2,3,4,dog\n" if picture == "c.png" else ""))
        put(root / split / "_classes.csv", "cat,0\ndog,1\n")


def voc_in_split_folders(root: Path) -> None:
    for split, picture in SPLITS.items():
        write_pictures(root / "export" / split, [picture])
        put(root / "export" / split / f"{Path(picture).stem}.xml", xml_of(picture))


def voc_in_folders_of_any_name(root: Path) -> None:
    for split, picture in SPLITS.items():
        write_pictures(root / split / "photos", [picture])
        put(root / split / "annots" / f"{Path(picture).stem}.xml", xml_of(picture))


def yolo_in_split_folders(root: Path) -> None:
    for split, picture in SPLITS.items():
        write_pictures(root / split / "Images", [picture])
        put(root / split / "labels" / f"{Path(picture).stem}.txt", labels_of(picture))
    put(root / "classes.txt", "cat\ndog\n")


def yolo_with_lists(root: Path) -> None:
    for split, picture in SPLITS.items():
        write_pictures(root / "all", [picture])
        put(root / "all" / f"{Path(picture).stem}.txt", labels_of(picture))
        put(root / f"{split}.txt", f"/content/somewhere/all/{picture}\n")
    lists = "".join(f"{split}: [/content/data/{split}.txt]\n" for split in SPLITS)
    put(root / "meta" / "data.yaml", f"path: ..\nnames: [cat, dog]\n{lists.replace('/content/data/', '')}")


def darknet(root: Path) -> None:
    for split, picture in SPLITS.items():
        write_pictures(root / f"obj_{split}_data", [picture])
        put(root / f"obj_{split}_data" / f"{Path(picture).stem}.txt", labels_of(picture))
        put(root / f"{split}.txt", f"data/obj_{split}_data/{picture}\n")
    put(root / "obj.names", "cat\ndog\n")
    lists = "".join(f"{split} = data/{split}.txt\n" for split in SPLITS)
    put(root / "obj.data", f"classes = 2\n{lists}names = data/obj.names\nbackup = backup/\n")


LAYOUTS: list[Callable[[Path], None]] = [
    *(coco_in_split_folders, coco_beside_split_folders, csv_in_split_folders, voc_in_split_folders),
    *(voc_in_folders_of_any_name, yolo_in_split_folders, yolo_with_lists, darknet),
]


@pytest.mark.parametrize("write", LAYOUTS)
def test_splits_are_found_and_have_one_list_of_classes(write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path)
    assert sorted(list_splits(tmp_path)) == sorted(SPLITS)
    for split, picture in SPLITS.items():
        annotations = read_annotations(tmp_path, split=split)
        found = {name: boxes for name, boxes in what_is_in(annotations).items() if name != "z.png"}
        assert (found, list(annotations.classes)) == ({picture: BOXES[picture]}, list(CLASSES))
        assert (found, lost(annotations)) == ({picture: BOXES[picture]}, [])
        assert all(path.is_file() for path in annotations.pictures if path.name != "z.png")
    together = what_is_in(read_annotations(tmp_path))
    assert {name: boxes for name, boxes in together.items() if name != "z.png"} == BOXES


def test_a_picture_of_another_split_is_named_by_annotations(tmp_path: Path) -> None:
    for split, picture in SPLITS.items():
        (tmp_path / f"{split}.json").write_text(coco_of(picture))
    write_pictures(tmp_path / "images", [*PICTURES, "other.png"])
    (only,) = read_annotations(tmp_path).problems
    assert only.finding == "pictures that no annotation names: 1, as 'other.png'"
    assert only in read_annotations(tmp_path, split="valid").problems


def test_a_class_of_one_split_alone_has_its_label_in_all(tmp_path: Path) -> None:
    for split, name in {"train": "dog", "valid": "ant"}.items():
        write_pictures(tmp_path / split, ["a.png"])
        put(tmp_path / split / "_annotations.csv", f"a.png,1,2,30,30,{name}\n")
    train, valid = (read_annotations(tmp_path, split=split) for split in ("train", "valid"))
    assert train.classes == valid.classes == ["ant", "dog"]
    assert (train.labels.tolist(), valid.labels.tolist()) == ([1], [0])


@pytest.mark.parametrize("labels", ["Annotations", "ANNOTS", "labels", "xml"])
def test_voc_is_found_in_folders_of_cameras(labels: str, tmp_path: Path) -> None:
    for camera, picture in {"camera1": "a.png", "camera2": "b.png"}.items():
        write_pictures(tmp_path / "pictures" / camera, [picture])
        (tmp_path / "pictures" / camera / picture).rename(tmp_path / "pictures" / camera / "0.png")
        put(tmp_path / labels / camera / "0.xml", xml_of(picture).replace(picture, f"{camera}/0.png"))
    annotations = read_annotations(tmp_path)
    assert [path.parent.name for path in annotations.pictures] == ["camera1", "camera2"]
    assert (len(annotations.boxes), annotations.problems, list_splits(tmp_path)) == (5, [], [])


def test_voc_lists_name_pictures_in_folders(tmp_path: Path) -> None:
    for camera in ("camera1", "camera2"):
        write_pictures(tmp_path / "JPEGImages" / camera, ["a.png"])
        put(tmp_path / "Annotations" / camera / "a.xml", xml_of("a.png"))
    put(tmp_path / "ImageSets" / "Main" / "default.txt", "camera2/a\n")
    annotations = read_annotations(tmp_path, split="default")
    assert annotations.pictures == [tmp_path / "JPEGImages" / "camera2" / "a.png"]


@pytest.mark.parametrize("path", ["path: ../sets/mine\n", "path: {}\n", ""])
def test_a_yaml_may_lie_anywhere(path: str, tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "sets" / "mine")
    place = tmp_path / ("sets/mine" if not path else "configs") / "some.yaml"
    put(place, f"{path.format(folder)}train: images\nnames: [cat, dog]\n")
    assert what_is_in(read_annotations(place)) == BOXES
    assert list_splits(place) == ["train"]


def test_labels_of_kitti_are_told_from_those_of_yolo(tmp_path: Path) -> None:
    write_kitti(tmp_path)
    (tmp_path / "label_2").rename(tmp_path / "labels")
    (tmp_path / "image_2").rename(tmp_path / "images")
    assert what_is_in(read_annotations(tmp_path)) == BOXES


def test_what_can_be_trained_on_is_taken_first_then_what_is_near(tmp_path: Path) -> None:
    write_csv(tmp_path / "deep" / "er")
    write_coco(tmp_path / "deep")
    write_voc(tmp_path / "a" / "b" / "c")
    choice = read_annotations(tmp_path).choice
    assert choice is not None
    assert [choice.taken, *choice.others] == [
        "Pascal VOC in a/b/c",
        "COCO in deep/objects.json",
        "CSV in deep/er/objects.csv",
    ]


def test_folders_with_a_file_a_picture_are_one_data_set_at_any_depth(tmp_path: Path) -> None:
    for folder, picture in (("day/one", "a.png"), ("day/two/left", "b.png"), ("night", "c.png")):
        write_pictures(tmp_path / folder, [picture])
        shapes = [{"label": "cat", "shape_type": "rectangle", "points": [[2, 3], [30, 33]]}]
        put(tmp_path / folder / f"{picture}.json", json.dumps({"shapes": shapes, "imagePath": picture}))
    annotations = read_annotations(tmp_path)
    assert [picture.name for picture in annotations.pictures] == ["a.png", "b.png", "c.png"]
    assert annotations.choice is not None
    assert annotations.choice.others == []


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("results.json", '[{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]', "detections in COCO's format"),
        ("ds/ann/a.json", '{"objects": [{"classTitle": "cat"}]}', "Supervisely's JSON"),
        ("train/metadata.jsonl", '{"file_name": "a.png"}', "metadata in JSON lines"),
        ("default.json", '{"info": {}, "categories": {"label": {}}, "items": []}', "Datumaro's JSON"),
        ("releases/a.json", '{"version": "2.0", "item": {}, "annotations": []}', "V7's Darwin JSON"),
        ("export.ndjson", '{"data_row": {"id": "x"}}', "Labelbox's JSON"),
        ("output.manifest", '{"source-ref": "s3://b/a.png"}', "a manifest of SageMaker"),
        ("dicts.json", '[{"file_name": "a.png", "image_id": 1, "annotations": []}]', "a list of pictures"),
    ],
)
def test_a_folder_with_files_that_are_not_read_says_whose_they_are(
    name: str, content: str, kind: str, tmp_path: Path
) -> None:
    put(tmp_path / "meta.json", "{}")
    put(tmp_path / name, content)
    with pytest.raises(InputError, match=f"{name}: is {kind}.*, which is not read; export it as COCO's JSON"):
        read_annotations(tmp_path)


def test_leftovers_of_operating_systems_are_no_data(tmp_path: Path) -> None:
    write_voc(tmp_path)
    for name in ("Annotations/._a.xml", "JPEGImages/._a.png", ".DS_Store", "__MACOSX/Annotations/._a.xml"):
        put(tmp_path / name, "Mac OS X")
    shutil.copytree(tmp_path / "JPEGImages", tmp_path / "JPEGImages" / ".ipynb_checkpoints")
    annotations = read_annotations(tmp_path)
    assert (what_is_in(annotations), annotations.problems) == (BOXES, [])


def test_a_circle_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert list(Tree(tmp_path).files()) == []


@pytest.mark.parametrize("used", [False, True])
def test_a_category_that_only_stands_above_others_is_no_class(used: bool, tmp_path: Path) -> None:
    content = coco()
    for category in content["categories"]:
        category["supercategory"] = "animals"
    content["categories"].append({"id": 0, "name": "animals", "supercategory": "none"})
    if used:
        content["annotations"][0]["category_id"] = 0
    annotations = read_annotations(write_coco(tmp_path, content))
    assert annotations.classes == (["animals", "cat", "dog"] if used else ["cat", "dog"])
    assert [one.finding.partition(":")[2] for one in annotations.problems] == ([] if used else [" 'animals'"])
    assert annotations.class_ids == ([0, 3, 7] if used else [3, 7])
    assert used or what_is_in(annotations) == BOXES


@pytest.mark.parametrize("name", ["data/train_labels.csv", "deep/er/boxes.csv"])
def test_pictures_lie_anywhere_in_the_folder_that_is_given(name: str, tmp_path: Path) -> None:
    """As the tutorials of TensorFlow's detectors have them: `data/train_labels.csv` beside `images/train`."""
    write_pictures(tmp_path / "images" / "train")
    put(tmp_path / name, write_csv(tmp_path / "made").read_text())
    shutil.rmtree(tmp_path / "made")
    annotations = read_annotations(tmp_path)
    assert what_is_in(annotations) == BOXES
    assert {picture.parent for picture in annotations.pictures} == {tmp_path / "images" / "train"}


def test_pictures_that_coco_names_by_a_url_alone_are_found(tmp_path: Path) -> None:
    """As LVIS does."""
    content = coco()
    for image in content["images"]:
        image["coco_url"] = "http://images.cocodataset.org/train2017/" + image.pop("file_name")
    write_pictures(tmp_path / "train2017")
    put(tmp_path / "lvis_v1_train.json", json.dumps(content))
    assert what_is_in(read_annotations(tmp_path)) == BOXES


def test_a_table_without_boxes_is_told_which_columns_are_needed(tmp_path: Path) -> None:
    put(tmp_path / "project.csv", "annotation_id,image,label\n1,a.png,cat\n")
    with pytest.raises(InputError, match="line 1 has columns annotation_id, image, label and none for 'xmin'"):
        read_annotations(tmp_path)


def test_classes_are_in_the_order_of_a_list_beside_the_csv(tmp_path: Path) -> None:
    write_csv(tmp_path)
    put(tmp_path / "_classes.csv", "dog,0\ncat,1\n")
    annotations = read_annotations(tmp_path)
    assert annotations.classes == ["dog", "cat"]
    assert what_is_in(annotations) == BOXES
    assert set(PICTURES) == {path.name for path in annotations.pictures}


def test_a_split_that_cannot_be_read_does_not_stop_another(tmp_path: Path) -> None:
    csv_in_split_folders(tmp_path)
    put(tmp_path / "test" / "_annotations.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n")
    annotations = read_annotations(tmp_path, split="train")
    assert what_is_in(annotations) == {"a.png": BOXES["a.png"]}
    assert [problem.action for problem in annotations.problems] == ["the classes of this split are not known"]
    with pytest.raises(InputError, match="must have a line"):
        read_annotations(tmp_path, split="test")


def test_of_two_years_of_voc_the_first_is_read_and_the_other_named(tmp_path: Path) -> None:
    """They are not joined: of two data sets side by side one may not have the classes of the other."""
    for year, pictures in {"VOC2007": ("a.png", "b.png"), "VOC2012": ("c.png",)}.items():
        write_pictures(tmp_path / year / "JPEGImages", pictures)
        for picture in pictures:
            put(tmp_path / year / "Annotations" / f"{Path(picture).stem}.xml", xml_of(picture))
        put(tmp_path / year / "ImageSets" / "Main" / "train.txt", f"{Path(pictures[0]).stem}\n")
    read = read_annotations(tmp_path, split="train")
    assert [picture.name for picture in read.pictures] == ["a.png"]
    assert read.choice is not None
    assert (read.choice.taken, read.choice.others) == ("Pascal VOC in VOC2007", ["Pascal VOC in VOC2012"])
    assert [picture.name for picture in read_annotations(tmp_path / "VOC2012").pictures] == ["c.png"]
