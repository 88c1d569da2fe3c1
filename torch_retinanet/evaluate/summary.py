"""All numbers of an evaluation together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from torch_retinanet.evaluate.coco import MAX_DETECTIONS, CocoEvaluation, evaluate_coco
from torch_retinanet.evaluate.confusion import BACKGROUND, confusion_table
from torch_retinanet.evaluate.matching import FOUND, SURE
from torch_retinanet.evaluate.mistakes import Mistakes, find_mistakes
from torch_retinanet.evaluate.voc import VocEvaluation, evaluate_voc


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How good detections are.

    Attributes:
        names: of the K classes.
        pictures: how many there are.
        coco: COCO's numbers.
        voc: VOC's AP50.
        confusion: (K+1,K+1) at IoU 0.5 and a score of 0.3, rows truth, columns detections, background last.
        mistakes: at that score.
    """

    names: Sequence[str]
    pictures: int
    coco: CocoEvaluation
    voc: VocEvaluation
    confusion: Tensor
    mistakes: Mistakes

    def as_dict(self) -> dict[str, Any]:
        """All numbers by names, in types that JSON has; `None` where there is nothing to count."""
        classes = [
            {"name": name, **_counted({**numbers._asdict(), "voc_ap_50": voc_ap})}
            for name, numbers, voc_ap in zip(self.names, self.coco.classes, self.voc.classes, strict=True)
        ]
        table = {"iou": FOUND, "score": SURE, "classes": [*self.names, BACKGROUND], "table": self.confusion.tolist()}
        return {
            "pictures": self.pictures,
            "objects": self.objects,
            "max_detections": self.coco.max_detections,
            "cut_off": self.coco.cut_off,
            "coco": _counted(self.coco.numbers),
            **_counted({"voc_ap_50": self.voc.mean}),
            "classes": classes,
            "confusion": table,
            "mistakes": self.mistakes.totals(),
        }

    @property
    def objects(self) -> int:
        """How many there are to be found."""
        return sum(numbers.objects for numbers in self.coco.classes)


def _counted(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers with `None` for -1, by which COCO says that there is nothing to count."""
    return {name: None if value < 0 else value for name, value in numbers.items()}


def evaluate(
    detections: Sequence[Mapping[str, Tensor]],
    targets: Sequence[Mapping[str, Tensor]],
    *,
    names: Sequence[str],
    max_detections: int = MAX_DETECTIONS,
) -> Evaluation:
    """All numbers of detections against the truth, picture by picture.

    Args:
        detections: for each picture `boxes` (M,4) xyxy, `labels` (M,), `scores` (M,).
        targets: for each picture `boxes` (G,4) xyxy, `labels` (G,); `ignored` (G,) and `area` (G,) as `coco_metrics`
            has them.
        names: of the K classes; labels are 0 to K - 1, and -1 for boxes that are ignored whatever is found there.
        max_detections: how many detections of a class COCO's numbers count on a picture, above 10.
    """
    return Evaluation(
        names=names,
        pictures=len(targets),
        coco=evaluate_coco(detections, targets, num_classes=len(names), max_detections=max_detections),
        voc=evaluate_voc(detections, targets, num_classes=len(names)),
        confusion=confusion_table(detections, targets, num_classes=len(names)),
        mistakes=find_mistakes(detections, targets),
    )
