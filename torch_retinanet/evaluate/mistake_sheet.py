"""Mistakes as one picture: examples of each kind, then the worst pictures, truth beside detections."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw, ImageOps
from torch import Tensor

from torch_retinanet.draw import draw_texts, letters
from torch_retinanet.evaluate.matching import SURE, Kind, match
from torch_retinanet.evaluate.mistakes import MistakeExample, Mistakes
from torch_retinanet.evaluate.truth import ignored_of

RIGHT, WRONG, IGNORED = "#23803a", "#d0143c", "#707070"
"""Colours of what was found, of what is wrong or was missed, and of what does not count."""

HEADINGS: dict[Kind, str] = {
    "missed": "objects missed; the largest",
    "wrong class": "of a wrong class; the surest",
    "badly placed": "badly placed, at an IoU of 0.1 to 0.5; the surest",
    "twice found": "of objects that were found already; the surest",
    "background": "of background; the surest",
}
WORST = "the pictures with most mistakes: truth, and beside it detections; green is right, red is wrong or missed"
NONE = "no mistakes"

WIDTH, GAP, LETTERS = 1600, 10, 22
"""Of the sheet, between what is on it, and of its letters, in pixels."""

IN_ROW = {"example": 6, "whole": 4}
"""Pictures beside each other: parts with one mistake, and whole ones."""

AROUND = 1.6
"""How much of a picture is shown around a mistake, in sides of its boxes."""


class Drawn(NamedTuple):
    """A box xyxy, what is written at it, and its colour."""

    box: Tensor
    text: str
    colour: str


class MistakeSheet:
    """Draws the mistakes of a data set.

    Args:
        detections: for each picture `boxes` (M,4) xyxy, `scores` (M,), `labels` (M,).
        targets: for each picture `boxes` (G,4) xyxy, `labels` (G,), and `ignored` (G,) where some are.
        names: of the classes.
        read: gives the picture of an index; only those that are shown are read, one after another.
        threshold: the score from which on detections count.
    """

    def __init__(
        self,
        detections: Sequence[Mapping[str, Tensor]],
        targets: Sequence[Mapping[str, Tensor]],
        *,
        names: Sequence[str],
        read: Callable[[int], Image.Image],
        threshold: float = SURE,
    ) -> None:
        self.detections, self.targets, self.read, self.threshold = detections, targets, read, threshold
        self.names = dict(enumerate(names))

    def draw(self, mistakes: Mistakes) -> Image.Image:
        """The sheet: kinds of mistakes from the commonest on, then the pictures with most of them."""
        rows: list[Image.Image] = []
        for kind, count in mistakes.totals().items():
            if count:
                rows += [_heading(f"{count:,} {HEADINGS[kind]}")]
                rows += _rows(map(self._example, mistakes.examples[kind]), IN_ROW["example"])
        if worst := mistakes.worst():
            rows += [_heading(WORST), *_rows((tile for i in worst for tile in self._beside(i)), IN_ROW["whole"])]
        return _stack(rows or [_heading(NONE)])

    def _example(self, example: MistakeExample) -> Image.Image:
        """The part of a picture where a mistake is."""
        mistake, found, target = example.mistake, self.detections[example.picture], self.targets[example.picture]
        drawn = []
        if mistake.detection >= 0:
            drawn.append(self._detection(found, mistake.detection, WRONG))
        if mistake.object >= 0:
            drawn.append(self._object(target, mistake.object, RIGHT if drawn else WRONG))
        picture = self.read(example.picture)
        part = _part(torch.stack([one.box for one in drawn]), picture)
        return _tile(picture.crop(part), drawn, (part[0], part[1]), _side("example"), 1.0)

    def _beside(self, index: int) -> list[Image.Image]:
        """A picture with its objects, and with its detections."""
        found, target = self.detections[index], self.targets[index]
        matching = match(found, target, threshold=self.threshold)
        wrong = {mistake.detection for mistake in matching.mistakes}
        seen = {j for i, j in matching.pairs if i not in wrong}
        ignored = ignored_of(target).tolist()
        objects = [
            self._object(target, j, IGNORED if ignored[j] else RIGHT if j in seen else WRONG)
            for j in range(len(target["labels"]))
        ]
        right = {i for i, _ in matching.pairs} - wrong
        detections = [
            self._detection(found, i, WRONG if i in wrong else RIGHT if i in right else IGNORED)
            for i in found["scores"].argsort(descending=True, stable=True).tolist()
            if found["scores"][i] >= self.threshold
        ]
        picture = self.read(index)
        return [_tile(picture, drawn, (0, 0), _side("whole"), 0.75) for drawn in (objects, detections)]

    def _object(self, target: Mapping[str, Tensor], index: int, colour: str) -> Drawn:
        return Drawn(target["boxes"][index], self.names.get(int(target["labels"][index]), ""), colour)

    def _detection(self, found: Mapping[str, Tensor], index: int, colour: str) -> Drawn:
        name = self.names[int(found["labels"][index])]
        return Drawn(found["boxes"][index], f"{name} {found['scores'][index]:.2f}", colour)


def _part(boxes: Tensor, picture: Image.Image) -> tuple[int, int, int, int]:
    """The square around boxes (N,4) that is shown, as far as it lies within the picture."""
    left, top = boxes[:, :2].min(0).values.tolist()
    right, bottom = boxes[:, 2:].max(0).values.tolist()
    half = max(right - left, bottom - top, 16) * AROUND / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    corner = max(0, round(x - half)), max(0, round(y - half))
    return *corner, min(picture.width, round(x + half)), min(picture.height, round(y + half))


def _tile(
    picture: Image.Image, drawn: Sequence[Drawn], corner: tuple[int, int], side: int, share: float
) -> Image.Image:
    """A picture with boxes drawn on it, as large as it can be on a tile `share` times as high as wide.

    `corner` is where the picture lies in the one that the boxes are of.
    """
    fitted = ImageOps.contain(picture, (side, round(side * share)), Image.Resampling.BICUBIC)
    if drawn:
        scale = torch.tensor([fitted.width / picture.width, fitted.height / picture.height] * 2, dtype=torch.float64)
        boxes = (torch.stack([one.box for one in drawn]).double() - torch.tensor(corner * 2)) * scale
        draw_texts(fitted, boxes, [one.text for one in drawn], [one.colour for one in drawn])
    tile = Image.new("RGB", (side, round(side * share)), "white")
    tile.paste(fitted, ((tile.width - fitted.width) // 2, (tile.height - fitted.height) // 2))
    return tile


def _side(kind: str) -> int:
    """How wide a tile is."""
    return (WIDTH - GAP) // IN_ROW[kind] - GAP


def _heading(text: str) -> Image.Image:
    line = Image.new("RGB", (WIDTH, LETTERS * 2), "white")
    ImageDraw.Draw(line).text((GAP, LETTERS * 1.2), text, "black", letters(LETTERS), anchor="lm")
    return line


def _rows(tiles: Iterable[Image.Image], in_row: int) -> Iterator[Image.Image]:
    tiles = list(tiles)
    for start in range(0, len(tiles), in_row):
        row = Image.new("RGB", (WIDTH, tiles[start].height + GAP), "white")
        for i, tile in enumerate(tiles[start : start + in_row]):
            row.paste(tile, (GAP + i * (tile.width + GAP), 0))
        yield row


def _stack(rows: Sequence[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (WIDTH, sum(row.height for row in rows) + GAP), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet
