"""Pascal VOC's XML, a file a picture (Everingham et al. 2010; http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc).

By VOC's own definition the first pixel is 1 and the last belongs to the box; most programs that write such files count
edges from 0. Numbers are kept as they are: of VOC's own boxes the left and upper edges are one pixel off. Objects that
have a rotated box (roLabelImg's `robndbox`) or a `polygon` in place of `bndbox` get the box around it. Names of
elements are read in letters of either case.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from xml.etree.ElementTree import Element

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.box_layouts import Box, BoxLayout, from_xyxy
from torch_retinanet.data.builder import AnnotationsBuilder
from torch_retinanet.data.formats.content import is_voc
from torch_retinanet.data.formats.search import spread, together
from torch_retinanet.data.formats.shapes import bounding_box, rotated_box
from torch_retinanet.data.formats.xml_file import read_xml
from torch_retinanet.data.picture_folder import Found, PictureFolder, above_annotations, given_folder
from torch_retinanet.data.picture_names import PictureNames, nearest, plain
from torch_retinanet.data.progress import track
from torch_retinanet.data.text import is_missing, is_number, parse_number, read_lines
from torch_retinanet.data.tree import Tree, is_leftover
from torch_retinanet.errors import InputError

SPLITS = "ImageSets/Main"
PER_CLASS = ("_train", "_val", "_trainval", "_test")
"""How the lists of a single class end, which are no splits."""

SUFFIX = ".xml"

EDGES = ("xmin", "ymin", "xmax", "ymax")


ROTATED = ("cx", "cy", "w", "h", "angle")
"""roLabelImg's centre and sides in pixels, and an angle in radians (https://github.com/cgvict/roLabelImg)."""


def read_voc(
    path: Path,
    *,
    split: str | None = None,
    images: Path | None = None,
    boxes: BoxLayout = "xyxy",
    root: Path | None = None,
) -> Annotations:
    """The objects of VOC's XML files; `difficult` ones are ignored, `<path>` is not followed.

    A picture is found by the name of its XML, as VOC has it, or else by `<filename>`, wherever it lies. Of several that
    is taken whose folder is nearest to the XML, as `images/camera1` to `Annotations/camera1`.

    Args:
        path: a folder with XML files, in whatever folders within it, and maybe `ImageSets/Main`, or one XML.
        split: a list in `ImageSets/Main`; by default all files are read.
        images: the folder of the pictures.
        boxes: what the four numbers of a box mean.
        root: the folder in which pictures are looked for; by default `path`, or where a folder of annotations lies.

    Raises:
        InputError: for an unknown split; where `path` is a file, for one that is not whole.
    """
    builder = AnnotationsBuilder("object[{}]")
    xml = [path] if path.is_file() else _xml(path)
    files = xml if split is None else _of_split(path, xml, split, builder.problems)
    folder = _picture_folder(path, root, images)
    if path.is_file():
        _add(_parse(path), path, folder, boxes, builder)
    else:
        for file in track(files, total=len(files), words="reading annotations"):
            _add_or_lose(file, folder, boxes, builder)
    annotations = builder.annotations(layout=boxes)
    unlisted = () if split or path.is_file() else folder.unlisted(annotations.pictures)
    return replace(annotations, unlisted=unlisted)


def voc_splits(path: Path) -> list[str]:
    """The lists of pictures that a VOC folder has."""
    return sorted(file.stem for file in _lists(path) if not file.stem.endswith(PER_CLASS))


def find_voc(tree: Tree) -> list[list[Path]]:
    """The data sets of VOC in a tree: each folder with `ImageSets/Main`, or else all XML files, split by split."""
    folders = xml_folders(tree)
    with_lists = [folder.parent.parent for folder in tree.folders if folder.parts[-2:] == tuple(SPLITS.split("/"))]
    listed = [root for root in with_lists if any(folder.is_relative_to(root) for folder in folders)]
    alone = [folder for folder in folders if not any(folder.is_relative_to(root) for root in listed)]
    return [[root] for root in listed] + ([together(alone, tree.root)] if alone else [])


