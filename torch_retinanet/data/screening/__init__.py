"""What no training can use is taken out of annotations, and whatever else is odd is noted."""

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.box_layouts import in_pixels
from torch_retinanet.data.screening.alike_classes import note_alike_classes
from torch_retinanet.data.screening.boxes import SLIVER, screen_boxes, slivers
from torch_retinanet.data.screening.other_layouts import refuse_other_layouts
from torch_retinanet.data.screening.pictures import NOT_FOUND, screen_pictures
from torch_retinanet.data.screening.repeated_pictures import join_repeated
from torch_retinanet.data.screening.unplaced_objects import leave_out_unplaced

__all__ = ["NOT_FOUND", "SLIVER", "screen", "slivers"]


def screen(annotations: Annotations, *, decode: bool) -> Annotations:
    """Annotations that can be trained on: every picture is there and can be opened, every box lies in its picture.

    - Taken out (`lost`): pictures that are missing or cannot be opened, or have an object whose box is not finite, with
      their boxes; boxes without extent, wholly outside, or there twice.
    - Changed: boxes that are shares become pixels, and boxes are cut off at the border of their picture. A box whose
      edges are in the wrong order is ignored. A picture that a file lists twice becomes one with the boxes of both; of
      two files with one picture the regions of the second one's boxes are ignored. `sizes` become those of the
      pictures, and `as_stored` is set where the annotated size is that of the pixels as they are stored, without EXIF
      orientation.
    - Noted: boxes that lie nearly on one another, slivers, annotated sizes that differ, EXIF orientation, suffixes of
      another format, pixels that are not RGB of 8 bits, pictures of one name with several suffixes, classes of nearly
      one name.

    Args:
        annotations: of any reader.
        decode: whether every picture is decoded as training does it, and not its header alone read.

    Raises:
        InputError: for boxes that as a whole must be of another layout, or of pictures of another size.
    """
    annotated = join_repeated(annotations)
    readable = screen_pictures(annotated, decode=decode)
    refuse_other_layouts(readable, annotated)
    return note_alike_classes(screen_boxes(in_pixels(leave_out_unplaced(readable))))
