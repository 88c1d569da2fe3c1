"""Small figures seen from above: a detector that learns from tiles, and one that learns from whole pictures.

    .venv/bin/python examples/pedestrians.py

draws pictures of 1400x1000 pixels with pedestrians, bikers and carts, as those of the Stanford Drone Dataset (Robicquet
et al., 2016), and writes their boxes as keras-retinanet's CSV. Both detectors take as many steps, of as many pixels. It
ends in less than five minutes on two cores, with a table of both and a picture of what was found.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

from torch_retinanet.cli import main

SIZE, FIGURES = (1400, 1000), 110
"""Width and height of a picture in pixels, and how many figures are on it."""

PICTURES = {"train": 12, "test": 3}
"""How many of each split."""

FINE = 4
"""Times that a figure is drawn larger, so that its edges are soft."""

MODEL = ["--backbone", "resnet18", "--width", "64", "--head-depth", "2", "--ema", "0.98"]
CONVENTIONS = ["head_init=he_prior", "box_loss=giou", "anchor_centre=half_cell", "loss_normaliser=batch"]
SIZES = {
    "tiles": ["--tile", "96", "--min-side", "96", "--max-side", "96"],
    "whole": ["--min-side", "199", "--max-side", "279"],
}
BATCH = {"tiles": "6", "whole": "1"}
"""How the two detectors see pictures, and how many of them a step takes: 55,000 pixels in both."""

ANCHORS = {
    "tiles": ["min_level=2", "max_level=6", "anchor_scale=2.0"],
    "whole": ["min_level=2", "max_level=6", "anchor_scale=0.5", "anchor_ratios=0.33,1.0,3.0"],
}
"""What `retinanet anchors` proposes for figures that are seen so."""

Pen, Rng = ImageDraw.ImageDraw, np.random.Generator


def pedestrian(pen: Pen, rng: Rng) -> None:
    """Shoulders and a head."""
    pen.ellipse((10, 32, 70, 56), fill=bright(rng))
    pen.ellipse((29, 30, 51, 54), fill=(60, 40, 30))


def biker(pen: Pen, rng: Rng) -> None:
    """A narrow bike under shoulders."""
    pen.line((40, 0, 40, 80), fill=(25, 25, 30), width=8)
    pen.line((24, 16, 56, 16), fill=(25, 25, 30), width=6)
    pen.ellipse((20, 34, 60, 54), fill=bright(rng))
    pen.ellipse((31, 30, 49, 50), fill=(60, 40, 30))


def cart(pen: Pen, rng: Rng) -> None:
    """A white roof between the ends of a cart."""
    pen.rounded_rectangle((12, -12, 68, 92), 10, fill=bright(rng))
    pen.rounded_rectangle((14, 18, 66, 66), 6, fill=(240, 240, 235))


FIGURE: dict[str, Callable[[Pen, Rng], None]] = {"Pedestrian": pedestrian, "Biker": biker, "Cart": cart}
SHARES = (0.6, 0.3, 0.1)


def bright(rng: Rng) -> tuple[int, int, int]:
    """A colour of clothes."""
    red, green, blue = rng.permutation([int(rng.integers(170, 256)), int(rng.integers(20, 160)), 30]).tolist()
    return red, green, blue


def ground(rng: Rng) -> Image.Image:
    """Grass with paved paths, and grain."""
    picture = Image.new("RGB", SIZE, (92, 118, 66))
    pen = ImageDraw.Draw(picture)
    for _ in range(4):
        ends = [(int(rng.integers(SIZE[0])), -50), (int(rng.integers(SIZE[0])), SIZE[1] + 50)]
        ends = (
            [(-50, int(rng.integers(SIZE[1]))), (SIZE[0] + 50, int(rng.integers(SIZE[1])))]
            if rng.random() < 0.5
            else ends
        )
        pen.line(ends, fill=(168, 160, 150), width=int(rng.integers(60, 160)))
    for _ in range(60):  # trees and lamps, which are no figures
        x, y, radius = int(rng.integers(SIZE[0])), int(rng.integers(SIZE[1])), int(rng.integers(3, 30))
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(50, 80 + int(rng.integers(30)), 45))
    grain = rng.normal(0, 9, (SIZE[1] // 2, SIZE[0] // 2, 1)).repeat(2, 0).repeat(2, 1)
    return Image.fromarray((np.asarray(picture) + grain).clip(0, 255).astype(np.uint8))


def draw(picture: Image.Image, rng: Rng, name: str) -> tuple[int, int, int, int]:
    """Draw a figure somewhere, turned by any angle; the box xyxy around it."""
    patch = Image.new("RGBA", (80, 80))
    FIGURE[name](ImageDraw.Draw(patch), rng)
    side = round(80 / FINE * rng.uniform(0.85, 1.15) * (1.6 if name == "Cart" else 1.0))
    turned = patch.rotate(float(rng.uniform(0, 360)), Image.Resampling.BICUBIC, expand=True)
    length = round(side * turned.width / patch.width)
    figure = turned.resize((length, length), Image.Resampling.LANCZOS)
    left, top = (int(rng.integers(0, side_ - length)) for side_ in SIZE)
    picture.paste(figure, (left, top), figure)
    box = figure.getchannel("A").point(lambda alpha: 255 * (alpha > 100)).getbbox() or (0, 0, 1, 1)
    return left + box[0], top + box[1], left + box[2], top + box[3]


def write_split(folder: Path, split: str, count: int, rng: Rng) -> None:
    """Write pictures to `folder/SPLIT`, and a line for each figure to `folder/SPLIT.csv`."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for i in range(count):
        picture, path = ground(rng), f"{split}/{i:03}.jpg"
        names = rng.choice(list(FIGURE), FIGURES, p=SHARES).tolist()
        lines += [",".join([path, *map(str, draw(picture, rng, name)), name]) for name in names]
        picture.save(folder / path, quality=92)
    (folder / f"{split}.csv").write_text("\n".join(lines) + "\n")


