"""What `make demo` runs: the parity check on real photos, then a detector trained on real handwritten digits.

All that it writes lies in `out/`, and `out/index.html` shows it.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import skimage.data
from digits_coco import write_split
from jinja2 import Environment, FileSystemLoader
from PIL import Image

from parity_tests.cli import main as parity
from torch_retinanet.cli import main as retinanet

PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")
TRAIN, TEST, SHOWN = 3000, 300, 12
"""Pictures to train on, to evaluate on, and to draw detections on."""

SECTIONS = (
    ("Training", "large", "run/*.png"),
    ("Evaluation", "large", "evaluation/*.png"),
    ("Detections", "small", "detections/pictures/*"),
)
"""What the page shows: title, size, and pictures."""

HERE, OUT = Path(os.path.relpath(Path(__file__).parent)), Path("out")


def compare() -> int:
    """The network of the notebook in both frameworks, on photos."""
    photos = [str(Path(skimage.data.__file__).parent / name) for name in PHOTOS]
    network = ["--preset", "notebook", "--rungs", "shapes", "parameters", "forward"]
    reports = ["--json", str(OUT / "parity.json"), "--html", str(OUT / "parity.html")]
    return parity([*network, "--image", *photos, *reports])


def train_and_detect() -> int:
    """A small detector, evaluated, and its detections drawn."""
    data, run = OUT / "digits", OUT / "run"
    shutil.rmtree(run, ignore_errors=True)  # that of the last demo
    train, test = write_split(data, "train", TRAIN), write_split(data, "test", TEST)
    pictures = sorted((data / "test").iterdir())[:SHOWN]
    from torch_retinanet.devices import find_device, has_bfloat16  # torch comes after TensorFlow

    precision = [] if has_bfloat16(find_device(None)) else ["--precision", "no"]  # which else would take hours
    commands = [
        ["train", train, "--val", test, "--config", HERE / "digits.toml", *precision, "--out", run],
        ["evaluate", run, test, "--out", OUT / "evaluation"],
        ["detect", run, *pictures, "--out", OUT / "detections"],
    ]
    for command in commands:
        words = [str(word) for word in command]
        print(f"\nretinanet {' '.join(words[:6])}{' ...' if len(words) > 6 else ''}", flush=True)
        if status := retinanet(words):
            return status
    return 0


def write_page() -> Path:
    """One page with all pictures and figures."""
    metrics = json.loads((OUT / "evaluation" / "metrics.json").read_text())["coco"]
    summary = json.loads((OUT / "parity.json").read_text())["summary"]
    sections = [{"title": title, "kind": kind, "pictures": _pictures(files)} for title, kind, files in SECTIONS]
    template = Environment(loader=FileSystemLoader(HERE), autoescape=True).get_template("index.html.j2")
    numbers = [("mAP", metrics["map"]), ("AP50", metrics["map_50"]), ("AP75", metrics["map_75"])]
    page = OUT / "index.html"
    verdict = f"The network in Keras and in PyTorch, on five photos: {summary}."
    page.write_text(template.render(sections=sections, numbers=numbers, verdict=verdict))
    return page


def _pictures(pattern: str) -> list[dict[str, str]]:
    paths = sorted(sorted(OUT.glob(pattern)), key=_is_tall)  # a tall one last, where it may take a row
    return [{"file": path.relative_to(OUT).as_posix(), "says": path.stem.replace("_", " ")} for path in paths]


def _is_tall(path: Path) -> bool:
    with Image.open(path) as picture:
        return picture.height > picture.width


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    status = compare() or train_and_detect()
    if not status:
        print(f"\nwritten: {write_page()} shows all of it")
    sys.exit(status)
