"""What no training can use is taken out of annotations, and whatever else is odd is noted."""

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.screening.boxes import screen_boxes
from torch_retinanet.data.screening.pictures import screen_pictures
from torch_retinanet.data.screening.repeated_pictures import join_repeated


def screen(annotations: Annotations, *, decode: bool) -> Annotations:
    """Annotations that can be trained on: every picture is there and can be opened, every box lies in its picture.

    - Taken out (`lost`): pictures that are missing or cannot be opened, with their boxes; boxes with numbers that are
      not finite, without extent, wholly outside, or there twice.
    - Changed: boxes are cut off at the border of their picture. A picture that a file lists twice becomes one with the
      boxes of both; of two files with one picture the second is left out. `sizes` become those of the pictures, and
      `as_stored` is set where the annotated size is that of the pixels as they are stored, without EXIF orientation.
    - Noted: boxes that lie nearly on one another, slivers, annotated sizes that differ, EXIF orientation, suffixes of
      another format, pixels that are not RGB of 8 bits, pictures of one name with several suffixes.

    Args:
        annotations: of any reader.
        decode: whether every picture is decoded as training does it, and not its header alone read.
    """
    return screen_boxes(screen_pictures(join_repeated(annotations), decode=decode))
