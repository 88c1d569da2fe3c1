"""Annotations of any format that is known, told apart by looking: by suffixes, folders, and how a file begins."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.class_names import YAML, read_class_names, with_class_names
from torch_retinanet.data.formats.coco import read_coco
from torch_retinanet.data.formats.createml import is_createml, read_createml
from torch_retinanet.data.formats.csv_file import read_csv
from torch_retinanet.data.formats.cvat import is_cvat, read_cvat
from torch_retinanet.data.formats.format import Format, Request
from torch_retinanet.data.formats.json_kind import JsonKind, is_of_kind, json_kind
from torch_retinanet.data.formats.kitti import kitti_root, read_kitti
from torch_retinanet.data.formats.label_studio import is_label_studio, read_label_studio
from torch_retinanet.data.formats.labelme import is_labelme, is_labelme_folder, read_labelme
from torch_retinanet.data.formats.open_images import is_open_images, read_open_images
from torch_retinanet.data.formats.via import is_via, read_via
from torch_retinanet.data.formats.via_csv import is_via_csv, read_via_csv
from torch_retinanet.data.formats.voc import read_voc, voc_splits
from torch_retinanet.data.formats.yolo import read_yolo
from torch_retinanet.data.formats.yolo_layout import Layout, is_yolo
from torch_retinanet.errors import InputError

KNOWN = (
    "COCO's JSON, CSV, Pascal VOC's XML, a KITTI folder with label_2, a YOLO folder with images and labels, "
    "or an export of labelme, CreateML, CVAT, Label Studio, VGG Image Annotator or Open Images"
)

BEGINNING = 4096
"""Bytes of a file by which it is told what it is."""

MARKS = {b"{": ".json", b"[": ".json", b"<": ".xml"}
"""How a file begins that is taken for one of a suffix, whatever its own."""


def read_annotations(
    path: str | Path,
    *,
    split: str | None = None,
    images: str | Path | None = None,
    classes: str | Path | None = None,
    class_names: Sequence[str] | None = None,
) -> Annotations:
    """The annotations of a file or folder in any of the formats that `FORMATS` lists.

    What is wrong with single entries is in its `problems`, and the others are read. Boxes are as the files have them:
    `screen` takes out what no training can use.

    Args:
        path: the file, or the folder.
        split: one of `list_splits`; by default all that there is.
        images: the folder of the pictures, where it does not follow from `path`.
        classes: a file with the names of the classes, as `read_class_names` reads it.
        class_names: those of a model, whose labels are then given; boxes of other classes are left out and counted.

    Raises:
        InputError: where no format fits, or several do; for an unknown split; for a file that cannot be read at all.
        FileNotFoundError: where there is no file or folder.
    """
    path = Path(path)
    images, classes = (None if given is None else Path(given) for given in (images, classes))
    found, names = _format(path, classes), read_class_names(classes) if classes else None
    if split is not None and split not in found.splits(path):
        if not (splits := found.splits(path)):
            raise InputError(f"split: {split!r} must not be given, since {path} has no splits")
        raise InputError(f"split: {split!r} must be one of {', '.join(splits)} in {path}")
    annotations = found.read(Request(path, split, images, classes, names))
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
    fitting = fitting or _formats_of_files(path, classes)
    if not fitting:
        raise InputError(f"{path}: must hold annotations, as {KNOWN}")
    if len(fitting) > 1:
        names = " and ".join(known.name for known in fitting)
        raise InputError(f"{path}: holds files of {names}, and one of them must be named")
    return fitting[0]


def _formats_of_files(folder: Path, classes: Path | None) -> list[Format]:
    """The formats that files of a folder have, without those that only their suffix tells."""
    files = [file for known in FORMATS for file in _files(folder, known.suffixes, classes)]
    found = [_fitting(file, file.suffix.lower()) for file in dict.fromkeys(files)]
    return [known for known in FORMATS if known in found]


def _format_of_file(path: Path) -> Format:
    with path.open("rb") as file:
        beginning = file.read(BEGINNING).lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")
    marked = MARKS.get(beginning[:1], "")
    fields = ".csv" if b"," in beginning.partition(b"\n")[0] else ""
    for suffix in (marked, path.suffix.lower(), fields):
        if found := _fitting(path, suffix):
            return found
        if suffix == ".json" and (kind := json_kind(path)):
            raise InputError(f"{path}: is {kind.value}, which is not read; export it as COCO's JSON")
    raise InputError(f"{path}: must be annotations, as {KNOWN}")


def _fitting(path: Path, suffix: str) -> Format | None:
    return next((known for known in FORMATS if suffix in known.suffixes and known.fits(path)), None)


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


def _format_of_one_file(name: str, suffix: str, read: Callable[..., Annotations]) -> Format:
    """A format that has all annotations of a split in one file."""
    return Format(
        name,
        (suffix,),
        lambda path: _has_annotations(path, suffix),
        lambda path: list(_split_files(_folder_of(path, suffix), suffix)) if path.is_dir() else [],
        lambda asked: read(_one_file(asked, suffix), images=asked.images),
    )


COCO = _format_of_one_file("COCO", ".json", read_coco)._replace(fits=partial(is_of_kind, kind=JsonKind.COCO))
LABELME = Format(
    "labelme",
    (".json",),
    is_labelme_folder,
    lambda path: [],
    lambda asked: read_labelme(asked.path, images=asked.images),
    is_labelme,
)
CREATEML = _format_of_one_file("CreateML", ".json", read_createml)._replace(fits=is_createml)
VIA = _format_of_one_file("VGG Image Annotator", ".json", read_via)._replace(fits=is_via)
VIA_CSV = _format_of_one_file("VGG Image Annotator's CSV", ".csv", read_via_csv)._replace(fits=is_via_csv)
LABEL_STUDIO = _format_of_one_file("Label Studio", ".json", read_label_studio)._replace(fits=is_label_studio)
OPEN_IMAGES = _format_of_one_file("Open Images", ".csv", read_open_images)._replace(fits=is_open_images)
CVAT = _format_of_one_file("CVAT", ".xml", read_cvat)._replace(fits=is_cvat)
CSV = _format_of_one_file("CSV", ".csv", read_csv)
VOC = Format(
    "Pascal VOC",
    (".xml",),
    lambda path: any((path / "Annotations").glob("*.xml")),
    lambda path: voc_splits(path) if path.is_dir() else [],
    lambda asked: read_voc(asked.path, split=asked.split, images=asked.images),
)
KITTI = Format(
    "KITTI",
    (),
    lambda path: kitti_root(path) is not None,
    lambda path: [],
    lambda asked: read_kitti(asked.path, images=asked.images),
)
YOLO = Format(
    "YOLO",
    YAML,
    is_yolo,
    lambda path: list(Layout(path).splits),
    lambda asked: read_yolo(asked.path, split=asked.split, images=asked.images, names=asked.names),
)
FORMATS = COCO, LABELME, CREATEML, VIA, LABEL_STUDIO, VIA_CSV, OPEN_IMAGES, CSV, CVAT, VOC, KITTI, YOLO
"""Of a suffix the first that fits a file is its format: what only the suffix tells stands behind."""
