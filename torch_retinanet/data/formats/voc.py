"""Pascal VOC's XML, a file a picture (Everingham et al. 2010; http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc).

By VOC's own definition the first pixel is 1 and the last belongs to the box; most programs that write such files count
edges from 0. Numbers are kept as they are: of VOC's own boxes the left and upper edges are one pixel off. Objects that
have a rotated box (roLabelImg's `robndbox`) or a `polygon` in place of `bndbox` get the box around it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.box_layouts import Box, BoxLayout, from_xyxy
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.formats.shapes import bounding_box, rotated_box
from torch_retinanet.data.picture_folder import Found, PictureFolder, find_folder, is_there
from torch_retinanet.data.progress import track
from torch_retinanet.data.text import is_missing, is_number, parse_number, read_lines
from torch_retinanet.errors import InputError

SPLITS = "ImageSets/Main"
PER_CLASS = ("_train", "_val", "_trainval", "_test")
"""How the lists of a single class end, which are no splits."""

EDGES = ("xmin", "ymin", "xmax", "ymax")


ROTATED = ("cx", "cy", "w", "h", "angle")
"""roLabelImg's centre and sides in pixels, and an angle in radians (https://github.com/cgvict/roLabelImg)."""


def read_voc(
    path: Path, *, split: str | None = None, images: Path | None = None, boxes: BoxLayout = "xyxy"
) -> Annotations:
    """The objects of VOC's XML files; `difficult` ones are ignored, `<path>` is not followed.

    A picture is found by the name of its XML, as VOC has it, or else by `<filename>`.

    Args:
        path: a folder with `Annotations`, `JPEGImages` and `ImageSets/Main`, a folder of XML files, or one of them.
        split: a list in `ImageSets/Main`; by default all files are read.
        images: the folder of the pictures.
        boxes: what the four numbers of a box mean.

    Raises:
        InputError: for an unknown split; where `path` is a file, for one that is not whole.
    """
    root = path if path.is_dir() else path.parent
    xml = root / "Annotations" if (root / "Annotations").is_dir() else root
    builder = AnnotationsBuilder("object[{}]")
    files = [path] if path.is_file() else _files(root, xml, split, builder.problems)
    names = [file.with_suffix(suffix).name for suffix in (".jpg", ".png", ".tif") for file in files]
    folder = find_folder(names, [root / "JPEGImages", root / "images", xml, xml.parent / "JPEGImages"], images)
    if path.is_file():
        _add(_parse(path), path, folder, boxes, builder)
    else:
        for file in track(files, total=len(files), words="reading annotations"):
            _add_or_lose(file, folder, boxes, builder)
    annotations = builder.annotations(layout=boxes)
    unlisted = [] if split or path.is_file() else folder.unlisted(annotations.pictures, xml)
    return replace(annotations, problems=[*annotations.problems, *unlisted])


def voc_splits(path: Path) -> list[str]:
    """The lists of pictures that a VOC folder has."""
    return sorted(file.stem for file in (path / SPLITS).glob("*.txt") if not file.stem.endswith(PER_CLASS))


def _files(root: Path, xml: Path, split: str | None, problems: list[Problem]) -> list[Path]:
    if split is None:
        return sorted(xml.glob("*.xml"))
    if split not in voc_splits(root):
        raise InputError(f"split: {split!r} must be one of {', '.join(voc_splits(root)) or 'none'} in {root / SPLITS}")
    listed, names = root / SPLITS / f"{split}.txt", PictureFolder(xml)
    files: list[Path] = []
    for line in read_lines(listed, problems):
        found = names.find(f"{line.text}.xml")
        what = found.what or (f"no annotation: {line.text!r}" if found.path and not is_there(found.path) else "")
        if what:
            problems.append(Problem(listed, f"line {line.number}", what, "the picture is left out", data_loss=True))
        elif found.path:
            files.append(found.path)
    return list(dict.fromkeys(files))


def _add_or_lose(file: Path, folder: PictureFolder, layout: BoxLayout, builder: AnnotationsBuilder) -> None:
    try:
        _add(_parse(file), file, folder, layout, builder)
    except (InputError, OSError) as error:
        builder.lose(file, None, str(error).removeprefix(f"{file}: "), "its picture is left out")


