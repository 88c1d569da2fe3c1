"""The pictures that were decoded last, kept for the tiles that come next; bounded in bytes."""

from collections.abc import Callable, Hashable

from torch import Tensor

MOST_BYTES = 2**30
"""Bytes that a process keeps: five pictures of 8000x8000 pixels."""


class DecodedPictures:
    """Pictures by a key. Those go first that were not asked for the longest, and one larger than all is not kept.

    Args:
        most: bytes that are kept.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        self._kept: dict[Hashable, Tensor] = {}

    def __call__(self, key: Hashable, read: Callable[[], Tensor]) -> Tensor:
        """The picture of a key, which must not be changed; `read` where it is not kept."""
        picture = self._kept.pop(key, None)
        if picture is None:
            picture = read()
            self._make_room(picture.nbytes)
        if picture.nbytes <= self.most:
            self._kept[key] = picture
        return picture

    def _make_room(self, wanted: int) -> None:
        while self._kept and wanted + sum(one.nbytes for one in self._kept.values()) > self.most:
            del self._kept[next(iter(self._kept))]
