"""Annotations of any format that is known, wherever they lie in a folder, told apart by what is in them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from torch_retinanet.data.annotations import Annotations, Choice, Problem
from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.data.class_names import read_class_names, with_class_names
from torch_retinanet.data.formats.content import BEGINNING, is_csv
from torch_retinanet.data.formats.format import Format, Request
from torch_retinanet.data.formats.json_kind import JsonKind, json_kind
from torch_retinanet.data.formats.known import COCO, CSV, FORMATS, KNOWN, VOC
from torch_retinanet.data.formats.other_files import refuse_other_file, refuse_other_files
from torch_retinanet.data.formats.search import LOOKS, DataSet, SplitPart, find_data_sets, worth_a_look
from torch_retinanet.data.joining import in_none, join, union_of_classes, with_classes
from torch_retinanet.data.picture_folder import is_there
from torch_retinanet.data.tree import DEPTH, MOST, Tree
from torch_retinanet.errors import InputError
from torch_retinanet.git_lfs import POINTER

JSON = ".json", ".jsonl", ".ndjson", ".manifest", ".odgt"
"""How names of files end that may be another program's JSON."""

MARKS = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"
"""Bytes that may stand before a text."""


def read_annotations(
    path: str | Path,
    *,
    split: str | None = None,
    images: str | Path | None = None,
    classes: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    boxes: BoxLayout | None = None,
    labelled_only: bool = False,
) -> Annotations:
    """The annotations of a file or folder in any of the formats: COCO, CSV, Pascal VOC, KITTI, YOLO.

    What is wrong with single entries is in its `problems`, and the others are read. Boxes are as the files have them:
    `screen` takes out what no training can use.

    Args:
        path: the file, or the folder.
        split: one of `list_splits`; by default all that there is.
        images: the folder of the pictures, where it does not follow from `path`.
        classes: a file with the names of the classes, as `read_class_names` reads it.
        class_names: those of a model, whose labels are then given; boxes of other classes are left out and counted.
        boxes: what the four numbers of a box mean, where they are not what the format says.
        labelled_only: whether pictures of a YOLO data set without a label file are left out. By default they are taken
            as pictures without objects, and counted in `problems`.

    Raises:
        InputError: where no format fits, or several do; for an unknown split; for a file that cannot be read at all;
            for `boxes` with a format that has no four numbers.
        FileNotFoundError: where there is no file or folder.
    """
    path = Path(path)
    images, classes = (None if given is None else Path(given) for given in (images, classes))
    tree = Tree(path)
    data_sets, names = _data_sets(tree, classes), read_class_names(classes) if classes else None
    found = data_sets[0]
    if split is not None and split not in found.splits:
        if not found.splits:
            raise InputError(f"split: {split!r} must not be given, since {path} has no splits")
        raise InputError(f"split: {split!r} must be one of {', '.join(found.splits)} in {path}")
    asked = Request(path, split, images, classes, names, boxes, labelled_only, path if path.is_dir() else None)
    annotations = _read(found, asked, one_list=class_names is None)
    if boxes is not None and annotations.layout != boxes:
        name = found.format.name
        raise InputError(f"boxes: {boxes!r} must not be given, since boxes of {name} can only be what it says")
    annotations = replace(annotations, layout_is_given=boxes is not None)
    if not annotations.pictures and not annotations.problems:
        raise InputError(f"{path}: must have a picture, and as {found.format.name} it has none")
    for wanted in (names, class_names):
        annotations = annotations if wanted is None else with_class_names(annotations, wanted)
    problems = [*annotations.problems, *_unlisted(annotations.unlisted, path), *_cut_off(tree)]
    problems += _pointers(tree, {problem.file for problem in problems})
    return replace(annotations, choice=_choice(data_sets, path), problems=problems)


def list_splits(path: str | Path) -> list[str]:
    """The names of the splits that a folder has, if any.

    Raises:
        InputError: where no format fits.
        FileNotFoundError: where there is no file or folder.
    """
    return _data_sets(Tree(Path(path)), None)[0].splits


def _read(found: DataSet, asked: Request, *, one_list: bool) -> Annotations:
    """The annotations of a split, or of all; with `one_list` in labels of the classes of all splits together."""
    read = {
        part: _of_part(found.format, asked._replace(path=part.path, split=split))
        for part, split in _chosen(found, asked)
    }
    annotations = join(list(read.values())) if len(read) > 1 else next(iter(read.values()))
    if not one_list or len(read) == len(found.parts):
        return annotations
    problems = list(annotations.problems)
    in_order = [read.get(part) or _of_another_split(found.format, part, asked, problems) for part in found.parts]
    known = [part for part in in_order if part is not None]
    unlisted = in_none(annotations.unlisted, known)
    return replace(with_classes(annotations, union_of_classes(known)), problems=problems, unlisted=unlisted)


def _of_part(known: Format, asked: Request) -> Annotations:
    """The annotations of a file; where no picture of it is found, those under the whole folder that was asked for are
    tried by their names."""
    annotations = known.read(asked)
    if known.find is not None or asked.images is not None or asked.root is None or _has_a_picture(annotations):
        return annotations
    again = known.read(asked._replace(images=asked.root))
    return again if _has_a_picture(again) else annotations


def _has_a_picture(annotations: Annotations) -> bool:
    return any(is_there(picture) for picture in annotations.pictures)


