"""What surrounds the port's network: anchors, targets, losses and detections, in numpy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

import torch_retinanet
from parity_tests.retinanet.anchors import NOTHING, Changed
from parity_tests.retinanet.focal import focal_losses
from parity_tests.retinanet.inputs import Labels, Scene, Size
from parity_tests.retinanet.matching import Detections, Limits
from parity_tests.retinanet.side import Focus
from parity_tests.rule.record import Array
from parity_tests.sides.torch_tensors import DTYPES, TorchTensors
from torch_retinanet.targets import Targets
from torch_retinanet.weights.keras_names import keras_name, to_keras

Config = torch_retinanet.RetinaNetConfig
"""The conventions of the port."""


class TorchSurroundings:
    """All of the port but its network, in the conventions of a config and one precision."""

    def __init__(self, config: Config, dtype: str) -> None:
        self.dtype = dtype
        self.surround(config)

    def surround(self, config: Config) -> None:
        """Take the conventions of what surrounds the network, which stays as it is, from `config`."""
        self.config = config
        self.anchor_box, self.loss = torch_retinanet.AnchorGenerator(config), torch_retinanet.RetinaNetLoss(config)
        self.label_encoder = torch_retinanet.LabelEncoder(config)
        self.decode_predictions = torch_retinanet.DecodePredictions(config)

    def anchors(self, size: Size, changed: Changed = NOTHING) -> Array:
        return self._anchor_box(changed).get_anchors(*size, dtype=DTYPES[self.dtype]).numpy()

    def anchors_per_level(self, size: Size, changed: Changed = NOTHING) -> Array:
        return np.array(self._anchor_box(changed).anchors_per_level(*size), np.float64)

    def _anchor_box(self, changed: Changed) -> torch_retinanet.AnchorGenerator:
        return torch_retinanet.AnchorGenerator(replace(self.config, **changed)) if changed else self.anchor_box

    def targets(self, size: Size, boxes: Sequence[Array], labels: Sequence[Labels]) -> dict[str, Array]:
        targets = self._encode(size, boxes, labels)
        classes = targets.classes.to(DTYPES[self.dtype])
        return {"targets.classes": classes.numpy(), "targets.deltas": targets.deltas.numpy()}

    def ignoring(self, size: Size, classes: Array, regions: Sequence[Array]) -> Array:
        assigned = torch.from_numpy(classes.astype(np.int64))
        targets = Targets(assigned, self.tensor(np.zeros((*classes.shape, 4))))
        found = self.label_encoder.ignore(targets, self._anchors(size), [self.tensor(each) for each in regions])
        return found.classes.numpy().astype(classes.dtype)

    def losses(self, outputs: Array, targets: Mapping[str, Array], focus: Focus | None = None) -> dict[str, Array]:
        tensor, assigned = self.tensor(outputs).to(DTYPES[self.dtype]), self._assigned_targets(targets)
        lose = partial(self._losses, self._focused(focus))
        each = [lose(tensor[i : i + 1], Targets(*(t[i : i + 1] for t in assigned))) for i in range(len(tensor))]
        total = self._total(lose(tensor, assigned))
        terms = {
            "loss.classification": torch.stack([losses["classification"] for losses in each]),
            "loss.box": torch.stack([losses["bbox_regression"] for losses in each]),
            "loss.normaliser": assigned.normaliser.to(assigned.deltas.dtype),
            "loss.total": total.reshape(1),
        }
        return {name: TorchTensors(self.dtype).array(term) for name, term in terms.items()}

    def loss_gradient(self, outputs: Array, targets: Mapping[str, Array], focus: Focus | None = None) -> Array:
        tensor = self.tensor(outputs).requires_grad_()
        losses = self._losses(self._focused(focus), tensor, self._assigned_targets(targets))
        (gradient,) = torch.autograd.grad(self._total(losses), tensor)
        return gradient.numpy()

    def focal_losses(self, outputs: Array, labels: Labels) -> dict[str, Array]:
        def lose(loss: nn.Module, given: Array, of: Labels) -> Array:
            lost: Array = loss(torch.from_numpy(given), torch.from_numpy(of)).numpy()
            return lost

        return focal_losses(torch_retinanet, lose, outputs, labels)

    def _assigned_targets(self, targets: Mapping[str, Array]) -> Targets:
        return Targets(torch.from_numpy(targets["targets.classes"]).long(), self.tensor(targets["targets.deltas"]))

    def _focused(self, focus: Focus | None) -> torch_retinanet.RetinaNetLoss:
        """The loss of the config, or with another focal loss."""
        if focus is None:
            return self.loss
        return torch_retinanet.RetinaNetLoss(replace(self.config, focal_alpha=focus.alpha, focal_gamma=focus.gamma))

    def _losses(self, loss: nn.Module, outputs: Tensor, targets: Targets) -> Mapping[str, Tensor]:
        """The losses of outputs; deltas alone are compared, whatever anchors they belong to."""
        deltas, logits = torch.split(outputs, [4, self.config.num_classes], dim=-1)
        anchors = deltas.new_zeros(deltas.shape[1], 4) + deltas.new_tensor([0, 0, 1, 1])
        losses: Mapping[str, Tensor] = loss(logits, deltas, targets, anchors)
        return losses

    def detections(self, outputs: Array, size: Size, limits: Limits | None = None) -> list[Detections]:
        deltas, logits = torch.split(self.tensor(outputs), [4, self.config.num_classes], dim=-1)
        per_level = self.anchor_box.anchors_per_level(*size)
        found = self._decoding(limits)(logits, deltas, self._anchors(size), per_level, [size] * len(outputs))
        return in_numpy(found)

    def _decoding(self, limits: Limits | None) -> torch_retinanet.DecodePredictions:
        if limits is None:
            return self.decode_predictions
        score, iou, most = limits
        return torch_retinanet.DecodePredictions(
            replace(self.config, score_threshold=score, nms_iou=iou, detections_per_picture=most)
        )

    def loss_of(self, scene: Scene) -> Callable[[Tensor], Tensor]:
        targets, anchors = self._encode(scene.size, scene.boxes, scene.labels), self._anchors(scene.size)

        def of_outputs(outputs: Tensor) -> Tensor:
            deltas, logits = torch.split(outputs, [4, self.config.num_classes], dim=-1)
            return self._total(self.loss(logits, deltas, targets, anchors))

        return of_outputs

    def _total(self, losses: Mapping[str, Tensor]) -> Tensor:
        return losses["classification"] + losses["bbox_regression"]

    def _encode(self, size: Size, boxes: Sequence[Array], labels: Sequence[Labels]) -> Targets:
        tensors = [self.tensor(b).reshape(-1, 4) for b in boxes]
        classes = [torch.from_numpy(np.asarray(ids, np.int64)) for ids in labels]
        per_level = self.anchor_box.anchors_per_level(*size)
        return self.label_encoder.encode_batch(self._anchors(size), tensors, classes, per_level)

    def _anchors(self, size: Size) -> Tensor:
        return self.anchor_box.get_anchors(*size, dtype=DTYPES[self.dtype])

    def tensor(self, values: Array) -> Tensor:
        dtype = "float32" if self.dtype == "bfloat16" else self.dtype  # which numpy has not
        return torch.from_numpy(np.array(values, dtype, order="C"))  # a copy, which the port may change


def in_numpy(found: Sequence[Mapping[str, Tensor]]) -> list[Detections]:
    """Detections of the port, picture by picture."""
    return [Detections(**{name: each[name].numpy() for name in Detections._fields}) for each in found]


def by_keras_name(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    """Copies of the variables among tensors of the port, by Keras name and in Keras' layout."""
    named = ((keras_name(name), tensor) for name, tensor in tensors.items())
    return {name: to_keras(tensor).numpy().copy() for name, tensor in named if name is not None}
