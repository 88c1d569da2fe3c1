"""Boxes drawn on pictures, for people to look at."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchvision.utils import draw_bounding_boxes, make_grid

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#f032e6", "#9a6324", "#808000", "#000075")
"""A colour for each class, again from the first where there are more."""


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
