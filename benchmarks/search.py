"""How long a folder of 200,000 files is looked through for annotations, in several shapes; a limit of 20 s each.

    .venv/bin/python benchmarks/search.py [FOLDER]

The files are empty, or as small as their kind allows, and lie in FOLDER (default: a temporary one), which is emptied
shape by shape. Expected on two cores of a server, with files in the cache of the system: below 20 s in every row.
"""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from torch_retinanet.data.formats.known import FORMATS
from torch_retinanet.data.formats.search import find_data_sets
from torch_retinanet.data.tree import Tree
from torch_retinanet.errors import InputError

FILES, LIMIT = 200_000, 20.0
"""How many files a folder has, and the seconds in which it must be looked through."""

IN_A_FOLDER = 1000
"""Files in each folder of those shapes that have many."""

XML = "<annotation><filename>a.png</filename></annotation>"
COCO = '{"images": [], "annotations": [], "categories": []}'


def pictures_in_one_folder() -> Iterator[tuple[str, str]]:
    """A COCO file and its pictures."""
    yield "annotations/instances_train.json", COCO
    yield from ((f"images/{i}.jpg", "") for i in range(FILES - 1))


def voc_in_folders() -> Iterator[tuple[str, str]]:
    """An XML and a picture for each of half the files, in folders of cameras."""
    for i in range(FILES // 2):
        yield f"Annotations/{i // IN_A_FOLDER}/{i}.xml", XML
        yield f"JPEGImages/{i // IN_A_FOLDER}/{i}.jpg", ""


def yolo_in_one_folder() -> Iterator[tuple[str, str]]:
    """A text beside each picture."""
    for i in range(FILES // 2):
        yield f"{i}.jpg", ""
        yield f"{i}.txt", "0 0.5 0.5 0.1 0.1\n"


def json_of_other_programs() -> Iterator[tuple[str, str]]:
    """Nothing but JSON that is no annotation, ten files in a folder."""
    return ((f"{i // 10}/{i}.json", '{"a": 1}') for i in range(FILES))


def large_json_of_other_programs() -> Iterator[tuple[str, str]]:
    """As many files, of which 10,000 are JSON of 70 kB that are no annotations."""
    text = json.dumps([{"a": i, "b": "c"} for i in range(3600)])
    yield from ((f"{i // 10}/{i}.json", text) for i in range(10_000))
    yield from ((f"{i // 10}/{i}.jpg", "") for i in range(10_000, FILES))


SHAPES: list[Callable[[], Iterator[tuple[str, str]]]] = [
    *(pictures_in_one_folder, voc_in_folders, yolo_in_one_folder, json_of_other_programs, large_json_of_other_programs),
]


def write(folder: Path, files: Iterator[tuple[str, str]]) -> None:
    """Write files by their names in a folder."""
    made: set[Path] = set()
    for name, text in files:
        path = folder / name
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        path.write_text(text)


def seconds(folder: Path) -> tuple[float, str]:
    """How long the look takes, and what it finds first."""
    start = time.perf_counter()
    try:
        found = find_data_sets(Tree(folder), FORMATS)
    except InputError:
        found = []
    return time.perf_counter() - start, found[0].format.name if found else "nothing"


def main() -> int:
    """Print a row a shape; 1 if one takes longer than the limit."""
    slow = False
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as scratch:
        for shape in SHAPES:
            folder = Path(scratch) / shape.__name__
            write(folder, shape())
            taken, name = seconds(folder)
            slow |= taken > LIMIT
            print(f"{shape.__name__:28} {taken:6.1f} s   {name}", flush=True)
            shutil.rmtree(folder)
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
