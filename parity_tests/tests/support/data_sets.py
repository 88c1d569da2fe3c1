"""Small data sets of every format, as tests need them: three pictures and five objects, the same in all of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = 60, 40
"""Width and height of every picture."""

PICTURES = "a.png", "b.png", "c.png"
CLASSES = "cat", "dog"
BOXES = {
    "a.png": [("cat", (2, 3, 30, 33)), ("dog", (10, 5, 50, 25))],
    "b.png": [("dog", (4, 4, 20, 36)), ("cat", (30, 8, 56, 30)), ("dog", (20, 10, 44, 34))],
    "c.png": [],
}
"""Classes and boxes xyxy of each picture, in its order."""


Read = dict[str, list[tuple[str, tuple[float, ...]]]]


def what_is_in(annotations: Any) -> Read:
    """Classes and boxes by the names of pictures."""
    found: Read = {}
    for i, path in enumerate(annotations.pictures):
        objects = annotations.objects(i)
        names = [annotations.classes[label] if label >= 0 else "" for label in objects.labels.tolist()]
        boxes = [tuple(round(edge, 6) for edge in box) for box in objects.boxes.tolist()]
        found[path.name] = list(zip(names, boxes, strict=True))
    return found


def problems(annotations: Any) -> list[tuple[str, str, str, bool]]:
    """File, place, kind, and whether something is lost."""
    return [(one.file.name, one.location, one.kind, one.data_loss) for one in annotations.problems]


def problems_in_a_file(annotations: Any) -> list[tuple[str, str, bool]]:
    """Place, kind, and whether something is lost."""
    return [(place, kind, lost) for _, place, kind, lost in problems(annotations)]


def write_pictures(folder: Path, names: Sequence[str] = PICTURES, size: tuple[int, int] = SIZE) -> None:
    """Pictures of noise, of a width and height."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        noise = np.random.default_rng(i).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name)


def scene(seed: int) -> Image.Image:
    """A picture of soft patches, as no other seed has it."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC)


def coco() -> dict[str, Any]:
    """Category ids with a gap, in no order; picture ids that are no indices."""
    ids = {"dog": 7, "cat": 3}
    boxes = [(i, name, box) for i, picture in enumerate(PICTURES) for name, box in BOXES[picture]]
    return {
        "images": [
            {"id": 10 * i, "file_name": name, "width": SIZE[0], "height": SIZE[1]} for i, name in enumerate(PICTURES)
        ],
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
        "annotations": [
            {
                "id": number,
                "image_id": 10 * i,
                "category_id": ids[name],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "iscrowd": 0,
            }
            for number, (i, name, (x1, y1, x2, y2)) in enumerate(boxes)
        ],
    }


def write_coco(folder: Path, content: Any = None) -> Path:
    """A JSON with its pictures beside it."""
    write_pictures(folder)
    path = folder / "objects.json"
    path.write_text(json.dumps(content or coco()))
    return path


def write_csv(folder: Path) -> Path:
    """keras-retinanet's own, with the pictures beside it."""
    write_pictures(folder)
    lines = [f"{picture},{','.join(map(str, box))},{name}" for picture in PICTURES for name, box in BOXES[picture]]
    lines += [f"{picture},,,,," for picture in PICTURES if not BOXES[picture]]
    path = folder / "objects.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_csv_with_header(folder: Path) -> Path:
    """In an order that no reader by position expects; a box of zeros marks the empty picture."""
    write_pictures(folder)
    lines = ["label,filename,xmin,xmax,ymin,ymax,width,height"]
    for picture in PICTURES:
        for name, (x1, y1, x2, y2) in BOXES[picture] or [("dog", (0, 0, 0, 0))]:
            lines.append(f"{name},{picture},{x1},{x2},{y1},{y2},{SIZE[0]},{SIZE[1]}")
    path = folder / "objects.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def voc_object(name: str, box: Sequence[float], difficult: int = 0) -> str:
    """An object of a VOC XML."""
    edges = "".join(
        f"<{edge}>{value}</{edge}>" for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{edges}</bndbox></object>"


def voc_xml(filename: str, objects: str = "", size: tuple[int, int] = SIZE) -> str:
    """A VOC XML."""
    sides = f"<width>{size[0]}</width><height>{size[1]}</height><depth>3</depth>"
    path = f"<path>/home/somebody/{filename}</path>"
    return f"<annotation><filename>{filename}</filename>{path}<size>{sides}</size>{objects}</annotation>"


def write_voc(folder: Path) -> Path:
    """A folder as VOC has it, with two splits and the list of a class."""
    write_pictures(folder / "JPEGImages")
    (folder / "Annotations").mkdir()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for picture in PICTURES:
        objects = "".join(voc_object(name, box) for name, box in BOXES[picture])
        (folder / "Annotations" / picture).with_suffix(".xml").write_text(voc_xml(picture, objects))
    (folder / "ImageSets" / "Main" / "train.txt").write_text("a\nc\n")
    (folder / "ImageSets" / "Main" / "val.txt").write_text("b\n")
    (folder / "ImageSets" / "Main" / "cat_train.txt").write_text("a 1\nc -1\n")
    return folder


def write_kitti(folder: Path) -> Path:
    """A folder as KITTI has it."""
    write_pictures(folder / "image_2")
    (folder / "label_2").mkdir()
    for picture in PICTURES:
        lines = [f"{name} 0 0 0 {' '.join(map(str, box))} 1 1 1 1 1 1 1\n" for name, box in BOXES[picture]]
        (folder / "label_2" / picture).with_suffix(".txt").write_text("".join(lines))
    return folder


def yolo_line(name: str, box: Sequence[float]) -> str:
    """A line of YOLO's labels."""
    (x1, y1, x2, y2), (width, height) = box, SIZE
    shares = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
    return f"{CLASSES.index(name)} {' '.join(f'{share:.9f}' for share in shares)}\n"


def write_yolo(folder: Path) -> Path:
    """A folder with `images`, `labels` and `classes.txt`."""
    write_pictures(folder / "images")
    (folder / "labels").mkdir()
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    for picture in PICTURES:
        lines = "".join(yolo_line(name, box) for name, box in BOXES[picture])
        (folder / "labels" / picture).with_suffix(".txt").write_text(lines)
    return folder


WRITERS = {
    "coco": write_coco,
    "csv": write_csv,
    "csv with header": write_csv_with_header,
    "voc": write_voc,
    "kitti": write_kitti,
    "yolo": write_yolo,
}
"""Each writes the data set of one format to a folder, and gives what is to be read."""


def write_digits(folder: Path, digits: Any) -> Path:
    """Pictures of digits, as `Digits` draws them, as a COCO file."""
    images, annotations = [], []
    for i in range(len(digits)):
        picture, target = digits[i]
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": picture.shape[2], "height": picture.shape[1]})
        for box, label in zip(target["boxes"].tolist(), target["labels"].tolist(), strict=True):
            x, y, right, bottom = box
            annotations.append({"image_id": i, "category_id": label, "bbox": [x, y, right - x, bottom - y]})
    named = [{"id": i, "name": str(i)} for i in range(10)]
    numbered = [annotation | {"id": i} for i, annotation in enumerate(annotations)]
    (folder / "digits.json").write_text(json.dumps({"images": images, "annotations": numbered, "categories": named}))
    return folder / "digits.json"
