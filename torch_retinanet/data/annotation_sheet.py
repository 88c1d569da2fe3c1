"""Pictures with the boxes of their annotations on one sheet, for people to look at."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.data.anchor_coverage import best_overlaps
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.draw import COLOURS, draw_texts, letters
from torch_retinanet.errors import InputError
from torch_retinanet.pictures import read_picture

TILE = 480, 360
"""Width and height of the room for a picture, in pixels."""

GAP, LETTERS = 8, 13
CAPTION = 20
"""Pixels of the line below a picture."""

MATCHED, UNMATCHED, IGNORED = "#23803a", "#d0143c", "#707070"
STRIPES = 8
"""Pixels from one stripe of an ignored region to the next."""


class AnnotationSheet(NamedTuple):
    """Pictures with their boxes; how many boxes they are, and how many of them no anchor matches."""

    picture: Image.Image
    boxes: int
    unmatched: int


class _Tile(NamedTuple):
    picture: Image.Image
    boxes: int
    unmatched: int


def draw_annotations(
    annotations: Annotations, indices: Sequence[int], *, config: RetinaNetConfig | None = None
) -> AnnotationSheet:
    """A sheet of pictures with their boxes, each as large as it can be on a tile, its name and numbers below.

    Args:
        annotations: screened.
        indices: of the pictures.
        config: of a model; then a box is green, or red where no anchor has an IoU of `config.match_iou` with it. By
            default a box has the colour of its class. Ignored regions are gray and striped.
    """
    tiles = [_tile(annotations, index, config) for index in indices]
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    width, height = TILE[0] + GAP, TILE[1] + CAPTION + GAP
    sheet = Image.new("RGB", (GAP + columns * width, GAP + rows * height), "white")
    for i, tile in enumerate(tiles):
        sheet.paste(tile.picture, (GAP + i % columns * width, GAP + i // columns * height))
    return AnnotationSheet(sheet, sum(tile.boxes for tile in tiles), sum(tile.unmatched for tile in tiles))


def _tile(annotations: Annotations, index: int, config: RetinaNetConfig | None) -> _Tile:
    """A picture with its boxes, and a line below it."""
    tile, path = Image.new("RGB", (TILE[0], TILE[1] + CAPTION), "white"), annotations.pictures[index]
    try:
        pixels = read_picture(path, upright=not annotations.as_stored[index], white=annotations.white)
    except (InputError, OSError) as error:
        _write(tile, str(error))
        return _Tile(tile, 0, 0)
    fitted, scale = _fit(pixels)
    objects = annotations.objects(index)
    _stripe(fitted, torch.from_numpy(objects.boxes[objects.ignored]) * scale)
    boxes, labels = (torch.from_numpy(values[~objects.ignored]) for values in (objects.boxes, objects.labels))
    names = [annotations.classes[label] for label in labels.tolist()]
    words, unmatched = f"{path.name}, boxes: {len(boxes)}", 0
    if config is None:
        draw_texts(fitted, boxes * scale, names, [COLOURS[label % len(COLOURS)] for label in labels.tolist()])
    else:
        missed = best_overlaps(boxes, (pixels.shape[-2], pixels.shape[-1]), config) < config.match_iou
        _draw_coverage(fitted, boxes * scale, names, missed)
        unmatched = int(missed.sum())
        words += f", without anchor: {unmatched}"
    tile.paste(fitted, ((TILE[0] - fitted.width) // 2, (TILE[1] - fitted.height) // 2))
    _write(tile, words)
    return _Tile(tile, len(boxes), unmatched)


def _draw_coverage(picture: Image.Image, boxes: Tensor, names: Sequence[str], missed: Tensor) -> None:
    """Draw boxes (G,4) onto a picture, with the names of those that no anchor matches."""
    pen = ImageDraw.Draw(picture)
    for box in boxes[~missed].tolist():
        pen.rectangle(box, outline=MATCHED, width=2)
    those = [name for name, miss in zip(names, missed.tolist(), strict=True) if miss]
    draw_texts(picture, boxes[missed], those, [UNMATCHED] * len(those))


def _fit(pixels: Tensor) -> tuple[Image.Image, Tensor]:
    """A picture (3,H,W) as large as it can be on a tile, and how much wider and higher (4,) it has become."""
    picture = Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
    fitted = ImageOps.contain(picture, TILE, Image.Resampling.BICUBIC)
    scale = [fitted.width / picture.width, fitted.height / picture.height]
    return fitted, torch.tensor(scale * 2, dtype=torch.float64)


def _stripe(picture: Image.Image, boxes: Tensor) -> None:
    """Draw boxes (G,4) as gray stripes onto a picture."""
    region = Image.new("1", picture.size)
    pen = ImageDraw.Draw(region)
    for box in boxes.tolist():
        pen.rectangle(box, fill=1)
    y, x = np.ogrid[: picture.height, : picture.width]
    stripes = np.array(region) & ((x + y) % STRIPES < 2)
    picture.paste(IGNORED, mask=Image.fromarray(stripes))
    pen = ImageDraw.Draw(picture)
    for box in boxes.tolist():
        pen.rectangle(box, outline=IGNORED, width=2)


def _write(tile: Image.Image, words: str) -> None:
    place = TILE[0] / 2, TILE[1] + CAPTION / 2
    ImageDraw.Draw(tile).text(place, words, "black", letters(LETTERS), anchor="mm")
