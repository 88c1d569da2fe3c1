"""What a box is called in its file: by one number, or by two where a file holds the boxes of many pictures."""

from typing import NamedTuple, Protocol

BOXES = 2**32
"""More boxes than one picture has."""


class PlaceFormat(Protocol):
    """Writes a place, as `line {}` does."""

    def format(self, place: int, /) -> str:
        """The place in words."""


class NestedPlaces(NamedTuple):
    """Writes the places that `nested_place` gives: `text` has a gap for the picture and one for its box."""

    text: str

    def format(self, place: int, /) -> str:
        """The place in words, as `[3].annotations[0]`."""
        return self.text.format(*divmod(int(place), BOXES))


def nested_place(picture: int, box: int) -> int:
    """The place of a box, counted from 0 within its picture."""
    return picture * BOXES + box
