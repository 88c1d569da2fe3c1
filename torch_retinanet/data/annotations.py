"""What every reader of annotations gives: pictures and their boxes in a few flat arrays, and what was wrong with them.

A million boxes take some 60 MB. Readers say what they found; `screening` then takes out what no training can use.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Problem(NamedTuple):
    """Something wrong in a data set, and what becomes of it.

    Attributes:
        file: the annotation file or picture.
        place: where in it, as `line 7` or `annotations[3]`; empty where the file as a whole is meant.
        what: what was found, with its value.
        then: what training does about it.
        lost: whether an object or a picture is lost by it.
    """

    file: Path
    place: str
    what: str
    then: str
    lost: bool


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """Pictures with boxes: T boxes on P pictures, those of picture i from `offsets[i]` to `offsets[i + 1]`.

    Attributes:
        pictures: the P files.
        classes: the K names; label k is `classes[k]`.
        boxes: (T,4) xyxy in pixels, from the left and upper edge of the first pixel.
        labels: (T,) from 0 to K - 1.
        ignored: (T,) whether a box marks what is neither an object nor background: crowds, `difficult`, `DontCare`.
        offsets: (P + 1,).
        sizes: (P,2) height and width as the annotations say them, 0 where they do not.
        places: (T,) what each box is called in `file_of_boxes`: a line, or an index.
        files: (P,) the file that holds the annotations of each picture.
        place_format: how a place is written, as `line {}` or `annotations[{}]`.
        as_stored: (P,) whether the boxes of a picture lie on its pixels as they are stored, without EXIF orientation.
        problems: what was wrong so far.
    """

    pictures: Sequence[Path]
    classes: Sequence[str]
    boxes: Floats
    labels: Ints
    ignored: Bools
    offsets: Ints
    sizes: Ints
    places: Ints
    files: Sequence[Path]
    place_format: str
    as_stored: Bools
    problems: Sequence[Problem] = field(default_factory=list)
