"""What ingredients of a training do to mAP, on small samples of blood cells and trees, three seeds each.

    .venv/bin/python benchmarks/ingredients.py BCCD TREES --out docs/ingredients.jsonl

BCCD is Shenggan's BCCD_Dataset, TREES the folder `src/deepforest/data` of DeepForest. Blood cells are shown at 160x120.
Of the trees, the left half of the largest picture is for training, in two quarters, and the right half for testing.
A run takes ten to twenty seconds of one core. A line of the file is a run; a script that was ended goes on there.
It prints a section of docs/benchmarks.md.
"""

import argparse
import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.evaluate import coco_metrics, detect_annotated
from torch_retinanet.pictures import read_picture
from torch_retinanet.tiles import Window
from torch_retinanet.train import TrainConfig, Trainer

SEEDS = 3

SHRUNK = 4
"""How many times smaller a side of a blood cell's picture becomes."""

FORESTS = ("2019_YELL_2_541000_4977000_image_crop.xml", "OSBS_029.csv", "SOAP_061.xml")
"""Annotation files of trees; the first one's picture is in both splits."""

COMMON: dict[str, Any] = {
    "backbone": "timm/test_resnet",
    "width": 48,
    "head_depth": 1,
    "conventions": (
        *("head_init=he_prior", "anchor_scale=1.5", "anchor_rounding=none", "anchor_centre=half_cell"),
        *("anchor_stride=power_of_2", "box_loss=giou", "loss_normaliser=batch"),
    ),
    "vertical_flip": 0.5,
    "ema": 0.98,
    "precision": "bf16",
    "workers": 0,
}
"""Settings of every run: a network of half a million weights, which begin as random values, and both flips."""

SAMPLES: dict[str, dict[str, Any]] = {
    "BCCD": {"min_side": 120, "max_side": 160, "steps": 100, "batch": 8, "rate": 4e-3},
    "trees": {"min_side": 192, "max_side": 384, "steps": 150, "batch": 4, "rate": 4e-3},
}

TILES: dict[str, Any] = {"tile": 345, "overlap": 0.25}

INGREDIENTS: dict[str, dict[str, Any]] = {
    "none": {},
    "mosaic": {"mosaic": 0.5},
    "mixup": {"mixup": 0.5},
    "copy-paste": {"copy_paste": 0.5},
    "scale jitter": {"scale": (0.8, 1.25)},
    "balanced": {"balance": 1.0},
}

WHOLE = "none, whole pictures"
"""The ingredient that is missing: trees without tiles."""


TEXT = """## Ingredients, on small samples

`benchmarks/ingredients.py` trains a network of half a million random weights ten to twenty seconds on one core, with
and without each ingredient. Shown are the mean of {seeds} seeds, and the least and the largest of them.

- Blood cells of BCCD at 160x120, 100 steps of 8; its 72 test pictures. `balanced` draws pictures with platelets more
  often.
- Trees of DeepForest, tiles of 345 pixels at 192, 150 steps of 4. The left half of the largest picture and two other
  forests are for training; the right half is the test. Trees are one class, so that there is nothing to balance.

{ingredients}

Runs this short end far below the recipes above. They say what an ingredient costs at the beginning, and not what it
brings in a long training, for which mosaic, mixup and scale jitter are made. A difference within the spread shows
nothing.

The same trees, with and without tiles, at the same sides of what the network is shown:

{tiles}
"""
"""The section; `none` has both flips alone."""


def plans() -> Iterator[tuple[str, str, int]]:
    """The sample, the ingredient and the seed of each run; all ingredients of a seed before the next seed."""
    for seed in range(SEEDS):
        yield from (("BCCD", name, seed) for name in INGREDIENTS)
        yield from (("trees", name, seed) for name in (*INGREDIENTS, WHOLE) if name != "balanced")


def settings(sample: str, ingredient: str) -> dict[str, Any]:
    """The settings of a run but its data, its folder and its seed."""
    tiles = TILES if sample == "trees" and ingredient != WHOLE else {}
    return COMMON | SAMPLES[sample] | tiles | INGREDIENTS.get(ingredient, {})


def run(sample: str, ingredient: str, seed: int, data: Path, out: Path) -> dict[str, Any]:
    """Train and evaluate once: the line of the file."""
    config = TrainConfig(data=data / "train.json", out=out, seed=seed, **settings(sample, ingredient))
    Trainer(config).fit()
    detector = RetinaNetDetector.from_pretrained(out)
    test = screen(read_annotations(data / "test.json"), decode=False)
    found = detect_annotated(detector, test, tiling=config.tiling())
    numbers = coco_metrics(found.detections, found.targets)
    kept = {name: round(numbers[name], 4) for name in ("map", "map_50", "map_small")}
    return {"sample": sample, "ingredient": ingredient, "seed": seed} | kept


class Piece(NamedTuple):
    """A part of the picture of annotations, with its objects, each side `factor` times smaller."""

    annotations: Annotations
    picture: int
    window: Window
    factor: int = 1


def cells(bccd: Path, split: str) -> list[Piece]:
    """Whole pictures of blood cells, with sides a quarter as long."""
    found = screen(read_annotations(bccd, split=split), decode=False)
    return [Piece(found, i, Window(0, 0, w, h), SHRUNK) for i, (h, w) in enumerate(found.sizes.tolist())]


