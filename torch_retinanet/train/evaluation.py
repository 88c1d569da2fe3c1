"""How good the weights of a run are on the pictures it does not learn from."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.evaluate import coco_metrics, detect_annotated, evaluate
from torch_retinanet.evaluate.files import write_evaluation
from torch_retinanet.tiles import Tiling
from torch_retinanet.weights import read_weights


class Evaluator:
    """Evaluates weights on annotations, with a detector of its own, in single precision as `retinanet evaluate` does.

    Args:
        annotations: pictures and truth.
        config: conventions of the detector.
        device: where it runs.
        tiling: cuts pictures, as those are cut that the weights learn from.
    """

    def __init__(
        self, annotations: Annotations, config: RetinaNetConfig, device: torch.device, tiling: Tiling | None = None
    ) -> None:
        self.annotations, self.tiling = annotations, tiling
        self.detector = RetinaNetDetector(config).to(device).eval()

    def numbers(self, weights: Mapping[str, Tensor]) -> dict[str, float]:
        """COCO's numbers of weights."""
        self.detector.model.load_state_dict(weights)
        found = detect_annotated(self.detector, self.annotations, tiling=self.tiling)
        return coco_metrics(found.detections, found.targets)

    def report(self, weights: Path, folder: Path) -> None:
        """Leave what `retinanet evaluate --out` leaves of the weights in a file."""
        self.detector.model.load_state_dict(read_weights(weights).tensors)
        found = detect_annotated(self.detector, self.annotations, tiling=self.tiling)
        evaluation = evaluate(found.detections, found.targets, names=self.annotations.classes)
        folder.mkdir(exist_ok=True)
        write_evaluation(folder, evaluation, self.annotations, found, found.unreadable)