def command(*words: str) -> None:
    """Run a command of `retinanet`, and show it."""
    print("$ retinanet", *words, flush=True)
    if code := main(words):
        raise SystemExit(code)


def compare(out: Path, steps: int) -> dict[str, dict[str, Any]]:
    """Train both detectors with the anchors that are proposed, and evaluate each on the pictures for testing."""
    train, test, found = str(out / "data" / "train.csv"), str(out / "data" / "test.csv"), {}
    for name, sizes in SIZES.items():
        run, numbers = str(out / name), out / f"{name}.json"
        command("anchors", train, *sizes, "--conventions", *CONVENTIONS, "--out", str(out / f"{name}_anchors.png"))
        flags = [*MODEL, *sizes, "--batch", BATCH[name], "--steps", str(steps), "--rate", "1e-3"]
        command("train", train, "--out", run, *flags, "--conventions", *CONVENTIONS, *ANCHORS[name])
        command("evaluate", run, test, "--json", str(numbers), "--max-detections", "300")
        found[name] = json.loads(numbers.read_text())
    return found


def print_table(found: dict[str, dict[str, Any]]) -> None:
    """Print the numbers side by side."""
    table = Table("", *found)
    for name, key in {"mAP": "map", "AP50": "map_50", "mAP of small objects": "map_small"}.items():
        table.add_row(name, *(f"{numbers['coco'][key]:.3f}" for numbers in found.values()))
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train on small figures, in tiles and in whole pictures.")
    parser.add_argument("--out", type=Path, default=Path("out/pedestrians"), help="where to write (%(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="of each training (%(default)s)")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    for split, count in PICTURES.items():
        write_split(options.out / "data", split, count, rng)
    compared = compare(options.out, options.steps)
    picture = str(options.out / "data" / "test" / "000.jpg")
    command("detect", str(options.out / "tiles"), picture, "--out", str(options.out / "found"))
    print_table(compared)
