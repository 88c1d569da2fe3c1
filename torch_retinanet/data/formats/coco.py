"""COCO's JSON of objects (https://cocodataset.org/#format-data): images, annotations and categories by their ids.

Boxes are x, y, width, height from the upper left corner of the first pixel; an object without one has the box of its
`segmentation`. `iscrowd` marks regions that are ignored. Training and evaluation read a file by what is here.
"""

import math
from dataclasses import replace
from pathlib import Path

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.box_layouts import Box, BoxLayout, from_xyxy
from torch_retinanet.data.builder import NO_CLASS, AnnotationsBuilder
from torch_retinanet.data.coco_values import Ids
from torch_retinanet.data.formats.coco_entries import Entries, Image, Object
from torch_retinanet.data.picture_folder import Found, beside, find_folder


def read_coco(path: Path, *, images: Path | None = None, boxes: BoxLayout = "xywh") -> Annotations:
    """The objects of a COCO file; label k is the category with the k-th smallest id.

    Args:
        path: the JSON.
        images: the folder of the pictures; by default the JSON's own, `images` or one of its name beside it (`val2017`
            for `instances_val2017.json`), or one level up: that which has most of the pictures.
        boxes: what the four numbers of a box mean.

    Raises:
        InputError: for a file that is no JSON, or without the lists `images`, `annotations` and `categories`.
        OSError: for a file that cannot be read.
    """
    reader = _Reader(path, boxes)
    pictures = [(place, image) for place, image in reader.entries.images() if reader.has_name(place, image)]
    folder = find_folder([image.name or "" for _, image in pictures], beside(path), images)
    for place, image in pictures:
        reader.add_picture(place, image, folder.find(image.name or ""))
    annotations = reader.annotations()
    return replace(annotations, unlisted=folder.unlisted(annotations.pictures))


def read_coco_objects(path: Path) -> Annotations:
    """The objects of a COCO file, whose pictures are not looked for: a picture is the file itself.

    Raises:
        InputError, OSError: as `read_coco`.
    """
    reader = _Reader(path, "xywh")
    for place, image in reader.entries.images():
        reader.add_picture(place, image, Found(path))
    return reader.annotations()


class _Reader:
    """Takes the pictures of a file, then its objects."""

    def __init__(self, path: Path, layout: BoxLayout) -> None:
        self.path, self.layout, self.builder = path, layout, AnnotationsBuilder("annotations[{}]")
        self.entries = Entries(path, self.builder.problems)
        self.file_names: list[str | None] = []
        names = self._names()
        self.class_ids, self.pictures = sorted(names), Ids()
        self.classes = [names[one] for one in self.class_ids]
        self.labels: dict[int | None, int] = {one: label for label, one in enumerate(self.class_ids)}

    def has_name(self, place: int, image: Image) -> bool:
        """Whether a picture has a name; the loss of one without is noted."""
        if image.name is None:
            self.entries.lose("images", place, "malformed: no file_name")
        return image.name is not None

    def add_picture(self, place: int, image: Image, found: Found) -> None:
        """Take a picture; of two with one id neither is used, since nobody knows whose the boxes are."""
        if image.id in self.pictures.exact:
            self._add_again(place, image)
            return
        self.file_names.append(image.name)
        size, where = (image.height or 0, image.width or 0), f"images[{place}]"
        self.builder.add_picture(found, self.path, place=where, size=size, picture_id=image.id)
        self.pictures.add(image.id)

    def _add_again(self, place: int, image: Image) -> None:
        first = self.pictures.exact[image.id]
        if image.name is not None and image.name == self.file_names[first]:
            self._note(f"images[{place}]", f"picture listed twice: {image.name!r}", "it is one picture")
        else:
            what, then = f"id twice: {image.id!r}", "both pictures are left out, with the boxes of the id"
            self.builder.problems.append(Problem(self.path, f"images[{place}]", what, then, data_loss=True))
            self.builder.refuse(first, f"id of two pictures: {image.id!r}")

    def annotations(self) -> Annotations:
        """All pictures with their objects."""
        self._add_objects()
        return self.builder.annotations(self.classes, class_ids=self.class_ids, layout=self.layout)

    def _names(self) -> dict[int, str]:
        """The names of the classes by their ids; an id of two names is none, as nobody knows which one is meant."""
        names, twice = dict[int, str](), set[int]()
        for place, category in self.entries.categories():
            if names.setdefault(category.id, category.name) != category.name:
                self.entries.lose("categories", place, f"id twice: {category.id}")
                twice.add(category.id)
        return {number: name for number, name in names.items() if number not in twice}

    def _add_objects(self) -> None:
        pictures, labels, add, outlined = self.pictures, self.labels, self.builder.add_box, 0
        for place, one in self.entries.annotations():
            picture, label, box = pictures.exact.get(one.image_id), labels.get(one.category_id), one.bbox
            if picture is None and (picture := pictures.find(one.image_id)) is None:
                self.entries.lose("annotations", place, f"unknown picture: image_id {one.image_id!r}")
                continue
            if box is None or not (box[2] > 0 and box[3] > 0):
                around = self.entries.outline(place)
                outlined += around is not None
                box = box if around is None else from_xyxy(around, self.layout)
            if label is None and one.category_id is None and one.iscrowd:
                label = NO_CLASS  # as `write_coco` has it: what lies there may be of any class
            if label is None or box is None:
                self._lose(one, picture, place, box)
            else:
                area = math.nan if one.area is None else one.area
                add(picture, box, label, place, ignored=bool(one.iscrowd), area=area)
        if outlined:
            self._note("", f"objects without a box: {outlined}", "they have the box of their segmentation")

    def _lose(self, one: Object, picture: int, place: int, box: Box | None) -> None:
        if box is not None:
            self.builder.lose_object(picture, place, f"unknown class: category_id {one.category_id}", box)
        elif one.area == 0:
            self._note(f"annotations[{place}]", "no box, and an area of 0", "it is no object")
        else:
            self.builder.lose_object(picture, place, "no box of four numbers, and no segmentation")

    def _note(self, location: str, what: str, then: str) -> None:
        self.builder.problems.append(Problem(self.path, location, what, then, data_loss=False))
