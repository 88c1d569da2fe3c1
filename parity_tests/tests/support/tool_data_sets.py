"""The small data set of `data_sets` as annotation tools export it."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parity_tests.tests.support.data_sets import BOXES, PICTURES, SIZE, write_pictures
from torch_retinanet.data.annotations import Annotations

Box = Sequence[float]

TURNED = [20 - 10 * math.sqrt(2), 20 - 10 * math.sqrt(2), 20 + 10 * math.sqrt(2), 20 + 10 * math.sqrt(2)]
"""The box of a square of side 20 about (20, 20) that is rotated by 45 degrees."""


def losses(annotations: Annotations) -> list[tuple[str, str]]:
    """Place and finding of each problem by which something is lost."""
    return [(one.location, one.finding) for one in annotations.problems if one.data_loss]


def corners(box: Box) -> list[list[float]]:
    """The outline of a box."""
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def labelme_shape(label: Any, points: Any, shape_type: Any = "polygon", **more: Any) -> dict[str, Any]:
    """A shape of labelme's."""
    return {"label": label, "points": points, "group_id": None, "shape_type": shape_type, "flags": {}} | more


def labelme(picture: str, shapes: Sequence[Any]) -> dict[str, Any]:
    """A file of labelme's."""
    sides = {"imageHeight": SIZE[1], "imageWidth": SIZE[0]}
    return {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": picture, "imageData": "iVBORw0K"} | sides


def write_labelme(folder: Path) -> Path:
    """A folder with pictures and a JSON beside each; cats are rectangles, dogs polygons."""
    write_pictures(folder)
    for picture in PICTURES:
        shapes = [
            labelme_shape(name, [box[:2], box[2:]], "rectangle") if name == "cat" else labelme_shape(name, corners(box))
            for name, box in BOXES[picture]
        ]
        (folder / picture).with_suffix(".json").write_text(json.dumps(labelme(picture, shapes)))
    return folder


def createml() -> list[Any]:
    """A list of Create ML's."""
    return [
        {
            "image": picture,
            "annotations": [
                {
                    "label": name,
                    "coordinates": {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1},
                }
                for name, (x1, y1, x2, y2) in BOXES[picture]
            ],
        }
        for picture in PICTURES
    ]


def write_createml(folder: Path) -> Path:
    """A JSON as Create ML has it, with the pictures beside it."""
    return write_json(folder, "objects.json", createml())


def via_shape(name: str, box: Box) -> dict[str, Any]:
    """A rectangle for a cat, a polygon for a dog."""
    x1, y1, x2, y2 = box
    if name == "cat":
        return {"name": "rect", "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1}
    xs, ys = zip(*corners(box), strict=True)
    return {"name": "polygon", "all_points_x": xs, "all_points_y": ys}


def via() -> dict[str, Any]:
    """An export of VGG Image Annotator."""
    return {
        f"{picture}123": {
            "filename": picture,
            "size": 123,
            "regions": [
                {"shape_attributes": via_shape(name, box), "region_attributes": {"animal": name}}
                for name, box in BOXES[picture]
            ],
            "file_attributes": {},
        }
        for picture in PICTURES
    }


def write_via(folder: Path) -> Path:
    """An export of VGG Image Annotator."""
    return write_json(folder, "objects.json", via())


def write_via_project(folder: Path) -> Path:
    """A project of VGG Image Annotator."""
    settings = {"ui": {}, "core": {"buffer_size": 18, "default_filepath": ""}, "project": {"name": "animals"}}
    attributes = {"region": {"animal": {"type": "text"}}, "file": {}}
    project = {"_via_settings": settings, "_via_img_metadata": via(), "_via_attributes": attributes}
    return write_json(folder, "objects.json", project)


def write_via_csv(folder: Path) -> Path:
    """The CSV of VGG Image Annotator."""
    write_pictures(folder)
    lines = [
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes",
    ]
    for picture in PICTURES:
        regions = [(via_shape(name, box), {"animal": name}) for name, box in BOXES[picture]] or [({}, {})]
        for i, region in enumerate(regions):
            texts = [json.dumps(value).replace('"', '""') for value in region]
            lines.append(f'{picture},123,"{{}}",{len(BOXES[picture])},{i},"{texts[0]}","{texts[1]}"')
    path = folder / "objects.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def label_studio_result(name: str, box: Box, number: str = "") -> dict[str, Any]:
    """A result of Label Studio: a rectangle for a cat, a polygon for a dog."""
    x1, y1, x2, y2 = (100 * edge / SIZE[i % 2] for i, edge in enumerate(box))
    value: dict[str, Any]
    if name == "cat":
        kind, value = "rectanglelabels", {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1, "rotation": 0}
    else:
        kind, value = "polygonlabels", {"points": corners((x1, y1, x2, y2)), "closed": True}
    sides = {"original_width": SIZE[0], "original_height": SIZE[1], "image_rotation": 0}
    return {"id": number or f"{name}{box[0]}", "type": kind, "value": {kind: [name]} | value} | sides


def label_studio_task(picture: str, *results: Any, **more: Any) -> dict[str, Any]:
    """A task of Label Studio with one annotation."""
    annotation = {"id": 1, "completed_by": 1, "was_cancelled": False, "result": list(results)}
    return {"id": 1, "annotations": [annotation], "data": {"image": picture}, "predictions": []} | more


def label_studio() -> list[Any]:
    """An export of Label Studio, whose pictures were uploaded."""
    return [
        label_studio_task(f"/data/upload/1/0a1b2c3d-{picture}", *(label_studio_result(*one) for one in BOXES[picture]))
        for picture in PICTURES
    ]


def write_label_studio(folder: Path) -> Path:
    """An export of Label Studio, with the pictures beside it under their own names."""
    return write_json(folder, "objects.json", label_studio())


def cvat_image(number: int, picture: str, shapes: str = "") -> str:
    """An `<image>` of CVAT."""
    return f'  <image id="{number}" name="{picture}" width="{SIZE[0]}" height="{SIZE[1]}">\n{shapes}  </image>\n'


def cvat_shape(name: str, box: Box) -> str:
    """A box for a cat, a polygon for a dog."""
    if name == "cat":
        edges = " ".join(f'{edge}="{value}"' for edge, value in zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True))
        return f'    <box label="cat" occluded="0" {edges} z_order="0"></box>\n'
    points = ";".join(f"{x},{y}" for x, y in corners(box))
    return f'    <polygon label="{name}" occluded="0" points="{points}" z_order="0"></polygon>\n'


def cvat(images: str) -> str:
    """An XML of CVAT."""
    beginning = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
    return f"{beginning}  <meta><task><name>animals</name></task></meta>\n{images}</annotations>\n"


def write_cvat(folder: Path) -> Path:
    """An XML of CVAT, with the pictures in `images`."""
    write_pictures(folder / "images")
    images = [
        cvat_image(i, picture, "".join(cvat_shape(name, box) for name, box in BOXES[picture]))
        for i, picture in enumerate(PICTURES)
    ]
    path = folder / "objects.xml"
    path.write_text(cvat("".join(images)))
    return path


OPEN_IMAGES_HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)


