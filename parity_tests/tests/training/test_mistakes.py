"""What detections are of, which classes are confused, the kinds of mistakes case by case, and the sheet of them."""

import io

import pytest
import torch
from PIL import Image
from torch import Tensor

from parity_tests.tests.support.evaluation import BOXES, ELSEWHERE, NO_OBJECTS, NOTHING, found, truth
from torch_retinanet.evaluate import (
    KINDS,
    Mistake,
    MistakeSheet,
    confusion_table,
    find_mistakes,
    match,
    plot_confusion,
    plot_precision_recall,
)

ONE, OTHER = BOXES.tolist()
TARGET = truth(BOXES, [0, 1])
HALF = [10.0, 10, 50, 30]
"""IoU 0.5 with the first object."""
THIRD = [10.0, 10, 50, 24]
"""IoU 0.35 with the first object."""
FAINT = [10.0, 10, 50, 13]
"""IoU 0.075 with the first object."""


def mistakes(detections: dict[str, Tensor], target: dict[str, Tensor] = TARGET) -> list[Mistake]:
    return match(detections, target).mistakes


MISSED_OTHER = Mistake("missed", -1, 1)


@pytest.mark.parametrize(
    ("box", "label", "expected"),
    [
        (ONE, 0, [MISSED_OTHER]),
        (HALF, 0, [MISSED_OTHER]),
        (ONE, 1, [Mistake("wrong class", 0, 0), MISSED_OTHER]),
        (HALF, 1, [Mistake("wrong class", 0, 0), MISSED_OTHER]),
        (THIRD, 0, [Mistake("badly placed", 0, 0), MISSED_OTHER]),
        (THIRD, 1, [Mistake("badly placed", 0, 0), MISSED_OTHER]),
        (FAINT, 0, [Mistake("background", 0, -1), Mistake("missed", -1, 0), MISSED_OTHER]),
        (ELSEWHERE, 0, [Mistake("background", 0, -1), Mistake("missed", -1, 0), MISSED_OTHER]),
    ],
)
def test_one_detection_is_right_or_wrong_in_one_way(box: list[float], label: int, expected: list[Mistake]) -> None:
    assert mistakes(found([box], [0.9], [label])) == expected


def test_no_detections_miss_all_and_no_objects_make_all_background() -> None:
    assert mistakes(NOTHING) == [Mistake("missed", -1, 0), MISSED_OTHER]
    assert mistakes(found(BOXES, [0.9, 0.8], [0, 1]), NO_OBJECTS) == [
        Mistake("background", 0, -1),
        Mistake("background", 1, -1),
    ]
    assert mistakes(NOTHING, NO_OBJECTS) == []


def test_the_best_detection_of_an_object_is_right_and_the_next_one_finds_it_twice() -> None:
    """In whatever order they come."""
    assert mistakes(found([HALF, ONE, OTHER], [0.5, 0.9, 0.9], [0, 0, 1])) == [Mistake("twice found", 0, 0)]


def test_an_object_found_rightly_and_in_another_class_has_a_detection_of_a_wrong_class() -> None:
    assert mistakes(found([ONE, ONE, OTHER], [0.5, 0.9, 0.9], [0, 1, 1])) == [Mistake("wrong class", 1, 0)]


@pytest.mark.parametrize("labels", [[0, 1, 2], [1, 2, 3]])
def test_an_object_found_under_several_classes_is_one_mistake_of_the_best_wrong_one(labels: list[int]) -> None:
    detections = found([ONE, ONE, ONE, OTHER], [0.7, 0.6, 0.5, 0.9], [*labels, 1])
    assert mistakes(detections) == [Mistake("wrong class", labels.index(1), 0)]


def test_each_of_two_neighbours_gets_the_detection_that_is_left() -> None:
    """Unlike VOC, that gives both to the one they overlap most."""
    neighbours = truth([[0.0, 0, 40, 40], [10, 0, 50, 40]], [0, 0])
    detections = found([[0.0, 0, 40, 40], [2, 0, 42, 40]], [0.9, 0.8], [0, 0])
    assert match(detections, neighbours).pairs == [(0, 0), (1, 1)]


def test_detections_below_the_score_are_none() -> None:
    detections = found(BOXES, [0.3, 0.29], [0, 1])
    assert match(detections, TARGET).pairs == [(0, 0)]
    assert match(detections, TARGET, threshold=0.2).pairs == [(0, 0), (1, 1)]
    assert match(detections, TARGET, threshold=0.2).mistakes == []


@pytest.mark.parametrize("label", [0, -1])
def test_a_detection_half_in_an_ignored_box_of_its_class_or_of_none_does_not_count(label: int) -> None:
    region = truth([[190.0, 190, 400, 400]], [label], [True])
    inside, half, less = ELSEWHERE, [150.0, 200, 230, 240], [149.0, 200, 230, 240]
    assert mistakes(found([inside, half], [0.9, 0.9], [0, 0]), region) == []
    assert mistakes(found([less], [0.9], [0]), region) == [Mistake("background", 0, -1)]
    assert len(mistakes(found([inside], [0.9], [1]), region)) == (label == 0), "of another class"


def test_an_object_within_an_ignored_box_is_found_all_the_same() -> None:
    target = truth([ONE, [0.0, 0, 400, 400]], [0, 0], [False, True])
    assert match(found([ONE], [0.9], [0]), target).pairs == [(0, 0)]


