"""Create ML's JSON for object detection
(https://developer.apple.com/documentation/createml/building-an-object-detector-data-source).

A list of pictures: `image`, and `annotations` with `label` and `coordinates`. These are x and y of the centre, width
and height in pixels. Older files say `imagefilename` and `annotation`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.coco_values import number_of
from torch_retinanet.data.formats.json_file import SHOWN, read_list, text_of
from torch_retinanet.data.formats.json_kind import JsonKind, is_of_kind
from torch_retinanet.data.formats.objects import Object, add_object, lose_picture, read_or_lose
from torch_retinanet.data.picture_folder import PictureFolder, beside, find_folder
from torch_retinanet.data.places import NestedPlaces, nested_place

IMAGE, ANNOTATIONS = ("image", "imagefilename"), ("annotations", "annotation")
SIDES = ("x", "y", "width", "height")


def is_createml(path: Path) -> bool:
    """Whether a file is Create ML's."""
    return is_of_kind(path, JsonKind.CREATEML)


def read_createml(path: Path, *, images: Path | None = None) -> Annotations:
    """The objects of a Create ML JSON.

    Args:
        path: the JSON.
        images: the folder of the pictures; by default the JSON's own, `images` beside it, or one level up.

    Raises:
        InputError: for a file that is no JSON, or no list.
        OSError: for a file that cannot be read.
    """
    entries = read_list(path, "pictures with their annotations, as Create ML writes it")
    builder = AnnotationsBuilder(NestedPlaces("[{}].annotations[{}]"))
    names = [text_of(_first(entry, IMAGE)) for entry in entries]
    folder = find_folder([name for name in names if name], beside(path), images)
    for index, (entry, name) in enumerate(zip(entries, names, strict=True)):
        objects = _first(entry, ANNOTATIONS)
        if name and isinstance(objects, list):
            _add(name, objects, index, path, folder, builder)
        else:
            missing = f"{'annotations' if name else 'image'}: {repr(entry)[:SHOWN]}"
            lose_picture(builder, path, f"[{index}]", f"picture without {missing}")
    annotations = builder.annotations()
    return replace(annotations, unlisted=folder.unlisted(annotations.pictures))


def _first(entry: Any, names: tuple[str, ...]) -> Any:
    return next((entry[name] for name in names if name in entry), None) if isinstance(entry, dict) else None


def _add(
    name: str, objects: list[Any], index: int, path: Path, folder: PictureFolder, builder: AnnotationsBuilder
) -> None:
    picture = builder.add_picture(folder.find(name), path, place=f"[{index}]")
    for number, entry in enumerate(objects):
        place = nested_place(index, number)
        add_object(read_or_lose(_object, entry, builder, picture, place), builder, path, picture, place)


def _object(entry: Any) -> Object:
    """An object.

    Raises:
        ValueError: in a few words, for one without a box.
    """
    sides = entry.get("coordinates") if isinstance(entry, dict) else None
    if not isinstance(sides, dict):
        raise ValueError(f"object without coordinates: {repr(entry)[:SHOWN]}")
    x, y, width, height = (number_of(sides.get(side)) for side in SIDES)
    box = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return Object(text_of(entry.get("label")), box)