def open_images_line(picture: str, code: str, box: Box, group: int = 0) -> str:
    """A line of Open Images."""
    x1, y1, x2, y2 = (edge / SIZE[i % 2] for i, edge in enumerate(box))
    return f"{picture},xclick,{code},1,{x1:.9f},{x2:.9f},{y1:.9f},{y2:.9f},0,0,{group},0,0"


def write_open_images(folder: Path) -> Path:
    """A CSV of Open Images, its descriptions of classes, and the pictures in the folder of the split."""
    write_pictures(folder / "train", [picture for picture in PICTURES if BOXES[picture]])
    lines = [
        open_images_line(Path(picture).stem, f"/m/{name}", box) for picture in PICTURES for name, box in BOXES[picture]
    ]
    path = folder / "train-annotations-bbox.csv"
    path.write_text("\n".join([OPEN_IMAGES_HEADER, *lines]) + "\n")
    (folder / "class-descriptions-boxable.csv").write_text("/m/dog,dog\n/m/cat,cat\n/m/bird,bird\n")
    return path


def write_json(folder: Path, name: str, content: Any) -> Path:
    """A JSON with the pictures beside it."""
    write_pictures(folder)
    path = folder / name
    path.write_text(json.dumps(content))
    return path


TOOL_WRITERS = {
    "labelme": write_labelme,
    "createml": write_createml,
    "via": write_via,
    "via project": write_via_project,
    "via csv": write_via_csv,
    "label studio": write_label_studio,
    "cvat": write_cvat,
}
"""Each writes the data set of one tool to a folder, and gives what is to be read. That of Open Images has no pictures
without objects, and is no such data set."""
