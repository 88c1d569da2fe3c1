"""How good detections are: COCO's numbers, by torchmetrics with faster-coco-eval."""

from collections.abc import Mapping, Sequence

from torch import Tensor

COCO_NUMBERS = (
    *("map", "map_50", "map_75", "map_small", "map_medium", "map_large"),
    *("mar_1", "mar_10", "mar_100", "mar_small", "mar_medium", "mar_large"),
)
"""The twelve in which COCO reports detections, by torchmetrics' names."""


def coco_metrics(
    detections: Sequence[Mapping[str, Tensor]], targets: Sequence[Mapping[str, Tensor]]
) -> dict[str, float]:
    """COCO's twelve numbers of detections against the truth, picture by picture; -1 where there is nothing to count.

    Args:
        detections: for each picture `boxes` (M,4) xyxy, `scores` (M,), `labels` (M,).
        targets: for each picture `boxes` (G,4) xyxy and `labels` (G,).

    Returns:
        `map` (mean over IoU 0.5 to 0.95), `map_50`, `map_75`, those by the size of objects (`map_small` and so on), and
        recalls (`mar_1`, `mar_10`, `mar_100` and by size). Source: Lin et al., Microsoft COCO (arXiv 1405.0312).
    """
    from torchmetrics.detection import MeanAveragePrecision

    metric = MeanAveragePrecision(backend="faster_coco_eval")
    metric.warn_on_many_detections = False  # the hundred best of a picture count, as COCO has it
    found = [{name: d[name].cpu() for name in ("boxes", "scores", "labels")} for d in detections]
    true = [{name: t[name].as_subclass(Tensor).cpu() for name in ("boxes", "labels")} for t in targets]
    metric.update(found, true)
    values = metric.compute()
    return {name: float(values[name]) for name in COCO_NUMBERS}