def _of_another_split(known: Format, part: SplitPart, asked: Request, problems: list[Problem]) -> Annotations | None:
    """The annotations of a split that was not asked for, whose classes count; one that cannot be read is noted."""
    try:
        return known.read(asked._replace(path=part.path, split=None))
    except InputError as error:
        what, then = str(error).removeprefix(f"{part.path}: "), "the classes of this split are not known"
        problems.append(Problem(part.path, "", what, then, data_loss=False))
        return None


def _chosen(found: DataSet, asked: Request) -> list[tuple[SplitPart, str | None]]:
    """What is to be read, each with the split that its reader is asked for."""
    if asked.split is None:
        return [(part, None) for part in found.parts]
    if found.own_splits:
        return [(found.parts[0], asked.split)]
    return [(part, None) for part in found.parts if part.split == asked.split]


def _choice(data_sets: Sequence[DataSet], path: Path) -> Choice:
    taken, *others = (_words(found, path) for found in data_sets)
    return Choice(taken, data_sets[0].splits, others)


def _words(found: DataSet, root: Path) -> str:
    """What messages call a data set, with the first of its files or folders."""
    first = found.parts[0].path
    place = first.relative_to(root) if first != root and root.is_dir() else Path(root.name)
    more = f" and {len(found.parts) - 1} more" if len(found.parts) > 1 else ""
    return f"{found.format.name} in {place}{more}"


def _unlisted(pictures: Sequence[Path], path: Path) -> list[Problem]:
    """One note on all pictures that no annotation names."""
    if not pictures:
        return []
    what = f"pictures that no annotation names: {len(pictures)}, as {pictures[0].name!r}"
    return [Problem(path, "", what, "they are left out", data_loss=False)]


def _pointers(tree: Tree, known: Collection[Path]) -> list[Problem]:
    """A loss for each file of annotations that Git LFS has not fetched, and that no reader has named."""
    what, then = f"is {POINTER}", "what it holds is not read"
    return [Problem(file, "", what, then, data_loss=True) for file in tree.pointers if file not in known]


def _cut_off(tree: Tree) -> list[Problem]:
    """A problem where a folder was looked through in part."""
    then = "what lies beyond is not read; give the folder of the annotations as DATA"
    return [Problem(tree.root, "", what, then, data_loss=False, assumption=True) for what in _limits(tree)]


def _limits(tree: Tree) -> list[str]:
    """What kept the look from seeing all of a folder."""
    limits = []
    if not tree.whole:
        limits.append(f"folder that was looked through in part: {MOST:,} files and folders at most, and {DEPTH} levels")
    if tree.missed:
        limits.append(f"files that were not looked into: {tree.missed:,}, after {LOOKS:,} looks at others")
    return limits


def _data_sets(tree: Tree, classes: Path | None) -> list[DataSet]:
    """The data sets in a folder, the likeliest first, or the one that a file is."""
    path = tree.root
    if path.is_file():
        return [DataSet(_format_of_file(path), [SplitPart(path, "")])]
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: there is no such file or folder")
    if found := find_data_sets(tree, FORMATS, classes):
        return found
    others, _ = worth_a_look((file for file in tree.files() if file.suffix.lower() in JSON), LOOKS)
    for file in others:
        _refuse_unread(file, json_kind(file))
    for known in FORMATS:
        if known.is_folder(path):
            return [DataSet(known, [SplitPart(path, "")])]
        files = [file for file in tree.folders[path] if file.suffix.lower() in known.suffixes and file != classes]
        if files and known.find is None:
            return [DataSet(_format_of_file(files[0]), [SplitPart(files[0], "")])]
    refuse_other_files(tree.files())
    raise InputError(f"{path}: must hold annotations, as {KNOWN}; {_seen(tree)}")


def _seen(tree: Tree) -> str:
    """How far a folder was looked through."""
    count = sum(map(len, tree.folders.values()))
    rest = f" ({'; '.join(_limits(tree))}); give the folder of the annotations as DATA" if _limits(tree) else ""
    folders = f" in {len(tree.folders):,} folders" if len(tree.folders) > 1 else ""
    return f"none of its {count:,} files{folders} is one{rest}" if count else "it has no files"


def _format_of_file(path: Path) -> Format:
    """The format that a file fits; where it fits none, that whose reader says what is wrong with it."""
    with path.open("rb") as file:
        beginning = file.read(BEGINNING).lstrip(MARKS)
    marked = {b"{": ".json", b"[": ".json", b"<": ".xml"}.get(beginning[:1], "")
    suffixes = dict.fromkeys((path.suffix.lower(), marked))
    knowing = [known for suffix in suffixes for known in FORMATS if suffix in known.suffixes]
    if fitting := next((known for known in knowing if known.fits(path)), None):
        return fitting
    kind = json_kind(path)
    _refuse_unread(path, kind)
    refuse_other_file(path)
    if is_csv(path) or (not knowing and b"," in beginning.partition(b"\n")[0]):
        return CSV
    if not knowing or (marked == ".json" and kind is None):
        raise InputError(f"{path}: must be annotations, as {KNOWN}")
    return {".json": COCO, ".csv": CSV, ".xml": VOC}.get(marked or path.suffix.lower(), knowing[0])


def _refuse_unread(file: Path, kind: JsonKind | None) -> None:
    if kind and not kind.has_reader:
        raise InputError(f"{file}: is {kind.value}, which is not read; export it as COCO's JSON")
