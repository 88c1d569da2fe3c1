"""Boxes drawn on pictures, for people to look at."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, make_grid

from torch_retinanet.pictures import read_picture, to_pillow

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#f032e6", "#9a6324", "#808000", "#000075")
"""A colour for each class, again from the first where there are more."""

SMALLEST = 11
"""Pixels that letters are high at least, so that they can be read."""

FEW = 30
"""Boxes up to which all are named, and not only those that have room for it."""

Corners = tuple[int, int, int, int]
"""Left, top, right and bottom edge in whole pixels."""


def draw_boxes(
    image: Tensor, objects: Mapping[str, Tensor], *, names: Sequence[str] | None = None, enlarge: int = 1
) -> Tensor:
    """A picture (3,H,W) of bytes with its objects drawn on it, `enlarge` times as large.

    Args:
        image: bytes, RGB.
        objects: `boxes` (G,4) xyxy in pixels, `labels` (G,), and of detections `scores` (G,).
        names: of the classes; their numbers where there are none.
        enlarge: times that a pixel is repeated, so that small pictures can be read.
    """
    large = torch.as_tensor(image).repeat_interleave(enlarge, -2).repeat_interleave(enlarge, -1)
    labels = objects["labels"].tolist()
    if not labels:
        return large
    texts = [names[label] if names else str(label) for label in labels]
    if "scores" in objects:
        texts = [f"{text} {score:.2f}" for text, score in zip(texts, objects["scores"].tolist(), strict=True)]
    colours = [COLOURS[label % len(COLOURS)] for label in labels]
    boxes = torch.as_tensor(objects["boxes"]) * enlarge
    drawn: Tensor = draw_bounding_boxes(large, boxes, texts, colours, width=2, fill_labels=True, label_colors="white")
    return drawn


def contact_sheet(rows: Sequence[Sequence[Tensor]], *, gap: int = 4) -> Tensor:
    """Rows of pictures (3,H,W) of one size as one picture, white between them."""
    pictures = [picture for row in rows for picture in row]
    sheet: Tensor = make_grid(pictures, nrow=len(rows[0]), padding=gap, pad_value=255)
    return sheet


def draw_labelled(image: Tensor, objects: Mapping[str, Tensor], *, names: Sequence[str] | None = None) -> Tensor:
    """A picture (3,H,W) of bytes with its objects drawn on it: `labelled_picture` as a tensor."""
    return read_picture(labelled_picture(image, objects, names=names))


def labelled_picture(
    image: Tensor, objects: Mapping[str, Tensor], *, names: Sequence[str] | None = None
) -> Image.Image:
    """A picture with its objects drawn on it, in lines and letters that suit its size and theirs.

    Args:
        image: bytes (3,H,W), RGB.
        objects: `boxes` (G,4) xyxy in pixels, `labels` (G,), and of detections `scores` (G,).
        names: of the classes; their numbers where there are none.
    """
    labels = objects["labels"].tolist()
    colours = [COLOURS[label % len(COLOURS)] for label in labels]
    texts = [names[label] if names else str(label) for label in labels]
    if "scores" in objects:
        texts = [f"{text} {score:.2f}" for text, score in zip(texts, objects["scores"].tolist(), strict=True)]
    picture = to_pillow(torch.as_tensor(image))
    draw_texts(picture, torch.as_tensor(objects["boxes"]), texts, colours)
    return picture


def draw_texts(picture: Image.Image, boxes: Tensor, texts: Sequence[str], colours: Sequence[str]) -> None:
    """Draw boxes (G,4) xyxy onto a picture, the first ones on top, with as many texts as there is room for."""
    corners = _visible(boxes, picture)
    pen, size = ImageDraw.Draw(picture), _letter_size(corners, picture)
    for (left, top, right, bottom), colour in zip(reversed(corners), reversed(colours), strict=True):
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=round(size / 6))
    written: list[Corners] = []
    for box, colour, text in zip(corners, colours, texts, strict=True):
        width, height = round(pen.textlength(text, letters(size))) + size // 2, round(size * 1.3)
        if label := _room(box, (width, height), picture.size, written):
            pen.rectangle((*label[:2], label[2] - 1, label[3] - 1), fill=colour)
            pen.text((label[0] + size // 4, label[1] + height / 2), text, "white", letters(size), anchor="lm")
            written.append(label)


def _visible(boxes: Tensor, picture: Image.Image) -> list[Corners]:
    """Boxes (G,4) cut off at the border, in whole pixels."""
    limits = torch.tensor([picture.width, picture.height] * 2)
    inside = boxes.as_subclass(Tensor).double().nan_to_num().clamp(min=0).minimum(limits)
    return [(left, top, right, bottom) for left, top, right, bottom in inside.round().int().tolist()]


def _letter_size(boxes: Sequence[Corners], picture: Image.Image) -> int:
    """Pixels that letters are high: a part of the picture, and of most boxes."""
    heights = sorted(bottom - top for _, top, _, bottom in boxes)
    middle = heights[len(heights) // 2] / 3 if heights else SMALLEST
    return round(max(SMALLEST, min(middle, min(picture.size) / 30)))


def _room(
    box: Corners, size: tuple[int, int], picture_size: tuple[int, int], written: Sequence[Corners]
) -> Corners | None:
    """Where there is room for a text of a size: above a box, else within it, else below.

    There is none where it would cover what is written already, nor at a box that is far too small where there are many.
    """
    width, height = size
    left = max(0, min(box[0], picture_size[0] - width))
    if width > 1.5 * (box[2] - box[0]) and len(written) >= FEW:
        return None
    for top in (box[1] - height, box[1], box[3]):
        label = left, top, left + width, top + height
        if 0 <= top <= picture_size[1] - height and not any(_overlap(label, other) for other in written):
            return label
    return None


@cache
def letters(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Letters of a height in pixels: those of matplotlib, which know more scripts, and Pillow's where it is missing."""
    matplotlib = find_spec("matplotlib")
    if matplotlib and matplotlib.origin:
        return ImageFont.truetype(Path(matplotlib.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf", size)
    return ImageFont.load_default(size)


def _overlap(box: Corners, other: Corners) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
