"""Cuts DeepForest's annotated aerial pictures into tiles, as a COCO data set: `train.json` and `test.json`.

    .venv/bin/python examples/trees_coco.py DEEPFOREST/src/deepforest/data out/trees

The right edge of the largest picture is for testing; of the rest, and of two other forests, training has tiles that
overlap. A tree of which a tile shows less than half is marked as a crowd there: neither a tree nor background.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from torch_retinanet.data.formats import read_annotations
from torch_retinanet.pictures import read_picture

YELL, OTHERS = "2019_YELL_2_541000_4977000_image_crop.xml", ("OSBS_029.csv", "SOAP_061.xml")
"""Annotation files: of the picture that both splits have a part of, and of those for training alone."""

SIDE, STEP = 345, 115
"""Pixels of a tile, and from one training tile to the next at most: a third of the largest picture's height."""

Boxes = npt.NDArray[np.float64]


class Part(NamedTuple):
    """What a split takes of a picture: its columns from `left` up to but without `right`."""

    picture: torch.Tensor
    boxes: Boxes
    left: int
    right: int


def parts(folder: Path) -> dict[str, list[Part]]:
    """The parts of the pictures by split."""
    picture, boxes = read(folder / YELL)
    width = picture.shape[2]
    others = [read(folder / name) for name in OTHERS]
    train = [Part(picture, boxes, 0, width - SIDE), *(Part(p, b, 0, p.shape[2]) for p, b in others)]
    return {"train": train, "test": [Part(picture, boxes, width - SIDE, width)]}


def read(path: Path) -> tuple[torch.Tensor, Boxes]:
    """The one picture of an annotation file, and its boxes (G,4) xyxy."""
    annotations = read_annotations(path)
    return read_picture(annotations.pictures[0]), annotations.boxes


def tiles(part: Part, step: int) -> Iterator[tuple[int, int]]:
    """Left and upper edges of the tiles that cover a part."""
    for top in starts(0, part.picture.shape[1], step):
        for left in starts(part.left, part.right, step):
            yield left, top


def starts(first: int, end: int, step: int) -> list[int]:
    """Where tiles start from `first` up to `end`, evenly, `step` apart at most."""
    count = -(-(end - first - SIDE) // step) + 1
    return [int(start) for start in np.linspace(first, end - SIDE, count)]


def annotation(box: Boxes, left: int, top: int) -> dict[str, Any] | None:
    """A tree as a tile shows it, in COCO's terms; none where it is outside."""
    shown = np.clip(box - [left, top, left, top], 0, SIDE)
    (width, height), (whole_width, whole_height) = shown[2:] - shown[:2], box[2:] - box[:2]
    if min(width, height) < 1:
        return None
    hidden = width * height < whole_width * whole_height / 2
    bbox = [float(value) for value in (*shown[:2], width, height)]
    return {"category_id": 1, "bbox": bbox, "area": float(width * height), "iscrowd": int(hidden)}


def write_split(folder: Path, split: str, found: Sequence[Part], step: int) -> Path:
    """Write the tiles of a split to `folder/SPLIT`, and their trees to `folder/SPLIT.json`."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for part, left, top in [(each, *tile) for each in found for tile in tiles(each, step)]:
        name = f"{split}/{len(images):03d}.png"
        pixels = part.picture[:, top : top + SIDE, left : left + SIDE]
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / name)
        trees = [tree for box in part.boxes if (tree := annotation(box, left, top))]
        annotations += [{"id": len(annotations) + i, "image_id": len(images)} | tree for i, tree in enumerate(trees)]
        images.append({"id": len(images), "file_name": name, "height": SIDE, "width": SIDE})
    path = folder / f"{split}.json"
    categories = [{"id": 1, "name": "tree"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Cut DeepForest's tree crowns into tiles as a COCO data set.")
    parser.add_argument("data", type=Path, help="the folder of the pictures and their annotations")
    parser.add_argument("folder", type=Path, help="where to write")
    options = parser.parse_args()
    for split, found in parts(options.data).items():
        print(write_split(options.folder, split, found, STEP if split == "train" else SIDE))
