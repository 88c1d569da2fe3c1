"""Annotations as COCO's JSON of objects (https://cocodataset.org/#format-data)."""

import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.files import atomic_write


def write_coco(path: Path, annotations: Annotations, root: Path) -> None:
    """Write the objects of screened annotations; what is ignored is a crowd, and pictures are named from `root` on.

    Categories are numbered from 1, pictures and objects too.
    """
    images = [
        {"id": number, "file_name": Path(os.path.relpath(picture, root)).as_posix(), "height": height, "width": width}
        for number, (picture, (height, width)) in enumerate(
            zip(annotations.pictures, annotations.sizes.tolist(), strict=True), start=1
        )
    ]
    names = [{"id": number, "name": name} for number, name in enumerate(annotations.classes, start=1)]
    content = {"images": images, "annotations": _objects(annotations), "categories": names}
    with atomic_write(path) as beside:
        beside.write_bytes(msgspec.json.encode(content))


def _objects(annotations: Annotations) -> list[dict[str, Any]]:
    low, high = annotations.boxes[:, :2], annotations.boxes[:, 2:]
    areas = np.where(np.isfinite(annotations.areas), annotations.areas, (high - low).prod(axis=1))
    rows = zip(
        annotations.owners().tolist(),
        annotations.labels.tolist(),
        annotations.ignored.tolist(),
        low.tolist(),
        (high - low).tolist(),
        areas.tolist(),
        strict=True,
    )
    return [
        {
            "id": number,
            "image_id": owner + 1,
            "category_id": label + 1 if label >= 0 else None,  # of a region that is ignored whatever lies in it
            "bbox": [*corner, *sides],
            "area": area,
            "iscrowd": int(ignored),
        }
        for number, (owner, label, ignored, corner, sides, area) in enumerate(rows, start=1)
    ]
