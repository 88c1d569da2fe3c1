"""What every reader of annotations gives: pictures and their boxes in a few flat arrays, and what was wrong with them.

A million boxes take some 60 MB. Readers say what they found; `screening` then takes out what no training can use.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from torch_retinanet.data.places import PlaceFormat
from torch_retinanet.tiles import Window

if TYPE_CHECKING:
    from torch_retinanet.data.box_layouts import BoxLayout

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
T = TypeVar("T")


class Problem(NamedTuple):
    """Something wrong in a data set, and what becomes of it.

    Attributes:
        file: the annotation file or picture.
        location: where in it, as `line 7` or `annotations[3]`; empty where the file as a whole is meant.
        finding: what was found: a few words that are the same for all of its kind, and its value after a colon.
        action: what training does about it.
        data_loss: whether an object or a picture is lost by it.
        assumption: whether training takes for granted what the files do not say. `strict` refuses both.
    """

    file: Path
    location: str
    finding: str
    action: str
    data_loss: bool
    assumption: bool = False

    @property
    def kind(self) -> str:
        """The words of the finding that are the same for all of its kind."""
        return self.finding.partition(":")[0]


class Choice(NamedTuple):
    """What was read of a folder.

    Attributes:
        taken: the format and the place of what was read.
        splits: the names of its splits.
        others: the formats and places of the data sets that are there too.
    """

    taken: str
    splits: Sequence[str]
    others: Sequence[str]


class Objects(NamedTuple):
    """The boxes (G,4) of one picture, their labels (G,), and which of them are ignored (G,)."""

    boxes: Floats
    labels: Ints
    ignored: Bools


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """Pictures with boxes: T boxes on P pictures, those of picture i from `offsets[i]` to `offsets[i + 1]`.

    Attributes:
        pictures: the P files.
        classes: the K names; label k is `classes[k]`.
        boxes: (T,4) xyxy in pixels, from the left and upper edge of the first pixel. NaN for an object whose place is
            not known: `screen` leaves its picture out, as the object would be taken for background.
        labels: (T,) from 0 to K - 1; -1 for what is ignored and of no class.
        ignored: (T,) whether a box marks what is neither an object nor background: crowds, `difficult`, `DontCare`.
        areas: (T,) of the objects in square pixels, as a COCO file says them; NaN where nothing does.
        offsets: (P + 1,).
        sizes: (P,2) height and width as the annotations say them, 0 where they do not; once screened, those in which
            the pictures are read.
        places: (T,) what each box is called in the file of its picture: a line, or an index.
        files: (P,) the file that holds the annotations of each picture.
        place_format: how a place is written, as `line {}` or `annotations[{}]`.
        as_stored: (P,) whether the boxes of a picture lie on its pixels as they are stored, without EXIF orientation.
        problems: what was wrong so far.
        unlisted: the pictures that lie beside these, and that no file names.
        class_ids: the K ids of the classes in a COCO file, -1 of one that it does not have; empty for other formats.
        picture_ids: the P ids of the pictures in a COCO file; empty for other formats.
        windows: the parts of the P pictures that are meant, where they are tiles; empty where they are whole.
        white: the largest value of gray pictures with 16 bits; once screened, that of the bits that they use. It is
            `None` where no picture is so.
        choice: what was read, where several files or formats could be meant.
        layout: what the four numbers of a box in the file are taken to mean.
        layout_is_given: whether the caller said so. Otherwise `screen` refuses boxes that must be of another layout.
        relative: whether `boxes` are still shares of their pictures, which `screen` makes pixels.
    """

    pictures: Sequence[Path]
    classes: Sequence[str]
    boxes: Floats
    labels: Ints
    ignored: Bools
    areas: Floats
    offsets: Ints
    sizes: Ints
    places: Ints
    files: Sequence[Path]
    place_format: PlaceFormat
    as_stored: Bools
    problems: Sequence[Problem] = field(default_factory=list)
    unlisted: Sequence[Path] = ()
    class_ids: Sequence[int] = ()
    picture_ids: Sequence[int | str] = ()
    windows: Sequence[Window] = ()
    choice: Choice | None = None
    white: int | None = None
    layout: "BoxLayout" = "xyxy"
    layout_is_given: bool = False
    relative: bool = False

    @property
    def object_count(self) -> int:
        """How many boxes are objects to train on, which those that are ignored are not."""
        return int((~self.ignored).sum())

    def objects(self, index: int) -> Objects:
        """The boxes of one picture."""
        of_picture = slice(self.offsets[index], self.offsets[index + 1])
        return Objects(self.boxes[of_picture], self.labels[of_picture], self.ignored[of_picture])

    def owners(self) -> Ints:
        """The index (T,) of the picture that each box is on."""
        return np.repeat(np.arange(len(self.pictures)), np.diff(self.offsets))

    def box_problem(
        self, index: int, finding: str, action: str, *, data_loss: bool, assumption: bool = False
    ) -> Problem:
        """What is wrong with one box."""
        owner = int(np.searchsorted(self.offsets, index, side="right")) - 1
        place = self.place_format.format(self.places[index])
        return Problem(self.files[owner], place, finding, action, data_loss, assumption)

    def select(self, *, pictures: Bools | None = None, boxes: Bools | None = None) -> "Annotations":
        """Some of the pictures (P,) with their boxes, or some of the boxes (T,)."""
        owners = self.owners()
        kept = np.ones(len(self.pictures), dtype=bool) if pictures is None else pictures
        chosen = kept[owners] if boxes is None else kept[owners] & boxes
        counts = np.bincount(owners[chosen], minlength=len(kept))[kept]
        return replace(
            self,
            pictures=_chosen(self.pictures, kept),
            files=_chosen(self.files, kept),
            picture_ids=_chosen(self.picture_ids, kept),
            windows=_chosen(self.windows, kept),
            sizes=self.sizes[kept],
            as_stored=self.as_stored[kept],
            boxes=self.boxes[chosen],
            labels=self.labels[chosen],
            ignored=self.ignored[chosen],
            areas=self.areas[chosen],
            places=self.places[chosen],
            offsets=np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
        )


def _chosen(values: Sequence[T], kept: Bools) -> list[T]:
    return [value for value, keep in zip(values, kept, strict=False) if keep]
