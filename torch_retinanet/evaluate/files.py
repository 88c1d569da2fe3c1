"""What an evaluation leaves in a folder: numbers, detections, curves, confusions, and mistakes as pictures."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.dataset import Unreadable
from torch_retinanet.evaluate.annotated import Annotated
from torch_retinanet.evaluate.confusion import plot_confusion
from torch_retinanet.evaluate.curves import plot_precision_recall
from torch_retinanet.evaluate.mistake_sheet import MistakeSheet
from torch_retinanet.evaluate.results import json_list, result_rows
from torch_retinanet.evaluate.summary import Evaluation
from torch_retinanet.files import atomic_write
from torch_retinanet.pictures import read_picture, to_pillow

METRICS, DETECTIONS = "metrics.json", "detections.json"
CURVES, CONFUSION, MISTAKES = "precision_recall.png", "confusion.png", "mistakes.png"

DOTS = 130
"""Pixels an inch of plots."""


def write_numbers(path: Path, evaluation: Evaluation, unreadable: Sequence[Unreadable] = ()) -> None:
    """Write all numbers as JSON, and the pictures that could not be read."""
    pictures = [{"picture": str(one.path), "reason": one.reason} for one in unreadable]
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(evaluation.as_dict() | {"unreadable": pictures}, indent=1) + "\n")


def write_evaluation(
    folder: Path,
    evaluation: Evaluation,
    annotations: Annotations,
    annotated: Annotated,
    unreadable: Sequence[Unreadable],
) -> None:
    """Write all files into a folder that is there."""
    write_numbers(folder / METRICS, evaluation, unreadable)
    with json_list(folder / DETECTIONS) as append:
        for row in _results(annotations, annotated):
            append(row)
    objects = [numbers.objects for numbers in evaluation.coco.classes]
    _write_plot(folder / CURVES, plot_precision_recall(evaluation.coco.precision, objects, evaluation.names))
    _write_plot(folder / CONFUSION, plot_confusion(evaluation.confusion, evaluation.names))

    def read(index: int) -> Image.Image:
        picture = annotated.indices[index]
        pixels = read_picture(
            annotations.pictures[picture], upright=not annotations.as_stored[picture], white=annotations.white
        )
        return to_pillow(pixels)

    sheet = MistakeSheet(annotated.detections, annotated.targets, names=evaluation.names, read=read)
    with atomic_write(folder / MISTAKES) as beside:
        sheet.draw(evaluation.mistakes).save(beside, "PNG")


def _results(annotations: Annotations, annotated: Annotated) -> Iterator[dict[str, Any]]:
    """The results by the ids of a COCO file; of other formats pictures and classes count from 1.

    Detections of a class that the file does not have are left out: it has no id for them.
    """
    picture_ids = annotations.picture_ids or range(1, len(annotations.pictures) + 1)
    class_ids = annotations.class_ids or range(1, len(annotations.classes) + 1)
    for index, detections in zip(annotated.indices, annotated.detections, strict=True):
        name = annotations.pictures[index].name
        for row in result_rows(detections, picture_id=picture_ids[index], file_name=name, class_ids=class_ids):
            if row["category_id"] >= 0:
                yield row


def _write_plot(path: Path, figure: Any) -> None:
    with atomic_write(path) as beside:
        figure.savefig(beside, format="png", dpi=DOTS)
