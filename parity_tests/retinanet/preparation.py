"""What both sides do with a picture before their network, and with boxes behind it, in numpy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from parity_tests.retinanet.inputs import Scene, Size
from parity_tests.retinanet.matching import Detections
from parity_tests.rule.record import Array


class PictureSides(NamedTuple):
    """Pixels that a picture's short side gets, and that its long one has at most."""

    least: int
    most: int


FRAME = (7, 50, 201)
"""Red, green and blue around a picture that is smaller than its frame."""

TRAINED_STRIDE = 32
"""What the sides of a small training picture are padded to divide by: 128 would be mostly padding."""


APART = 13
"""From one row or column to the next that is given of a large picture: no step of the pyramid is a multiple of it."""


class Preparation(Protocol):
    """How a side brings pictures before its network, step by step: (H,W,3), red first, from 0 to 255."""

    def read(self, file: Path) -> NDArray[Any]:
        """The pixels of a file, bytes or whole numbers."""

    def fitted(self, size: Size) -> Array:
        """Height and width of a picture of `size` when it is resized, when it is padded, and the number (5,) by which
        what is found in it is divided."""

    def resized(self, picture: Array) -> Array:
        """A picture in the size in which it is shown to the network."""

    def normalised(self, picture: Array) -> Array:
        """A picture in the channel order and on the scale of the network."""

    def padded(self, resized: Array, size: Size) -> Array:
        """A picture of `size` that has been resized, normalised and padded."""

    def prepared(self, picture: Array) -> Array:
        """All of it at once: a picture as the network is shown it."""

    def together(self, pictures: Sequence[Array]) -> Array:
        """Pictures of several sizes as the network is shown them in one batch (B,h,w,3)."""

    def trained(self, picture: Array) -> Array:
        """A picture in the size in which training shows it, by whatever changes training pictures."""

    def changed(self, picture: Array, boxes: Array, drawn: Sequence[float]) -> Mapping[str, Array]:
        """A picture and its boxes (G,4) xyxy in pixels, as the example changes them for training (`preprocess_data`).

        `drawn` are its random numbers from 0 to 1: whether it is mirrored, and where its short side is between the
        bounds. Of the `picture` every `APART`th row and column is given, and all of its `sides` (2,).
        """

    def mirrored(self, picture: Array, boxes: Array) -> Mapping[str, Array]:
        """A picture and its boxes (G,4) xyxy in pixels, mirrored left to right, by whatever does that on this side.

        `upside_down` are both mirrored top to bottom.
        """

    def placed(self, picture: Array, boxes: Array, seen: Size, at: tuple[int, int]) -> Mapping[str, Array]:
        """A picture and its boxes in a frame of the size `seen`, rows and columns from its top left corner, or cut.

        By whatever does that with training pictures that are scaled. Around the picture is `FRAME`. `drawn` (2,6): what
        it draws for half and twice the size: height and width of the picture and of the frame, and twice 1, as rows and
        columns leave no more of either empty than they must.
        """

    def losses(
        self, pictures: Sequence[Scene], regions: Sequence[Array], outputs: Array | None = None
    ) -> dict[str, Array]:
        """`loss.classification` and `loss.box`, each (1,), in evaluation mode.

        Pictures from 0 to 255 of different sizes, one a scene, are given together. Boxes, and `regions` (I,4) to ignore
        in each, are xyxy in the pixels of their picture. The network says `outputs` (B,N,4+K), where they are given.
        """

    def decoded(self, outputs: Array, size: Size) -> list[Detections]:
        """What is found in pictures of `size`, as they are shown to the network, of which it says `outputs`."""

    def detections(self, pictures: Sequence[Array]) -> list[Detections]:
        """What is found in pictures of bytes of different sizes, given together: boxes in the pixels of each."""
