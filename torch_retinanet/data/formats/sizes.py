"""The sizes of pictures whose boxes are shares of them."""

from collections.abc import Sequence

from torch_retinanet.data.picture_files import look_at
from torch_retinanet.data.picture_folder import Found

Size = tuple[float, float]
"""Height and width in pixels, 0 where they are not known."""


def known_sizes(pictures: Sequence[Found], said: Sequence[Size]) -> list[Size]:
    """The size of each picture: as the annotations say it, or else upright as its header does.

    It is 0x0 for a picture that is missing or cannot be opened: screening takes it out with its boxes.
    """
    paths = [found.path for found, size in zip(pictures, said, strict=True) if found.path and not min(size)]
    looked = dict(zip(paths, look_at(paths, decode=False), strict=True)) if paths else {}
    return [
        looked[found.path].upright if found.path in looked and not min(size) else size
        for found, size in zip(pictures, said, strict=True)
    ]
