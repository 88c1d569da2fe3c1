"""Which program wrote a JSON, told by the first names in it: a large file is not decoded for that."""

import json
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

BEGINNING = 1 << 16
"""Bytes at the beginning of a file that are looked at."""


class JsonKind(Enum):
    """A kind of JSON with boxes, or one that people take for it; the value is what messages call it."""

    COCO = "COCO"
    LABELME = "labelme"
    CREATEML = "CreateML"
    VIA = "VGG Image Annotator"
    LABEL_STUDIO = "Label Studio"
    COCO_RESULTS = "detections in COCO's format of results"
    GEOJSON = "GeoJSON"
    SUPERVISELY = "Supervisely's JSON"
    SCALABEL = "the JSON of Scalabel and BDD100K"
    VOTT = "VoTT's JSON"
    LABELBOX = "Labelbox's JSON"
    DATUMARO = "Datumaro's JSON"
    DARWIN = "V7's Darwin JSON"
    SAGEMAKER = "a manifest of SageMaker Ground Truth"
    DETECTRON2 = "a list of pictures with their objects, as Detectron2 has it"
    VIA_3 = "a project of VGG Image Annotator 3"
    VERTEX = "Vertex AI's JSON lines"
    MMDETECTION = "MMDetection's JSON"
    FIFTYONE = "FiftyOne's JSON"
    CROWDHUMAN = "the JSON lines of CrowdHuman"
    METADATA = "metadata in JSON lines"

    @property
    def has_reader(self) -> bool:
        """Whether annotations of this kind are read."""
        return self in (self.COCO, self.LABELME, self.CREATEML, self.VIA, self.LABEL_STUDIO)


NAMES = {
    JsonKind.COCO: {"{": "images annotations", "{[{": "iscrowd file_name"},
    JsonKind.LABELME: {
        "{": "shapes imagePath imageData imageHeight imageWidth lineColor fillColor",
        "{[{": "shape_type",
    },
    JsonKind.CREATEML: {"[{": "imagefilename", "[{[{": "coordinates", "[{[{{": "x y width height"},
    JsonKind.VIA: {"{": "_via_settings _via_img_metadata _via_attributes", "{{": "regions file_attributes"},
    JsonKind.LABEL_STUDIO: {
        "[{": "data predictions completions drafts file_upload annotation_id annotator lead_time",
        "[{[{": "completed_by result original_width original_height rectanglelabels",
    },
    JsonKind.COCO_RESULTS: {"[{": "image_id category_id bbox"},
    JsonKind.GEOJSON: {"{": "features crs"},
    JsonKind.SUPERVISELY: {"{": "objects", "{[{": "classTitle classId"},
    JsonKind.SCALABEL: {"[{": "labels videoName", "{": "frames"},
    JsonKind.VOTT: {"{": "asset assets"},
    JsonKind.LABELBOX: {"{": "data_row", "[{": "data_row DataRow"},
    JsonKind.DATUMARO: {"{": "items", "{{": "label"},
    JsonKind.DARWIN: {"{": "item"},
    JsonKind.SAGEMAKER: {"{": "source-ref"},
    JsonKind.DETECTRON2: {"[{": "file_name"},
    JsonKind.VIA_3: {"{{": "pid"},
    JsonKind.VERTEX: {"{": "imageGcsUri"},
    JsonKind.MMDETECTION: {"{": "data_list metainfo", "[{": "ann"},
    JsonKind.FIFTYONE: {"{[{": "filepath", "{{[{": "bounding_box"},
    JsonKind.CROWDHUMAN: {"{": "gtboxes"},
    JsonKind.METADATA: {"{": "file_name"},
}
"""Names that tell a kind, by the brackets in which they stand."""

TELLING = {
    (brackets, name): kind
    for kind, places in NAMES.items()
    for brackets, names in places.items()
    for name in names.split()
}

TOKEN = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"\s*(:?)|[{}\[\]"]', re.DOTALL)


def json_kind(path: Path) -> JsonKind | None:
    """The kind of a JSON; `None` for one that is not known, and for what is no JSON.

    Raises:
        OSError: for a file that cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(BEGINNING)
    seen = set()
    for place in _names(content.decode(json.detect_encoding(content), errors="replace").lstrip("\ufeff \t\r\n")):
        if place in TELLING:
            return TELLING[place]
        seen.add(place)
    if {("[{", "image"), ("[{", "annotations")} <= seen:
        return JsonKind.CREATEML
    return JsonKind.COCO if ("{", "categories") in seen else None  # so many classes that pictures come later


def is_of_kind(path: Path, kind: JsonKind) -> bool:
    """Whether a file is a JSON of a kind; not where it cannot be read."""
    return kind_or_none(path) is kind


def kind_or_none(path: Path) -> JsonKind | None:
    """As `json_kind`, and `None` for a file that cannot be read."""
    try:
        return json_kind(path)
    except OSError:
        return None


def _names(text: str) -> Iterator[tuple[str, str]]:
    """The names in a JSON that may be cut off, with the brackets in which each stands."""
    if not text.startswith(("{", "[")):
        return
    brackets: list[str] = []
    for token in TOKEN.finditer(text):
        first = token[0][0]
        if first == '"' and token[1] is None:
            return
        if first == '"' and token[2]:
            yield "".join(brackets), token[1]
        elif first in "{[":
            brackets.append(first)
        elif first in "}]" and brackets:
            brackets.pop()