def test_confusions_are_counted_by_truth_and_detection() -> None:
    """One right, one of a wrong class, one twice, one of background; and one object missed."""
    detections = [found([ONE, OTHER, ONE, ELSEWHERE], [0.9, 0.8, 0.7, 0.6], [0, 2, 0, 1]), NOTHING]
    table = confusion_table(detections, [TARGET, truth([ONE], [2])], num_classes=3)
    assert table.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0]]


def test_rows_count_objects_and_columns_detections() -> None:
    generator = torch.Generator().manual_seed(0)

    def boxes(count: int) -> Tensor:
        corners = torch.rand(count, 2, generator=generator) * 60
        return torch.cat([corners, corners + 20 + 20 * torch.rand(count, 2, generator=generator)], dim=1)

    detections = [found(boxes(12), [0.9] * 12, [0, 1, 2] * 4) for _ in range(5)]
    targets = [truth(boxes(6), [0, 1, 2] * 2) for _ in range(5)]
    table = confusion_table(detections, targets, num_classes=3)
    assert table[:3].sum(1).tolist() == [10, 10, 10]
    assert table[:, :3].sum(0).tolist() == [20, 20, 20]
    assert table[:3, :3].sum() > 5


def test_mistakes_are_counted_picture_by_picture_and_the_worst_come_first() -> None:
    detections = [NOTHING, found([ONE, ELSEWHERE], [0.9, 0.8], [0, 0]), found(BOXES, [0.9, 0.8], [0, 1])]
    counted = find_mistakes(detections, [truth([ONE], [0]), TARGET, TARGET])
    by_kind = dict(zip(KINDS, counted.counts.T.tolist(), strict=True))
    assert by_kind["missed"] == [1, 1, 0]
    assert by_kind["background"] == [0, 1, 0]
    assert counted.counts.sum() == 3
    assert list(counted.totals().items())[:2] == [("missed", 2), ("background", 1)]
    assert counted.worst() == [1, 0]


def test_examples_are_the_surest_and_the_largest_and_one_a_picture() -> None:
    sure = [found([ELSEWHERE, [300.0, 300, 340, 340]], [0.4 + i / 50, 0.35], [0, 0]) for i in range(10)]
    counted = find_mistakes(sure, [truth([[0.0, 0, 10 + i, 10]], [0]) for i in range(10)])
    background, missed = counted.examples["background"], counted.examples["missed"]
    assert [example.picture for example in background] == [9, 8, 7, 6, 5, 4]
    assert [example.mistake.detection for example in background] == [0] * 6
    assert [example.picture for example in missed] == [9, 8, 7, 6, 5, 4]


def red_and_green(sheet: Image.Image) -> list[int]:
    """Pixels in the colours of mistakes and of what is right."""
    colours = sheet.getcolors(1 << 24) or []
    return [sum(n for n, c in colours if c == colour) for colour in ((0xD0, 0x14, 0x3C), (0x23, 0x80, 0x3A))]


def test_the_sheet_shows_mistakes_in_red_and_reads_only_what_it_shows() -> None:
    """Nine pictures with an object each, found in the last alone."""
    detections = [NOTHING] * 8 + [found([ONE], [0.9], [0])]
    targets = [truth([ONE], [0])] * 9
    read: list[int] = []

    def gray(index: int) -> Image.Image:
        read.append(index)
        return Image.new("RGB", (120, 90), "gray")

    sheet = MistakeSheet(detections, targets, names=["cat"], read=gray)
    red, green = red_and_green(sheet.draw(find_mistakes(detections, targets)))
    assert red > 1000
    assert green == 0
    assert set(read) == set(range(6))


def test_the_sheet_of_no_mistakes_says_so() -> None:
    detections, targets = [found([ONE], [0.9], [0])], [truth([ONE], [0])]
    sheet = MistakeSheet(detections, targets, names=["cat"], read=lambda _: pytest.fail("nothing to show"))
    drawn = sheet.draw(find_mistakes(detections, targets))
    assert drawn.height < 100
    assert drawn.getcolors(1) is None, "there are letters"


def test_what_is_right_is_green_and_what_is_ignored_neither_on_the_worst_pictures() -> None:
    detections = [found([ONE, ELSEWHERE], [0.9, 0.8], [0, 0])]
    targets = [truth([ONE, OTHER, [60.0, 10, 90, 40]], [0, 0, -1], [False, False, True])]
    sheet = MistakeSheet(detections, targets, names=["cat"], read=lambda _: Image.new("RGB", (250, 250), "white"))
    red, green = red_and_green(sheet.draw(find_mistakes(detections, targets)))
    assert red > green > 100


@pytest.mark.parametrize("classes", [1, 4, 60])
def test_a_plot_has_the_counts_of_few_classes(classes: int) -> None:
    table = torch.eye(classes + 1, dtype=torch.int64) * 1234
    axes = plot_confusion(table, [f"class {i}" for i in range(classes)]).axes[0]
    assert [text.get_text() for text in axes.texts] == ["1,234"] * (classes + 1 if classes < 20 else 0)
    assert axes.get_yticklabels()[-1].get_text() == "background"


@pytest.mark.filterwarnings("error")
def test_names_of_classes_are_plotted_letter_by_letter() -> None:
    """Where `$` began a formula, and a control character has no shape to be drawn."""
    names = ["$x^$", "_a", "b\x07"]
    table, precision = torch.ones(4, 4, dtype=torch.int64), torch.ones(3, 101)
    for figure in (plot_confusion(table, names), plot_precision_recall(precision, [1, 1, 1], names)):
        figure.savefig(io.BytesIO(), format="png")
