"""Annotations of any format that is known, told apart by looking: by suffixes, folders, and how a file begins."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.data.class_names import YAML, read_class_names, with_class_names
from torch_retinanet.data.formats.coco import read_coco
from torch_retinanet.data.formats.csv_file import read_csv
from torch_retinanet.data.formats.format import Format, Request
from torch_retinanet.data.formats.kitti import kitti_root, read_kitti
from torch_retinanet.data.formats.voc import read_voc, voc_splits
from torch_retinanet.data.formats.yolo import read_yolo
from torch_retinanet.data.formats.yolo_layout import Layout, is_yolo
from torch_retinanet.errors import InputError

KNOWN = "COCO's JSON, CSV, Pascal VOC's XML, a KITTI folder with label_2, or a YOLO folder with images and labels"

BEGINNING = 4096
"""Bytes of a file without a known suffix by which it is told what it is."""


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
    found, names = _format(path, classes), read_class_names(classes) if classes else None
    if split is not None and split not in found.splits(path):
        if not (splits := found.splits(path)):
            raise InputError(f"split: {split!r} must not be given, since {path} has no splits")
        raise InputError(f"split: {split!r} must be one of {', '.join(splits)} in {path}")
    annotations = found.read(Request(path, split, images, classes, names, boxes, labelled_only))
    if boxes is not None and annotations.layout != boxes:
        raise InputError(f"boxes: {boxes!r} must not be given, since boxes of {found.name} can only be what it says")
    annotations = replace(annotations, layout_is_given=boxes is not None)
    if not annotations.pictures and not annotations.problems:
        raise InputError(f"{path}: must have a picture, and as {found.name} it has none")
    for wanted in (names, class_names):
        annotations = annotations if wanted is None else with_class_names(annotations, wanted)
    return annotations


def list_splits(path: str | Path) -> list[str]:
    """The names of the splits that a folder has, if any.

    Raises:
        InputError: where no format fits, or several do.
        FileNotFoundError: where there is no file or folder.
    """
    return list(_format(Path(path), None).splits(Path(path)))


def _format(path: Path, classes: Path | None) -> Format:
    if path.is_file():
        return _format_of_file(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: there is no such file or folder")
    fitting = [known for known in FORMATS if known.is_folder(path)]
    fitting = fitting or [known for known in FORMATS if _files(path, known.suffixes, classes)]
    if not fitting:
        raise InputError(f"{path}: must hold annotations, as {KNOWN}")
    if len(fitting) > 1:
        names = " and ".join(known.name for known in fitting)
        raise InputError(f"{path}: holds files of {names}, and one of them must be named")
    return fitting[0]


def _format_of_file(path: Path) -> Format:
    for known in FORMATS:
        if path.suffix.lower() in known.suffixes and known.fits(path):
            return known
    with path.open("rb") as file:
        beginning = file.read(BEGINNING).lstrip()
    for known, mark in ((COCO, b"{"), (VOC, b"<")):
        if beginning.startswith(mark):
            return known
    if b"," in beginning.partition(b"\n")[0]:
        return CSV
    raise InputError(f"{path}: must be annotations, as {KNOWN}")


def _files(folder: Path, suffixes: Sequence[str], classes: Path | None = None) -> list[Path]:
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in suffixes and file.is_file())
    return [file for file in found if classes is None or not file.samefile(classes)]


def _split_files(folder: Path, suffix: str, classes: Path | None = None) -> dict[str, Path]:
    """The files of a folder by the names of their splits: `train` for `train.csv` and `instances_train2017.json`."""
    files = _files(folder, (suffix,), classes)
    files = [file for file in files if file.stem.startswith("instances_")] or files
    names = [file.stem.removeprefix("instances_") for file in files]
    short = [name.rstrip("0123456789") or name for name in names]
    times = Counter(short)
    return {brief if times[brief] == 1 else name: file for brief, name, file in zip(short, names, files, strict=True)}


def _one_file(asked: Request, suffix: str) -> Path:
    """The file to read: the path itself, or the one of its split in a folder."""
    if asked.path.is_file():
        return asked.path
    folder = _folder_of(asked.path, suffix)
    files = _split_files(folder, suffix, asked.classes)
    if asked.split is None and len(files) == 1:
        return next(iter(files.values()))
    if asked.split not in files:
        raise InputError(f"split: {asked.split!r} must be one of {', '.join(files)} in {folder}")
    return files[asked.split]


def _folder_of(path: Path, suffix: str) -> Path:
    return path / "annotations" if _has_annotations(path, suffix) else path


def _has_annotations(path: Path, suffix: str) -> bool:
    return any((path / "annotations").glob(f"*{suffix}"))


def _format_of_one_file(name: str, suffix: str, read: Callable[..., Annotations], layout: BoxLayout) -> Format:
    """A format that has all annotations of a split in one file."""
    return Format(
        name,
        (suffix,),
        lambda path: _has_annotations(path, suffix),
        lambda path: list(_split_files(_folder_of(path, suffix), suffix)) if path.is_dir() else [],
        lambda asked: read(_one_file(asked, suffix), images=asked.images, boxes=asked.boxes or layout),
    )


COCO = _format_of_one_file("COCO", ".json", read_coco, "xywh")
CSV = _format_of_one_file("CSV", ".csv", read_csv, "xyxy")
VOC = Format(
    "Pascal VOC",
    (".xml",),
    lambda path: any((path / "Annotations").glob("*.xml")),
    lambda path: voc_splits(path) if path.is_dir() else [],
    lambda asked: read_voc(asked.path, split=asked.split, images=asked.images, boxes=asked.boxes or "xyxy"),
)
KITTI = Format(
    "KITTI",
    (),
    lambda path: kitti_root(path) is not None,
    lambda path: [],
    lambda asked: read_kitti(asked.path, images=asked.images, boxes=asked.boxes or "xyxy"),
)
YOLO = Format(
    "YOLO",
    YAML,
    is_yolo,
    lambda path: list(Layout(path).splits),
    lambda asked: read_yolo(
        asked.path,
        split=asked.split,
        images=asked.images,
        names=asked.names,
        boxes=asked.boxes or "cxcywh-relative",
        labelled_only=asked.labelled_only,
    ),
)
FORMATS = COCO, CSV, VOC, KITTI, YOLO
