"""Writes handwritten digits on photos as a COCO data set: pictures, and `train.json` and `test.json` beside them.

.venv/bin/python examples/digits_coco.py out/digits --train 3000 --test 300
"""

import argparse
import json
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.progress import track

from torch_retinanet.data.digits import Digits, Split

QUALITY = 95
"""Of the JPEG files."""


def write_split(folder: Path, split: Split, count: int) -> Path:
    """Write so many pictures of a split to `folder/SPLIT`, and their boxes to `folder/SPLIT.json`."""
    digits = Digits(split, length=count)
    (folder / split).mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    console = Console(stderr=True)
    for i in track(range(count), f"writing {split} pictures", console=console, disable=not console.is_terminal):
        picture, target = digits[i]
        name = f"{split}/{i:05d}.jpg"
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / name, quality=QUALITY)
        images.append({"id": i, "file_name": name, "height": picture.shape[1], "width": picture.shape[2]})
        for (left, top, right, bottom), label in zip(target["boxes"].tolist(), target["labels"].tolist(), strict=True):
            box = [left, top, right - left, bottom - top]
            numbers = {"id": len(annotations), "image_id": i, "category_id": label, "area": box[2] * box[3]}
            annotations.append(numbers | {"bbox": box, "iscrowd": 0})
    categories = [{"id": digit, "name": str(digit)} for digit in range(10)]
    path = folder / f"{split}.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write handwritten digits as a COCO data set.")
    parser.add_argument("folder", type=Path, help="where to write")
    parser.add_argument("--train", type=int, default=3000, help="training pictures (default: %(default)s)")
    parser.add_argument("--test", type=int, default=300, help="test pictures (default: %(default)s)")
    options = parser.parse_args()
    for split, count in (("train", options.train), ("test", options.test)):
        print(write_split(options.folder, split, count))
