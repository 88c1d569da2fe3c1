"""What readers gather picture by picture and box by box, put into flat arrays in the end."""

import math
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.box_layouts import Box, BoxLayout, is_relative, to_xyxy
from torch_retinanet.data.picture_folder import Found
from torch_retinanet.data.places import PlaceFormat

LARGEST_SIDE = 2**31 - 1
"""Pixels beyond which the side of a picture is no side."""

NO_CLASS = -1
"""The label of what is ignored and of no class."""

ONLY_CLASS = "object"
"""The class of all objects of a file that names none."""

NOWHERE = (math.nan,) * 4
"""The box of an object whose place is not known."""

REGION_IS_IGNORED, PICTURE_IS_LEFT_OUT = "its region is ignored", "its picture is left out"
"""What becomes of an object that cannot be trained on: it must not be taken for background."""

LONGEST_NUMBER = 18
"""Digits up to which the name of a class is sorted as a number."""


class AnnotationsBuilder:
    """The pictures and boxes of a data set as they are read.

    Args:
        place_format: how a place is written, as `line {}`, or `NestedPlaces` of two numbers.
    """

    def __init__(self, place_format: PlaceFormat) -> None:
        self.place_format = place_format
        self.problems: list[Problem] = []
        self._pictures: list[Path] = []
        self._files: list[Path] = []
        self._places_of_pictures: list[str] = []
        self._ids: list[int | str] = []
        self._refused: dict[int, str] = {}
        self._sizes, self._owners, self._places, self._labels = array("q"), array("q"), array("q"), array("q")
        self._boxes, self._areas, self._ignored = array("d"), array("d"), bytearray()
        self._names: dict[str, int] = {}

    def add_picture(
        self,
        found: Found,
        file: Path,
        *,
        place: str = "",
        size: tuple[float, float] = (0, 0),
        picture_id: int | str | None = None,
    ) -> int:
        """Take a picture, and give the index by which its boxes know it.

        One that must not be followed is left out in the end with its boxes, which are counted in its problem.
        """
        index = len(self._pictures)
        if found.path is None:
            self._refused[index] = found.what
        elif found.what:
            self.problems.append(Problem(file, place, found.what, "the picture in the folder is used", data_loss=False))
        self._pictures.append(found.path or file)
        self._files.append(file)
        self._places_of_pictures.append(place)
        self._sizes.extend(map(int, size) if all(0 <= side <= LARGEST_SIDE for side in size) else (0, 0))
        if picture_id is not None:
            self._ids.append(picture_id)
        return index

    def refuse(self, picture: int, what: str) -> None:
        """Leave a picture out in the end, with its boxes, which are counted in its problem."""
        self._refused[picture] = what

    def add_box(
        self,
        picture: int,
        box: Box,
        label: int,
        place: int,
        *,
        ignored: bool = False,
        area: float = math.nan,
    ) -> None:
        """Take a box in the layout of `annotations`, and the area of the object where that is said."""
        self._owners.append(picture)
        self._boxes.extend(box)
        self._labels.append(label)
        self._places.append(place)
        self._ignored.append(ignored)
        self._areas.append(area)

    def label(self, name: str) -> int:
        """The label of a class, for formats that name it at each box."""
        return self._names.setdefault(name, len(self._names))

    def lose_object(self, picture: int, place: int, what: str, region: Box | None = None) -> None:
        """Note an object that cannot be trained on: the region that it is known to be in is ignored, else its picture
        left out."""
        known = region is not None and all(map(math.isfinite, region))
        self.add_box(picture, region if region and known else NOWHERE, NO_CLASS, place, ignored=True)
        self.lose(self._files[picture], place, what, REGION_IS_IGNORED if known else PICTURE_IS_LEFT_OUT)

    def lose_mark(self, picture: int, place: int, what: str) -> None:
        """Note that something at a place of a picture, which is no object, is lost."""
        self.lose(self._files[picture], place, what, "it is left out")

    def lose(self, file: Path, place: int | None, what: str, then: str) -> None:
        """Note that something at a place, or a whole file, is lost."""
        self.problems.append(
            Problem(file, "" if place is None else self.place_format.format(place), what, then, data_loss=True)
        )

    def annotations(
        self, classes: Sequence[str] | None = None, *, class_ids: Sequence[int] = (), layout: BoxLayout = "xyxy"
    ) -> Annotations:
        """All that was taken.

        Args:
            classes: the names of the labels; by default those of `label`, numbers by value, then others by letters.
            class_ids: of the classes, in COCO.
            layout: of the boxes that were taken.
        """
        order = np.argsort(self._owners, kind="stable")
        labels = np.array(self._labels, dtype=np.int64)[order]
        if classes is None:
            classes = sorted(self._names, key=rank_of_name)
            new = {self._names[name]: label for label, name in enumerate(classes)}
            labels = np.array([*(new[old] for old in range(len(new))), NO_CLASS], dtype=np.int64)[labels]
        counts = np.bincount(np.array(self._owners, dtype=np.int64), minlength=len(self._pictures))
        gathered = Annotations(
            pictures=self._pictures,
            classes=list(classes),
            boxes=to_xyxy(np.array(self._boxes, dtype=np.float64).reshape(-1, 4)[order], layout),
            labels=labels,
            ignored=np.array(self._ignored, dtype=bool)[order],
            areas=np.array(self._areas, dtype=np.float64)[order],
            offsets=np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
            sizes=np.array(self._sizes, dtype=np.int64).reshape(-1, 2),
            places=np.array(self._places, dtype=np.int64)[order],
            files=self._files,
            place_format=self.place_format,
            as_stored=np.zeros(len(self._pictures), dtype=bool),
            problems=self.problems,
            class_ids=class_ids,
            picture_ids=self._ids,
            layout=layout,
            relative=is_relative(layout),
        )
        return self._without_refused(gathered, counts.tolist())

    def _without_refused(self, annotations: Annotations, counts: Sequence[int]) -> Annotations:
        for index, what in self._refused.items():
            place, what = self._places_of_pictures[index], f"{what}, boxes lost with it: {counts[index]}"
            self.problems.append(
                Problem(self._files[index], place, what, "picture and boxes are left out", data_loss=True)
            )
        kept = np.ones(len(self._pictures), dtype=bool)
        kept[list(self._refused)] = False
        return annotations.select(pictures=kept) if self._refused else annotations


def rank_of_name(name: str) -> tuple[int, int, str]:
    """What names of classes are sorted by: numbers by value, then others by letters."""
    number = int(name) if name.isascii() and name.isdecimal() and len(name) < LONGEST_NUMBER else None
    return (1, 0, name) if number is None else (0, number, name)
