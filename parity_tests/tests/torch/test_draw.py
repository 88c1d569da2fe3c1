"""Boxes drawn on pictures: where they are, what is written at them, and what is left as it was."""

import pytest
import torch
from torch import Tensor

from torch_retinanet.draw import COLOURS, contact_sheet, draw_boxes, draw_labelled

GRAY = torch.full((3, 100, 160), 200, dtype=torch.uint8)


def objects(boxes: list[list[float]], labels: list[int]) -> dict[str, Tensor]:
    return {"boxes": torch.tensor(boxes).reshape(-1, 4), "labels": torch.tensor(labels, dtype=torch.int64)}


def has_colour(picture: Tensor, label: int) -> Tensor:
    """Where (H,W) a picture has the colour of a class."""
    colour = torch.tensor(list(bytes.fromhex(COLOURS[label][1:])), dtype=torch.uint8)
    return (picture == colour[:, None, None]).all(0)


def test_boxes_are_drawn_on_a_larger_picture_and_sheets_hold_rows() -> None:
    image = torch.zeros(3, 64, 96, dtype=torch.uint8)
    drawn = draw_boxes(image, objects([[20.0, 30, 60, 50]], [3]), enlarge=2)
    assert drawn.shape == (3, 128, 192)
    assert drawn[:, 60:100, 40:120].any()
    assert not image.any()
    assert contact_sheet([[drawn, drawn], [drawn, drawn]]).shape == (3, 2 * 128 + 3 * 4, 2 * 192 + 3 * 4)
    assert torch.equal(draw_boxes(image, objects([], [])), image)


def test_the_line_of_a_box_lies_on_its_outermost_pixels() -> None:
    drawn = has_colour(draw_labelled(GRAY, objects([[30.0, 40, 90, 80]], [1]), names=["", "", ""]), 1)
    assert drawn[40:80, 30].all()
    assert drawn[40:80, 89].all()
    assert drawn[79, 30:90].all()
    assert not drawn[:, 90:].any()
    assert not drawn[80:].any()
    assert not drawn[50:70, 40:80].any(), "what is within stays"


def test_the_picture_itself_stays_as_it_was() -> None:
    before = GRAY.clone()
    drawn = draw_labelled(GRAY, objects([[30.0, 40, 90, 80]], [0]))
    assert drawn.shape == GRAY.shape
    assert torch.equal(GRAY, before)
    assert torch.equal(draw_labelled(GRAY, objects([], [])), GRAY)


def test_text_is_above_a_box_and_below_where_there_is_no_room() -> None:
    written = has_colour(draw_labelled(GRAY, objects([[30.0, 40, 90, 80]], [0]), names=["cat"]), 0)
    assert written[30:40].any()
    assert not written[80:].any()
    full = has_colour(draw_labelled(GRAY, objects([[30.0, 0, 90, 80]], [0]), names=["cat"]), 0)
    assert full[2:10, 32:40].any(), "within it"


def test_text_covers_no_other_text() -> None:
    """The second of two equal boxes is named within them, the fourth has no room."""
    first = draw_labelled(GRAY, objects([[30.0, 40, 90, 80]], [0]), names=["cat"])
    twice = draw_labelled(GRAY, objects([[30.0, 40, 90, 80]] * 4, [0, 1, 2, 3]), names=["cat"] * 4)
    above = has_colour(first, 0)[:40]
    assert torch.equal(has_colour(twice, 0)[:40], above)
    assert has_colour(twice, 1)[42:60].any()
    assert has_colour(twice, 2)[80:].any()
    assert not has_colour(twice, 3).any()


@pytest.mark.parametrize(
    "box", [[-50.0, -50, 500, 500], [1e30, 0, 2e30, 50], [5.0, 5, 5, 5], [0, 0, float("nan"), float("inf")]]
)
@pytest.mark.parametrize("name", ["кот", "猫", "a [b]", "x" * 500, ""])
def test_any_box_and_any_name_are_drawn(box: list[float], name: str) -> None:
    assert draw_labelled(GRAY, objects([box], [0]), names=[name]).shape == GRAY.shape


def test_scores_stand_beside_names() -> None:
    box = objects([[30.0, 40, 90, 80]], [0])
    plain = has_colour(draw_labelled(GRAY, box, names=["cat"]), 0)
    scored = has_colour(draw_labelled(GRAY, box | {"scores": torch.tensor([0.5])}, names=["cat"]), 0)
    assert scored[:40].any(0).sum() > plain[:40].any(0).sum()


@pytest.mark.parametrize("side", [1, 7])
def test_the_smallest_picture_can_be_drawn_on(side: int) -> None:
    tiny = torch.zeros(3, side, side, dtype=torch.uint8)
    assert draw_labelled(tiny, objects([[0.0, 0, side, side]], [0])).shape == tiny.shape
