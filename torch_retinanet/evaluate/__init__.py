"""How good detections are, in numbers, curves, tables and pictures."""

from torch_retinanet.evaluate.annotated import Annotated, detect_annotated
from torch_retinanet.evaluate.coco import COCO_NUMBERS, ClassNumbers, CocoEvaluation, coco_metrics, evaluate_coco
from torch_retinanet.evaluate.coco_truth import Truth, read_truth
from torch_retinanet.evaluate.confusion import confusion_table, plot_confusion
from torch_retinanet.evaluate.curves import plot_precision_recall
from torch_retinanet.evaluate.matching import KINDS, Matching, Mistake, match
from torch_retinanet.evaluate.mistake_sheet import MistakeSheet
from torch_retinanet.evaluate.mistakes import Mistakes, find_mistakes
from torch_retinanet.evaluate.results import json_list, read_results, result_rows
from torch_retinanet.evaluate.summary import Evaluation, evaluate
from torch_retinanet.evaluate.voc import VocEvaluation, evaluate_voc

__all__ = [
    "COCO_NUMBERS",
    "KINDS",
    "Annotated",
    "ClassNumbers",
    "CocoEvaluation",
    "Evaluation",
    "Matching",
    "Mistake",
    "MistakeSheet",
    "Mistakes",
    "Truth",
    "VocEvaluation",
    "coco_metrics",
    "confusion_table",
    "detect_annotated",
    "evaluate",
    "evaluate_coco",
    "evaluate_voc",
    "find_mistakes",
    "json_list",
    "match",
    "plot_confusion",
    "plot_precision_recall",
    "read_results",
    "read_truth",
    "result_rows",
]
