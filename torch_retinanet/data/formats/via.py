"""The JSON and CSV of VGG Image Annotator 1 and 2 (https://www.robots.ox.ac.uk/~vgg/software/via, `via.js`).

A project has its pictures in `_via_img_metadata`, an export is that alone. A region is a `rect`, `circle`, `ellipse`
(with an angle in radians), `polygon` or `polyline` in pixels. The class is an attribute of regions: one that is called
so, or else the first. Where no region has an attribute, all are of one class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.builder import ONLY_CLASS, AnnotationsBuilder
from torch_retinanet.data.formats.json_file import SHOWN, read_json, text_of
from torch_retinanet.data.formats.json_kind import JsonKind, is_of_kind
from torch_retinanet.data.formats.objects import Object, add_object, find_first, lose_picture, read_or_lose
from torch_retinanet.data.formats.via_shapes import region_box
from torch_retinanet.data.picture_folder import beside, find_folder
from torch_retinanet.data.places import NestedPlaces, nested_place
from torch_retinanet.errors import InputError

CLASS = ("class", "label", "name", "category", "object", "type")
"""What an attribute with the class is called, in small letters."""


class ViaRegion(NamedTuple):
    """A region as a file has it, and its place."""

    shape: Any
    attributes: Any
    place: int


class ViaPicture(NamedTuple):
    """A picture as a file has it: its names, the likeliest first, its place, and its regions."""

    names: Sequence[str]
    place: str
    regions: Sequence[ViaRegion]


def is_via(path: Path) -> bool:
    """Whether a file is a JSON of VGG Image Annotator."""
    return is_of_kind(path, JsonKind.VIA)


def read_via(path: Path, *, images: Path | None = None) -> Annotations:
    """The regions of a JSON of VGG Image Annotator as boxes.

    Args:
        path: a project or an export.
        images: the folder of the pictures; by default the JSON's own, `images` beside it, or one level up.

    Raises:
        InputError: for a file that is no JSON, or without pictures by their names.
        OSError: for a file that cannot be read.
    """
    content = read_json(path)
    entries = content.get("_via_img_metadata", content) if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise InputError(f"{path}: must be a project or an export of VGG Image Annotator, an object of pictures")
    builder = AnnotationsBuilder(NestedPlaces("picture[{}].regions[{}]"))
    prefix = _default_folder(content)
    pictures = list(_pictures(entries, prefix, path, builder))
    return gather(pictures, path, images, builder)


def gather(pictures: Sequence[ViaPicture], path: Path, images: Path | None, builder: AnnotationsBuilder) -> Annotations:
    """The annotations of pictures that a file has."""
    folder = find_folder([PureWindowsPath(picture.names[0]).name for picture in pictures], beside(path), images)
    name = _class_attribute([region.attributes for picture in pictures for region in picture.regions], path, builder)
    for picture in pictures:
        index = builder.add_picture(find_first(folder, picture.names), path, place=picture.place)
        for region in picture.regions:
            found = read_or_lose(partial(_object, attribute=name), region, builder, index, region.place)
            add_object(found, builder, path, index, region.place)
    annotations = builder.annotations()
    return replace(annotations, unlisted=folder.unlisted(annotations.pictures))


def names_of(filename: str, folder: str = "") -> list[str]:
    """The names by which a picture is looked for: with the folder of the project, as it is, and without folders."""
    return list(dict.fromkeys([filename, folder + filename, PureWindowsPath(filename).name or filename]))


def _default_folder(content: dict[str, Any]) -> str:
    settings = content.get("_via_settings")
    core = settings.get("core") if isinstance(settings, dict) else None
    return text_of(core.get("default_filepath")) if isinstance(core, dict) else ""


def _pictures(entries: dict[str, Any], prefix: str, path: Path, builder: AnnotationsBuilder) -> Iterator[ViaPicture]:
    for index, (key, entry) in enumerate(entries.items()):
        place = f"picture[{index}]"
        filename = text_of(entry.get("filename")) if isinstance(entry, dict) else ""
        regions = entry.get("regions") if isinstance(entry, dict) else None
        if isinstance(regions, dict):  # version 1 numbers them
            regions = list(regions.values())
        if not filename or not isinstance(regions, list):
            what = f"picture without {'regions' if filename else 'filename'}: {key[:SHOWN]!r}"
            lose_picture(builder, path, place, what)
            continue
        numbered = [_region(region, nested_place(index, number)) for number, region in enumerate(regions)]
        yield ViaPicture(names_of(filename, prefix), place, numbered)


def _region(entry: Any, place: int) -> ViaRegion:
    if not isinstance(entry, dict):
        return ViaRegion(None, None, place)
    return ViaRegion(entry.get("shape_attributes"), entry.get("region_attributes"), place)


def _class_attribute(attributes: Sequence[Any], path: Path, builder: AnnotationsBuilder) -> str | None:
    """The attribute that is the class; `None` where there is none at all."""
    known = [one for one in attributes if isinstance(one, dict)]
    names: list[str] = list(dict.fromkeys(name for one in known for name in one))
    if not names:
        if known:
            what = "regions without attributes"
            builder.problems.append(Problem(path, "", what, f"all are of class {ONLY_CLASS!r}", data_loss=False))
        return None
    name = next((name for word in CLASS for name in names if name.lower() == word), names[0])
    if len(names) > 1:
        what = f"several attributes of regions: {', '.join(map(repr, names))[:SHOWN]}"
        builder.problems.append(Problem(path, "", what, f"{name[:SHOWN]!r} is the class", data_loss=False))
    return name


def _object(region: ViaRegion, attribute: str | None) -> Object:
    return Object(_class(region.attributes, attribute), region_box(region.shape))


def _class(attributes: Any, name: str | None) -> str:
    """The class of a region; of a checkbox the only option that is chosen."""
    if not isinstance(attributes, Mapping):
        return ""
    if name is None:
        return ONLY_CLASS
    value = attributes.get(name)
    chosen = [option for option, is_chosen in value.items() if is_chosen] if isinstance(value, dict) else [value]
    return text_of(chosen[0]) if len(chosen) == 1 else ""
