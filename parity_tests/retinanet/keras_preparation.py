"""How the reference brings pictures before its network: as the keras.io example prepares one, and what it finds."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from keras_reference.preprocess import (
    flip_horizontal,
    normalise,
    pad,
    prepare_image,
    preprocess_data,
    resize,
    resized_size,
)
from parity_tests.retinanet.frameworks import array_of, keras, keras_precision, keras_reference
from parity_tests.retinanet.inputs import Scene, Size
from parity_tests.retinanet.matching import Detections
from parity_tests.retinanet.picture_files import as_given
from parity_tests.retinanet.preparation import APART, FRAME, TRAINED_STRIDE, PictureSides
from parity_tests.rule.record import Array

Detect = Callable[[Array], Detections]
"""What is found in one prepared picture (1,h,w,3), in its pixels."""

Lose = Callable[[Scene, Sequence[Array], Array | None], dict[str, Array]]
"""The losses (B,) of prepared pictures, of regions to ignore in them, and of outputs in place of the network's."""

Decode = Callable[[Array, Size], list[Detections]]
"""What is found where a network says these outputs of pictures of a size."""


class KerasPreparation:
    """The steps of the example in a precision, with other sides where they are given, around what detects and loses."""

    def __init__(self, dtype: str, detect: Detect, lose: Lose, decode: Decode, sides: PictureSides | None) -> None:
        self.dtype, self.detect, self.lose, self.decoded, self.sides = dtype, detect, lose, decode, sides or ()

    def read(self, file: Path) -> NDArray[Any]:
        given = as_given(file)
        return _of_array(given) if isinstance(given, np.ndarray) else keras_reference.read_picture(given)

    def fitted(self, size: Size) -> Array:
        new = resized_size(size, *self.sides)
        return np.array([*new.pixels, *new.padded, new.ratio])

    def resized(self, picture: Array) -> Array:
        with keras_precision(self.dtype):
            return array_of(resize(self._tensor(picture), resized_size(picture.shape[:2], *self.sides).pixels))

    def normalised(self, picture: Array) -> Array:
        with keras_precision(self.dtype):
            return array_of(normalise(self._tensor(picture)))

    def padded(self, resized: Array, size: Size) -> Array:
        with keras_precision(self.dtype):
            return array_of(normalise(pad(self._tensor(resized), resized_size(size, *self.sides))))

    def prepared(self, picture: Array) -> Array:
        with keras_precision(self.dtype):
            image: Array = array_of(prepare_image(picture, *self.sides)[0])[0]
        return image

    def together(self, pictures: Sequence[Array]) -> Array:
        sizes = [resized_size(picture.shape[:2], *self.sides) for picture in pictures]
        largest = max(size.padded[0] for size in sizes), max(size.padded[1] for size in sizes)
        with keras_precision(self.dtype):
            each = [
                array_of(normalise(pad(resize(self._tensor(picture), size.pixels), size._replace(padded=largest))))
                for picture, size in zip(pictures, sizes, strict=True)
            ]
        return np.stack(each)

    def trained(self, picture: Array) -> Array:
        return self.resized(picture)

    def changed(self, picture: Array, boxes: Array, drawn: Sequence[float]) -> Mapping[str, Array]:
        normalised = boxes / np.array(picture.shape[1::-1] * 2)
        objects = {"bbox": normalised[:, [1, 0, 3, 2]], "label": np.zeros(len(boxes))}
        with keras_precision(self.dtype):
            sample = {"image": self._tensor(picture), "objects": objects}
            image, centred, _ = preprocess_data(sample, cast("np.random.Generator", GivenNumbers(drawn)))
            corners = array_of(keras_reference.convert_to_corners(centred))
        sides = np.array(image.shape[:2], float)
        return {"picture": array_of(image)[::APART, ::APART], "sides": sides, "boxes": corners}

    def mirrored(self, picture: Array, boxes: Array) -> Mapping[str, Array]:
        both = self._mirrored(picture, boxes)
        turned, swapped = self._mirrored(picture.transpose(1, 0, 2), boxes[:, [1, 0, 3, 2]])
        upside_down = turned.transpose(1, 0, 2), swapped[:, [1, 0, 3, 2]]
        trained = {"trained": both, "upside_down": upside_down}
        border = np.array(picture.shape[1::-1] * 2)
        ways = {"mirrored": both} | {how: (image, of.clip(0, border)) for how, (image, of) in trained.items()}
        return {
            f"{how}.{what}": v for how, of in ways.items() for what, v in zip(("picture", "boxes"), of, strict=True)
        }

    def _mirrored(self, picture: Array, boxes: Array) -> tuple[Array, Array]:
        """Left to right."""
        corners = np.array([picture.shape[1], picture.shape[0]] * 2, np.float64)
        flipped, normalised = map(array_of, flip_horizontal(self._tensor(picture), self._tensor(boxes / corners)))
        return flipped, normalised * corners

    def placed(self, picture: Array, boxes: Array, seen: Size, at: tuple[int, int]) -> Mapping[str, Array]:
        (rows, columns), (height, width) = picture.shape[:2], seen
        top, left = (max(0, place) for place in at)
        part = picture[max(0, -at[0]) :, max(0, -at[1]) :][: height - top, : width - left]
        frame = np.tile(np.array(FRAME, np.float64), (*seen, 1))
        frame[top : top + part.shape[0], left : left + part.shape[1]] = part
        drawn = [[rows * share, columns * share, rows, columns, 1, 1] for share in (0.5, 2)]
        return {"picture": frame, "boxes": boxes + np.array([at[1], at[0]] * 2), "drawn": np.array(drawn)}

    def losses(
        self, pictures: Sequence[Scene], regions: Sequence[Array], outputs: Array | None = None
    ) -> dict[str, Array]:
        images = self.together([picture.images[0] for picture in pictures])
        boxes = [self._followed(picture.boxes[0], picture.size) for picture in pictures]
        ignored = [self._followed(each, picture.size) for each, picture in zip(regions, pictures, strict=True)]
        terms = self.lose(Scene(images, boxes, [picture.labels[0] for picture in pictures]), ignored, outputs)
        return {name: terms[name].mean(keepdims=True) for name in ("loss.classification", "loss.box")}

    def _followed(self, boxes: Array, size: Size) -> Array:
        """Boxes in a picture of `size` where they are once it is resized."""
        before, after = (np.array(sides[::-1] * 2) for sides in (size, resized_size(size, *self.sides).followed))
        followed: Array = boxes / before * after
        return followed

    def detections(self, pictures: Sequence[Array]) -> list[Detections]:
        return [self._detected(picture) for picture in pictures]

    def _detected(self, picture: Array) -> Detections:
        with keras_precision(self.dtype):
            prepared, ratio = prepare_image(picture, *self.sides)
        found = self.detect(array_of(prepared))
        return found._replace(boxes=found.boxes / ratio)

    def _tensor(self, values: Array) -> object:
        return keras.ops.convert_to_tensor(values, self.dtype)