def _add(root: Element, file: Path, folder: PictureFolder, layout: BoxLayout, builder: AnnotationsBuilder) -> None:
    filename = (root.findtext("filename") or "").strip()
    found = _picture(file, filename, folder)
    picture = builder.add_picture(found, file, size=_size(root, file, builder.problems))
    for index, element in enumerate(root.findall("object")):
        _add_object(element, index, picture, layout, builder)


def _add_object(element: Element, index: int, picture: int, layout: BoxLayout, builder: AnnotationsBuilder) -> None:
    name = (element.findtext("name") or "").strip()
    try:
        box = _box(element, layout)
    except ValueError as error:
        builder.lose_object(picture, index, str(error))
        return
    if is_missing(name):
        builder.lose_object(picture, index, f"object without name: {name!r}", box)
    else:
        builder.add_box(picture, box, builder.label(name), index, ignored=_is_difficult(element))


def _parse(file: Path) -> Element:
    try:
        root = fromstring(file.read_bytes())
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"{file}: must be whole XML without entities ({error})") from None
    if root.tag != "annotation":
        raise InputError(f"{file}: must be an <annotation>, and is a <{root.tag}>")
    return root


def _picture(file: Path, filename: str, folder: PictureFolder) -> Found:
    """The picture of the XML's name; of several that which `<filename>` says."""
    named = folder.find(filename) if filename else Found(None, "no filename")
    of_stem = folder.with_stem(file.stem)
    if named.path in of_stem:
        return named
    if len(of_stem) > 1:
        return Found(None, f"several pictures of one name: {', '.join(path.name for path in of_stem)}")
    if of_stem:
        return Found(of_stem[0], f"filename of another picture: {filename!r}" if filename else "")
    return named


def _size(root: Element, file: Path, problems: list[Problem]) -> tuple[float, float]:
    """Height and width, 0 where they are not said."""
    if root.find("size") is None:
        return 0, 0
    texts = [root.findtext(f"size/{side}") or "" for side in ("height", "width")]
    try:
        height, width = (parse_number(text.strip()) for text in texts)
    except ValueError:
        height, width = 0, 0
    if not (height > 0 and width > 0):
        what = f"size that is none: {texts[1].strip()!r}x{texts[0].strip()!r}"
        problems.append(Problem(file, "", what, "the picture itself says its size", data_loss=False))
        return 0, 0
    return height, width


def _box(element: Element, layout: BoxLayout) -> Box:
    """The box of an object, in a layout; that of a rotated box or a polygon is the box around it.

    Raises:
        ValueError: in a few words, for an object without one of them, and for anything but numbers.
    """
    boxes = element.findall("bndbox")
    if len(boxes) == 1:
        left, top, right, bottom = _numbers(boxes[0], EDGES)
        return left, top, right, bottom
    if boxes:
        raise ValueError(f"object without one bndbox: {len(boxes)}")
    if (rotated := element.find("robndbox")) is not None:
        x, y, width, height, radians = _numbers(rotated, ROTATED)
        return from_xyxy(rotated_box(x, y, width, height, radians), layout)
    if (polygon := element.find("polygon")) is not None:
        return from_xyxy(bounding_box(_points(polygon)), layout)
    raise ValueError("object without one bndbox")


def _points(polygon: Element) -> list[tuple[float, float]]:
    """The points of LabelMe's `<pt><x>1</x><y>2</y></pt>`, or of `<x1>1</x1><y1>2</y1>` and so on."""
    if points := polygon.findall("pt"):
        return [(x, y) for x, y in (_numbers(point, ("x", "y")) for point in points)]
    numbers = {child.tag.lower(): parse_number((child.text or "").strip()) for child in polygon}
    names = [(f"x{i}", f"y{i}") for i in range(len(numbers))]
    return [(numbers[x], numbers[y]) for x, y in names if x in numbers and y in numbers]


def _numbers(element: Element, names: Sequence[str]) -> list[float]:
    return [parse_number((element.findtext(name) or "").strip()) for name in names]


def _is_difficult(element: Element) -> bool:
    """Whether an object is difficult; one that does not say it in a number is not."""
    text = (element.findtext("difficult") or "").strip()
    return text.lower() == "true" or (is_number(text) and parse_number(text) == 1)
