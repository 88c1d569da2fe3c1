"""The formats that are known: how each is told, and what reads it."""

from collections.abc import Callable
from pathlib import Path

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.data.formats.coco import read_coco
from torch_retinanet.data.formats.coco_headings import as_classes
from torch_retinanet.data.formats.content import is_coco, is_csv, is_voc
from torch_retinanet.data.formats.createml import is_createml, read_createml
from torch_retinanet.data.formats.csv_file import csv_splits, read_csv
from torch_retinanet.data.formats.cvat import is_cvat, read_cvat
from torch_retinanet.data.formats.dota import find_dota, read_dota
from torch_retinanet.data.formats.format import Format
from torch_retinanet.data.formats.json_kind import JsonKind
from torch_retinanet.data.formats.kitti import find_kitti, read_kitti
from torch_retinanet.data.formats.label_studio import is_label_studio, read_label_studio
from torch_retinanet.data.formats.label_studio_csv import is_label_studio_csv, read_label_studio_csv
from torch_retinanet.data.formats.labelme import is_labelme, is_labelme_folder, read_labelme
from torch_retinanet.data.formats.mot import find_mot, is_mot, read_mot
from torch_retinanet.data.formats.open_images import is_open_images, read_open_images
from torch_retinanet.data.formats.via import is_via, read_via
from torch_retinanet.data.formats.via_csv import is_via_csv, read_via_csv
from torch_retinanet.data.formats.visdrone import find_visdrone, read_visdrone
from torch_retinanet.data.formats.voc import find_voc, read_voc, voc_splits
from torch_retinanet.data.formats.wider_face import find_wider_face, is_wider_face, read_wider_face
from torch_retinanet.data.formats.yolo import read_yolo
from torch_retinanet.data.formats.yolo_layout import Layout, find_yolo
from torch_retinanet.data.formats.yolo_settings import SETTINGS, is_settings

KNOWN = (
    "COCO's JSON, CSV, Pascal VOC's XML, text files of YOLO, KITTI, DOTA, VisDrone, MOT or WIDER FACE, "
    "or an export of labelme, CreateML, CVAT, Label Studio, VGG Image Annotator or Open Images"
)


def _with_layouts(name: str, suffix: str, read: Callable[..., Annotations], fits: Callable[[Path], bool]) -> Format:
    """A format with all annotations of a split in one file, whose boxes may have another layout than its own."""
    return _format_of_one_file(name, suffix, read, fits)._replace(
        read=lambda asked: read(asked.path, images=asked.images, boxes=asked.boxes)
    )


def _format_of_one_file(
    name: str, suffix: str, read: Callable[..., Annotations], fits: Callable[[Path], bool]
) -> Format:
    """A format that has all annotations of a split in one file."""
    return Format(
        name,
        (suffix,),
        lambda path: False,
        lambda path: [],
        lambda asked: read(asked.path, images=asked.images),
        fits,
    )


def _read_coco(path: Path, *, images: Path | None, boxes: BoxLayout | None) -> Annotations:
    return as_classes(read_coco(path, images=images, boxes=boxes or "xywh"), path)


COCO = _with_layouts("COCO", ".json", _read_coco, is_coco)
LABELME = Format(
    "labelme",
    (".json",),
    is_labelme_folder,
    lambda path: [],
    lambda asked: read_labelme(asked.path, images=asked.images),
    is_labelme,
    kind=JsonKind.LABELME,
)
CREATEML = _format_of_one_file("CreateML", ".json", read_createml, is_createml)._replace(kind=JsonKind.CREATEML)
VIA = _format_of_one_file("VGG Image Annotator", ".json", read_via, is_via)._replace(kind=JsonKind.VIA)
VIA_CSV = _format_of_one_file("VGG Image Annotator's CSV", ".csv", read_via_csv, is_via_csv)
LABEL_STUDIO = _format_of_one_file("Label Studio", ".json", read_label_studio, is_label_studio)._replace(
    kind=JsonKind.LABEL_STUDIO
)
LABEL_STUDIO_CSV = _format_of_one_file("Label Studio's CSV", ".csv", read_label_studio_csv, is_label_studio_csv)
OPEN_IMAGES = _format_of_one_file("Open Images", ".csv", read_open_images, is_open_images)
CVAT = _format_of_one_file("CVAT", ".xml", read_cvat, is_cvat)
CSV = _with_layouts("CSV", ".csv", read_csv, is_csv)._replace(
    splits=lambda path: csv_splits(path) if path.is_file() else [],
    read=lambda asked: read_csv(asked.path, images=asked.images, boxes=asked.boxes, split=asked.split),
)
VOC = Format(
    "Pascal VOC",
    (".xml",),
    lambda path: any((path / "Annotations").glob("*.xml")),
    lambda path: voc_splits(path) if path.is_dir() else [],
    lambda asked: read_voc(
        asked.path, split=asked.split, images=asked.images, boxes=asked.boxes or "xyxy", root=asked.root
    ),
    is_voc,
    find_voc,
)
KITTI = Format(
    "KITTI",
    (),
    lambda path: any((path / "label_2").glob("*.txt")),
    lambda path: [],
    lambda asked: read_kitti(asked.path, images=asked.images, boxes=asked.boxes or "xyxy"),
    find=find_kitti,
)
DOTA = Format(
    "DOTA",
    (),
    lambda path: False,
    lambda path: [],
    lambda asked: read_dota(asked.path, images=asked.images),
    find=find_dota,
)
VISDRONE = Format(
    "VisDrone",
    (),
    lambda path: False,
    lambda path: [],
    lambda asked: read_visdrone(asked.path, images=asked.images, boxes=asked.boxes or "xywh"),
    find=find_visdrone,
)
MOT = _format_of_one_file("MOT", ".txt", read_mot, is_mot)._replace(find=find_mot)
WIDER_FACE = _format_of_one_file("WIDER FACE", ".txt", read_wider_face, is_wider_face)._replace(find=find_wider_face)
YOLO = Format(
    "YOLO",
    SETTINGS,
    lambda path: any((path / "labels").rglob("*.txt")),
    lambda path: list(Layout(path).splits),
    lambda asked: read_yolo(
        asked.path,
        split=asked.split,
        images=asked.images,
        names=asked.names,
        boxes=asked.boxes or "cxcywh-relative",
        labelled_only=asked.labelled_only,
    ),
    is_settings,
    find_yolo,
)
FORMATS = (
    *(COCO, LABELME, CREATEML, VIA, LABEL_STUDIO, VIA_CSV, LABEL_STUDIO_CSV, OPEN_IMAGES, CSV),
    *(CVAT, VOC, KITTI, DOTA, VISDRONE, MOT, WIDER_FACE, YOLO),
)
"""Of a suffix the first that fits a file is its format."""
