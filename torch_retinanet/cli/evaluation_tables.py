"""The tables of an evaluation, for people."""

from collections.abc import Iterable

from rich import box
from rich.markup import escape
from rich.table import Table

from torch_retinanet.cli.tables import TableConsole
from torch_retinanet.evaluate import KINDS, Evaluation
from torch_retinanet.evaluate.confusion import BACKGROUND
from torch_retinanet.evaluate.matching import FOUND, SURE

WIDTH = 120
"""Columns where the output is no terminal."""

COMMONEST = 12
"""Confusions that are listed where all of them would be a table too wide."""

COUNT = 7
"""Columns that a count may need."""

PRECISIONS = {"IoU 0.5 to 0.95": "map", "0.5": "map_50", "0.75": "map_75"}
"""What COCO's precisions are headed, and how torchmetrics calls them."""

SIZES = ("small", "medium", "large")


def print_evaluation(evaluation: Evaluation) -> None:
    """Print COCO's numbers, those of each class, what is taken for what, and how often detections are wrong."""
    console = TableConsole(WIDTH)
    limit = evaluation.coco.max_detections
    recalls = {f"{limit} detections": f"mar_{limit}", "10": "mar_10", "1": "mar_1"}
    console.print(_coco(evaluation, "precision", "map", PRECISIONS))
    console.print(_coco(evaluation, "recall", "mar", recalls))
    if evaluation.coco.cut_off:
        rule = f"COCO counts the {limit} best detections of a class on a picture"
        console.print(f"{rule}; {evaluation.coco.cut_off:,} more do not count; --max-detections sets the limit\n")
    console.print(_classes(evaluation))
    console.print(_confusion(evaluation) if _has_room(evaluation, console.width) else _confusions(evaluation))
    totals = evaluation.mistakes.totals()
    counts = ", ".join(f"{totals[kind]:,} {kind}" for kind in KINDS)
    console.print(f"mistakes at a score of {SURE}: {counts}\n")


def last_line(evaluation: Evaluation, *, unreadable: int = 0) -> str:
    """What was evaluated, and the numbers that are looked at first."""
    numbers = evaluation.coco.numbers
    values = {"mAP": numbers["map"], "AP50": numbers["map_50"], "VOC AP50": evaluation.voc.mean}
    words = ", ".join(f"{name} {_number(value)}" for name, value in values.items())
    lost = f"; {unreadable:,} pictures could not be read" if unreadable else ""
    return f"{evaluation.pictures:,} pictures, {evaluation.objects:,} objects: {words}{lost}"


def _coco(evaluation: Evaluation, what: str, prefix: str, first: dict[str, str]) -> Table:
    columns = first | {size: f"{prefix}_{size}" for size in SIZES}
    table = _table(f"COCO, average {what}", (), columns)
    table.add_row(*(_number(evaluation.coco.numbers[name]) for name in columns.values()))
    return table


def _classes(evaluation: Evaluation) -> Table:
    headings = ("objects", "AP", "AP50", "recall", "VOC AP50")
    table = _table("Classes", ("class",), headings)
    for name, numbers, voc in zip(evaluation.names, evaluation.coco.classes, evaluation.voc.classes, strict=True):
        values = (numbers.ap, numbers.ap_50, numbers.recall, voc)
        table.add_row(escape(name), f"{numbers.objects:,}", *map(_number, values))
    means = evaluation.coco.numbers
    values = (means["map"], means["map_50"], means[f"mar_{evaluation.coco.max_detections}"], evaluation.voc.mean)
    table.add_section()
    table.add_row("mean", f"{evaluation.objects:,}", *map(_number, values))
    return table


def _has_room(evaluation: Evaluation, width: int) -> bool:
    """Whether the table of all confusions fits a width."""
    lengths = [len(name) for name in (*evaluation.names, BACKGROUND)]
    return max(lengths) + sum(max(length, COUNT) + 2 for length in lengths) + 2 <= width


def _confusion(evaluation: Evaluation) -> Table:
    names = [escape(name) for name in (*evaluation.names, BACKGROUND)]
    table = _table(f"Detected as, at IoU {FOUND} and a score of {SURE}", ("in truth",), names)
    for name, counts in zip(names, evaluation.confusion.tolist(), strict=True):
        table.add_row(name, *(f"{count:,}" if count else "" for count in counts))
    return table


def _confusions(evaluation: Evaluation) -> Table:
    names = [*evaluation.names, BACKGROUND]
    wrong = evaluation.confusion.clone().fill_diagonal_(0)
    table = _table("Commonest confusions", ("in truth", "detected as"), ("times",))
    for place in wrong.flatten().argsort(descending=True, stable=True)[:COMMONEST].tolist():
        row, column = divmod(place, len(names))
        if wrong[row, column]:
            table.add_row(escape(names[row]), escape(names[column]), f"{int(wrong[row, column]):,}")
    return table


def _table(title: str, words: Iterable[str], numbers: Iterable[str]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for heading in words:
        table.add_column(heading)
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table


def _number(value: float) -> str:
    return "-" if value < 0 else f"{value:.3f}"