def trees(folder: Path, split: str) -> list[Piece]:
    """Quarters of the largest picture: left ones for training, with two other forests, right ones for testing."""
    first, *others = (as_trees(screen(read_annotations(folder / name), decode=False)) for name in FORESTS)
    height, width = first.sizes[0].tolist()
    left, right = (0, width // 2) if split == "train" else (width // 2, width)
    rows = ((0, height // 2), (height // 2, height))
    quarters = [Piece(first, 0, Window(left, top, right, bottom)) for top, bottom in rows]
    if split == "test":
        return quarters
    return quarters + [Piece(one, 0, Window(0, 0, w, h)) for one in others for h, w in one.sizes.tolist()]


def as_trees(found: Annotations) -> Annotations:
    """Objects of one class: one of the forests has trees that are dead, and others alive."""
    return replace(found, classes=["tree"], labels=np.zeros_like(found.labels))


def write_split(folder: Path, split: str, pieces: Sequence[Piece]) -> None:
    """Write pieces and their objects in COCO's format; an object of which a piece shows less than half is a crowd."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, piece in enumerate(pieces):
        width, height = write_picture(folder / split / f"{number:03d}.png", piece)
        name = f"{split}/{number:03d}.png"
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        annotations += [{"id": len(annotations) + i, "image_id": number} | one for i, one in enumerate(objects(piece))]
    names = [{"id": label, "name": name} for label, name in enumerate(pieces[0].annotations.classes)]
    content = {"images": images, "annotations": annotations, "categories": names}
    (folder / f"{split}.json").write_text(json.dumps(content))


def write_picture(path: Path, piece: Piece) -> tuple[int, int]:
    """Write the picture of a piece, and give its width and height."""
    pixels = piece.window.cut(read_picture(piece.annotations.pictures[piece.picture]))
    picture = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()).reduce(piece.factor)
    picture.save(path)
    return picture.size


def objects(piece: Piece) -> Iterator[dict[str, Any]]:
    """The objects of a piece in COCO's terms."""
    boxes, labels, ignored = piece.annotations.objects(piece.picture)
    corner = np.array(piece.window[:2] * 2)
    shown = np.clip(boxes, corner, np.array(piece.window[2:] * 2)) - corner
    sides, whole = shown[:, 2:] - shown[:, :2], boxes[:, 2:] - boxes[:, :2]
    for box, side, all_of_it, label, crowd in zip(shown, sides, whole, labels, ignored, strict=True):
        if side.min() >= 1:
            bbox = (np.array([*box[:2], *side]) / piece.factor).tolist()
            hidden = bool(crowd) or side.prod() < all_of_it.prod() / 2
            yield {"category_id": int(label), "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": int(hidden)}


def in_words(lines: Sequence[Mapping[str, Any]]) -> str:
    """A section of a page: what was run, mAP of each ingredient, and tiles beside whole pictures."""
    samples = tuple(SAMPLES)
    effects = [[name, *(spread(lines, sample, name, "map") for sample in samples)] for name in INGREDIENTS]
    small = [[name, spread(lines, "trees", name, "map_50")] for name in INGREDIENTS]
    titles = ("tiles of 345 pixels", "none"), ("whole pictures", WHOLE)
    numbers = ("map", "map_50", "map_small")
    tiled = [[title, *(spread(lines, "trees", name, number) for number in numbers)] for title, name in titles]
    rows = [[*effect, fifty] for effect, (_, fifty) in zip(effects, small, strict=True)]
    counts = sorted(set(Counter((line["sample"], line["ingredient"]) for line in lines).values()))
    return TEXT.format(
        seeds=" or ".join(map(str, counts)),
        ingredients=table(["", "BCCD, mAP", "trees, mAP", "trees, AP50"], rows),
        tiles=table(["", "AP", "AP50", "AP of small objects"], tiled),
    )


def spread(lines: Sequence[Mapping[str, Any]], sample: str, ingredient: str, number: str) -> str:
    """The mean of the seeds, and the least and the largest of them."""
    values = [line[number] for line in lines if (line["sample"], line["ingredient"]) == (sample, ingredient)]
    return f"{statistics.mean(values):.3f}, {min(values):.3f} to {max(values):.3f}" if values else "-"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def read_lines(out: Path) -> list[dict[str, Any]]:
    """The runs that are in the file."""
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def main(bccd: Path, forest: Path, out: Path) -> None:
    """Make every run that the file has not."""
    torch.set_num_threads(1)
    done = {(line["sample"], line["ingredient"], line["seed"]) for line in read_lines(out)}
    with tempfile.TemporaryDirectory() as scratch, out.open("a") as file:
        for split in ("train", "test"):
            write_split(Path(scratch) / "BCCD", split, cells(bccd, split))
            write_split(Path(scratch) / "trees", split, trees(forest, split))
        for number, (sample, ingredient, seed) in enumerate(plans()):
            if (sample, ingredient, seed) not in done:
                line = run(sample, ingredient, seed, Path(scratch) / sample, Path(scratch) / f"run{number}")
                print(json.dumps(line), file=file, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What ingredients of a training do to mAP, on small samples.")
    parser.add_argument("bccd", type=Path, help="the folder of BCCD")
    parser.add_argument("trees", type=Path, help="the folder of DeepForest's pictures and annotations")
    parser.add_argument("--out", type=Path, required=True, help="the file that has a line for each run")
    options = parser.parse_args()
    main(options.bccd, options.trees, options.out)
    print(in_words(read_lines(options.out)))
