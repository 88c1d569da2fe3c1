"""Pascal VOC's XML, a file a picture (Everingham et al. 2010; http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc).

By VOC's own definition the first pixel is 1 and the last belongs to the box; most programs that write such files count
edges from 0. Numbers are kept as they are: of VOC's own boxes the left and upper edges are one pixel off.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.picture_folder import Found, PictureFolder, find_folder, is_there
from torch_retinanet.data.progress import track
from torch_retinanet.data.text import parse_number, read_lines
from torch_retinanet.errors import InputError

SPLITS = "ImageSets/Main"
PER_CLASS = ("_train", "_val", "_trainval", "_test")
"""How the lists of a single class end, which are no splits."""

EDGES = ("xmin", "ymin", "xmax", "ymax")


class _Object(NamedTuple):
    name: str
    box: tuple[float, float, float, float]
    difficult: bool


def read_voc(path: Path, *, split: str | None = None, images: Path | None = None) -> Annotations:
    """The objects of VOC's XML files; `difficult` ones are ignored, `<path>` is not followed.

    A picture is found by the name of its XML, as VOC has it, or else by `<filename>`.

    Args:
        path: a folder with `Annotations`, `JPEGImages` and `ImageSets/Main`, a folder of XML files, or one of them.
        split: a list in `ImageSets/Main`; by default all files are read.
        images: the folder of the pictures.

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
        _add(_parse(path), path, folder, builder)
    else:
        for file in track(files, total=len(files), words="reading annotations"):
            _add_or_lose(file, folder, builder)
    annotations = builder.annotations()
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


def _add_or_lose(file: Path, folder: PictureFolder, builder: AnnotationsBuilder) -> None:
    try:
        _add(_parse(file), file, folder, builder)
    except (InputError, OSError) as error:
        builder.lose(file, None, str(error).removeprefix(f"{file}: "), "its picture is left out")


def _add(root: Element, file: Path, folder: PictureFolder, builder: AnnotationsBuilder) -> None:
    filename = (root.findtext("filename") or "").strip()
    found = _picture(file, filename, folder)
    picture = builder.add_picture(found, file, size=_size(root, file, builder.problems))
    for index, element in enumerate(root.findall("object")):
        _add_object(element, index, picture, file, builder)


def _add_object(element: Element, index: int, picture: int, file: Path, builder: AnnotationsBuilder) -> None:
    try:
        read = _read_object(element)
    except ValueError as error:
        builder.lose(file, index, str(error), "the box is left out")
    else:
        builder.add_box(picture, read.box, builder.label(read.name), index, ignored=read.difficult)


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


def _read_object(element: Element) -> _Object:
    """An object.

    Raises:
        ValueError: in a few words, for one without a name, or without one box of four numbers.
    """
    name = (element.findtext("name") or "").strip()
    boxes = element.findall("bndbox")
    if not name or len(boxes) != 1:
        raise ValueError(f"object without {'one bndbox' if name else 'name'}")
    left, top, right, bottom = (parse_number((boxes[0].findtext(edge) or "").strip()) for edge in EDGES)
    return _Object(name, (left, top, right, bottom), (element.findtext("difficult") or "").strip() == "1")
