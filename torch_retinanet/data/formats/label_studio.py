"""Label Studio's export as JSON (https://labelstud.io/guide/task_format) and JSON-MIN: a list of tasks.

Rectangles, ellipses and polygons are in percent of the picture. A rectangle is its upper left corner, about which
`rotation` turns it by degrees clockwise. The size of a picture is `original_width` and `original_height`, or else that
of its file. Of several annotations of a task the last that was not cancelled counts; predictions are not read.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.formats.json_file import SHOWN, read_list
from torch_retinanet.data.formats.json_kind import JsonKind, is_of_kind
from torch_retinanet.data.formats.label_studio_names import names_of
from torch_retinanet.data.formats.label_studio_regions import TaskRegion, of_json_min, region_box, regions_of, size_in
from torch_retinanet.data.formats.objects import Object, add_object, find_first, lose_picture, read_or_lose
from torch_retinanet.data.formats.sizes import Size, known_sizes
from torch_retinanet.data.picture_folder import beside, find_folder
from torch_retinanet.data.places import NestedPlaces, nested_place

ANNOTATIONS = ("annotations", "completions")
"""What the annotations of a task are called, now and before version 1."""

RESULT = ".result[{}]"
"""What a result is called within its task."""


class _Task(NamedTuple):
    """A task with a picture: its place, the names the picture may have, and the results of the annotation."""

    place: int
    names: Sequence[str]
    results: Sequence[Any]


def is_label_studio(path: Path) -> bool:
    """Whether a file is Label Studio's."""
    return is_of_kind(path, JsonKind.LABEL_STUDIO)


def read_label_studio(path: Path, *, images: Path | None = None) -> Annotations:
    """The regions of an export of Label Studio as boxes.

    A picture is found by its path, or by its bare name with and without what an upload has in front of it.

    Args:
        path: the JSON.
        images: the folder of the pictures; by default the JSON's own, `images` beside it, or one level up.

    Raises:
        InputError: for a file that is no JSON, or no list.
        OSError: for a file that cannot be read.
    """
    entries = read_list(path, "tasks, as Label Studio exports it")
    return read_tasks(path, list(enumerate(entries)), AnnotationsBuilder(NestedPlaces("[{}]" + RESULT)), images)


def read_tasks(
    path: Path, entries: Sequence[tuple[int, Any]], builder: AnnotationsBuilder, images: Path | None
) -> Annotations:
    """The regions of tasks as boxes.

    Args:
        path: their file.
        entries: the tasks, each with its place in the file.
        builder: whose places are those of a task and a result of it.
        images: the folder of the pictures, where the caller names it.
    """
    read = [_task(entry, place, path, builder) for place, entry in entries]
    tasks = [task for task in read if task is not None]
    folder = find_folder([name for task in tasks for name in task.names], beside(path), images)
    found = [find_first(folder, task.names) for task in tasks]
    said = [size_in(task.results) for task in tasks]
    for task, picture, size, own in zip(tasks, found, known_sizes(found, said), said, strict=True):
        index = builder.add_picture(picture, path, place=_of_task(task.place, builder), size=own)
        _add(task, index, size, path, builder)
    annotations = builder.annotations()
    return replace(annotations, unlisted=folder.unlisted(annotations.pictures))


def _of_task(place: int, builder: AnnotationsBuilder) -> str:
    """What the place of a task is called: that of its first result as far as the task goes."""
    return builder.place_format.format(nested_place(place, 0)).removesuffix(RESULT.format(0))


def _task(entry: Any, place: int, path: Path, builder: AnnotationsBuilder) -> _Task | None:
    try:
        names, results = _names(entry), _results(entry)
    except ValueError as error:
        lose_picture(builder, path, _of_task(place, builder), str(error))
        return None
    if results is None:
        what = f"task without annotation: {names[0][:SHOWN]!r}"
        builder.problems.append(
            Problem(path, _of_task(place, builder), what, "its picture is left out", data_loss=False)
        )
        return None
    return _Task(place, names, results)


def _names(entry: Any) -> list[str]:
    names = names_of(entry) if isinstance(entry, dict) else []
    if not names:
        raise ValueError(f"task without the name of a picture: {repr(entry)[:SHOWN]}")
    return names


def _results(entry: dict[str, Any]) -> list[Any] | None:
    """The results of the annotation that counts; `None` where there is none yet.

    Raises:
        ValueError: in a few words, where annotations are not as they must be.
    """
    name = next((name for name in ANNOTATIONS if name in entry), None)
    if name is None and "data" not in entry:
        return of_json_min(entry)
    annotations = entry[name] if name else None
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise ValueError(f"task without a list of annotations: {repr(annotations)[:SHOWN]}")
    done = [one.get("result") for one in annotations if not one.get("was_cancelled")]
    if done and not isinstance(done[-1], list):
        raise ValueError(f"annotation without result: {repr(done[-1])[:SHOWN]}")
    return done[-1] if done else None


def _add(task: _Task, picture: int, size: Size, path: Path, builder: AnnotationsBuilder) -> None:
    for region in regions_of(task.results):
        place = nested_place(task.place, region.place)
        found = read_or_lose(partial(_object, size=size), region, builder, picture, place)
        for name in region.labels or [""]:
            add_object(found._replace(name=name) if found else None, builder, path, picture, place)


def _object(region: TaskRegion, size: Size) -> Object:
    return Object("", region_box(region.value, size))