class GivenNumbers:
    """A generator whose numbers are given."""

    def __init__(self, numbers: Sequence[float]) -> None:
        self.numbers = iter(numbers)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """The next number, between two bounds."""
        return low + (high - low) * next(self.numbers)


def _of_array(array: NDArray[Any]) -> NDArray[Any]:
    """The pixels (H,W,3) of an array: of colours as those of a file, or of gray of 1 bit, of 16, or from 0 to 1."""
    return _of_gray(array) if array.ndim == 2 else _of_colours(array)


def _of_colours(array: NDArray[Any]) -> NDArray[Any]:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "colours.png"
        Image.fromarray(array).save(file)
        pixels: NDArray[Any] = keras_reference.read_picture(file)
    return pixels


def _of_gray(gray: Array) -> Array:
    share = gray.astype(np.float64) / (65535 if gray.dtype == np.uint16 else 1)
    return np.repeat(np.rint(255 * share)[..., None], 3, axis=-1)


def fitted_batch(pictures: Sequence[Scene], sides: PictureSides, dtype: str) -> Scene:
    """A batch of pictures from 0 to 255 and their boxes as the example brings each to training (`preprocess_data`)."""
    each = [_fitted(picture, sides, dtype) for picture in pictures]
    return Scene(np.stack([image for image, _ in each]), [boxes for _, boxes in each], [p.labels[0] for p in pictures])


def _fitted(picture: Scene, sides: PictureSides, dtype: str) -> tuple[Array, Array]:
    size = resized_size(picture.size, *sides, stride=TRAINED_STRIDE)
    with keras_precision(dtype):
        image = pad(resize(keras.ops.convert_to_tensor(picture.images[0], dtype), size.pixels), size)
    normalised = picture.boxes[0] / np.array(picture.size[::-1] * 2)
    return array_of(image), normalised * np.array(size.followed[::-1] * 2)