def xml_folders(tree: Tree) -> list[Path]:
    """The folders that have XML files of VOC."""
    return [folder for folder, files in tree.with_suffix(SUFFIX).items() if any(map(is_voc, spread(files)))]


def _xml(path: Path) -> list[Path]:
    tree = Tree(path)
    folders = xml_folders(tree) or [folder for folder in (path / "Annotations", path) if folder in tree.folders][:1]
    return [file for folder in folders for file in tree.by_suffix[folder].get(SUFFIX, ())]


def _lists(path: Path) -> list[Path]:
    return sorted(file for file in (path / SPLITS).glob("*.txt") if not is_leftover(file.name))


def _picture_folder(path: Path, root: Path | None, images: Path | None) -> PictureFolder:
    """The folder given, or the first that has a picture: that of the XML, `root`, and beside one of annotations."""
    if images is not None:
        return given_folder(images)
    own = path if path.is_dir() else path.parent
    places = [place for place in (own, root, above_annotations(own)) if place]
    return next((folder for place in places if (folder := PictureFolder(place)).names), PictureFolder(own))


def _of_split(path: Path, xml: Sequence[Path], split: str, problems: list[Problem]) -> list[Path]:
    """The XML files that a list names, without suffix and with the folders that they lie in."""
    if split not in voc_splits(path):
        raise InputError(f"split: {split!r} must be one of {', '.join(voc_splits(path)) or 'none'} in {path / SPLITS}")
    listed, names = path / SPLITS / f"{split}.txt", PictureNames(xml)
    files: list[Path] = []
    for line in read_lines(listed, problems):
        name = PurePosixPath(line.text.replace("\\", "/"))
        found = names.of_stem(name.name, name.parts[:-1]) or names.of_stem(name.stem, name.parts[:-1])
        if len(found) == 1:
            files.append(found[0])
        else:
            what = f"{'several annotations' if found else 'no annotation'}: {line.text!r}"
            problems.append(Problem(listed, f"line {line.number}", what, "the picture is left out", data_loss=True))
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
    root = read_xml(file)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2].lower()  # without the namespace that some tools add
    if root.tag != "annotation":
        raise InputError(f"{file}: must be an <annotation>, and is a <{root.tag}>")
    return root


def _picture(file: Path, filename: str, folder: PictureFolder) -> Found:
    """The picture of the XML's name; of several that which `<filename>` says."""
    of_stem = folder.names.of_stem(file.stem, file.parent.parts)
    said = PureWindowsPath(filename)
    if len(of_stem) > 1:
        of_stem = nearest([path for path in of_stem if path.name == said.name] or of_stem, said.parts[:-1])
    if len(of_stem) > 1:
        return Found(None, f"several pictures of one name: {', '.join(path.name for path in of_stem)}")
    if of_stem:
        alike = not filename or plain(said.name) in (plain(of_stem[0].name), plain(of_stem[0].stem))
        return Found(
            of_stem[0],
            ""
            if alike and not said.anchor and ".." not in said.parts
            else f"filename of another picture: {filename!r}",
        )
    return folder.find(filename) if filename else Found(None, "no filename")


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
    numbers = {child.tag: parse_number((child.text or "").strip()) for child in polygon}
    names = [(f"x{i}", f"y{i}") for i in range(len(numbers))]
    return [(numbers[x], numbers[y]) for x, y in names if x in numbers and y in numbers]


def _numbers(element: Element, names: Sequence[str]) -> list[float]:
    return [parse_number((element.findtext(name) or "").strip()) for name in names]


def _is_difficult(element: Element) -> bool:
    """Whether an object is difficult; one that does not say it in a number is not."""
    text = (element.findtext("difficult") or "").strip()
    return text.lower() == "true" or (is_number(text) and parse_number(text) == 1)
