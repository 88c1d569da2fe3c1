"""Faults that show at the edges of detections, at sure scores, and in networks of other sizes; and where they do."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms, box_iou

from parity_tests.tests.support.port_faults import Fault, patch, result
from torch_retinanet import RetinaNet, RetinaNetConfig, model, postprocess
from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.heads import FLATTENERS
from torch_retinanet.layers import PopulationBatchNorm2d
from torch_retinanet.losses.detection import RetinaNetClassificationLoss, RetinaNetLoss
from torch_retinanet.targets import BACKGROUND, Targets

EDGES, LOSSES = ("detections", "edges"), ("losses", "128x128")


def anchors_made(change: Callable[[Tensor, RetinaNetConfig], Tensor]) -> Fault:
    """Anchors that are changed where a config has what others have not."""

    def faulty(make: Any) -> Any:
        return lambda self, *given, **more: change(make(self, *given, **more), self.config)

    return patch("torch_retinanet.anchors.AnchorGenerator.get_anchors", faulty)


def first_channel_last(make: Any) -> Any:
    """Pictures of four channels by another order of these."""
    return lambda backbone, images, taps: make(backbone, images.roll(1, 1) if images.shape[1] == 4 else images, taps)


def right(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float) -> Tensor:
    """The port's own suppression."""
    return RIGHT(boxes, scores, labels, iou)


RIGHT: Callable[..., Tensor] = postprocess.class_wise_nms


def best_first(keep: Tensor, scores: Tensor) -> Tensor:
    """Indices by their scores, those of equal ones as they come."""
    order: Tensor = scores[keep].sort(descending=True, stable=True).indices
    return keep[order]


def suppressed(function: Any) -> Fault:
    """Another suppression in place of the port's."""
    return lambda monkeypatch: monkeypatch.setattr(postprocess, "class_wise_nms", function)


def at_the_threshold(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float) -> Tensor:
    """`>=` for `>` where two boxes overlap."""
    return right(boxes, scores, labels, iou - 1e-12)


def the_last_of_equals(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float) -> Tensor:
    """The last of equal scores stays."""
    return len(boxes) - 1 - right(boxes.flip(0), scores.flip(0), labels.flip(0), iou)


def by_anchors(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float) -> Tensor:
    """Of equal scores that of the first anchor, whatever its class."""
    keep = right(boxes, scores, labels, iou).sort().values
    return best_first(keep, scores)


def over_all(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float) -> Tensor:
    """All classes together."""
    return right(boxes, scores, torch.zeros_like(labels), iou)


def by_offsets(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float) -> Tensor:
    """All classes at once, each moved away by its number times the largest coordinate."""
    moved = boxes + labels[:, None].to(boxes) * (boxes.max() + 1)
    return right(moved, scores, torch.zeros_like(labels), iou)


def normaliser_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses divided by anchors that are ignored, too."""
    monkeypatch.setattr(Targets, "normaliser", property(lambda self: (self.classes != BACKGROUND).sum(dim=1)))


def by_dropped_ones(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float) -> Tensor:
    """A box that is itself dropped drops others."""
    better = (scores[None] > scores[:, None]) & (labels[None] == labels[:, None])
    keep = (~((box_iou(boxes, boxes) > iou) & better).any(1)).nonzero().squeeze(1)
    return best_first(keep, scores)


def cut(change: Any) -> Fault:
    """Other limits of what is detected."""
    return patch(
        "torch_retinanet.postprocess.DecodePredictions.__init__",
        lambda make: lambda self, config: make(self, change(config)),
    )


def one_less_score(self: Any, logits: Tensor, classes: Tensor) -> Tensor:
    """One less a score, of which nothing is left where the score is sure."""
    true = classes.unsqueeze(-1) == torch.arange(logits.shape[-1])
    p = torch.where(true, logits.sigmoid(), 1 - logits.sigmoid())
    weight = torch.where(true, self.of_right, self.of_wrong).to(logits)
    towards = torch.where(true, logits, -logits)
    loss: Tensor = -(weight * (1 - p) ** self.gamma * F.logsigmoid(towards)).sum(-1)
    return loss


def clamped(self: Any, logits: Tensor, classes: Tensor) -> Tensor:
    """Scores that are cut off at 1e-7, as Keras does with probabilities."""
    true = classes.unsqueeze(-1) == torch.arange(logits.shape[-1])
    p = torch.where(true, logits.sigmoid(), 1 - logits.sigmoid()).clamp(1e-7, 1 - 1e-7)
    weight = torch.where(true, self.of_right, self.of_wrong).to(logits)
    loss: Tensor = -(weight * (1 - p) ** self.gamma * p.log()).sum(-1)
    return loss


def divided_by_nothing(self: Any, sums: Tensor, normaliser: Tensor, keep_empty: bool) -> Tensor:
    """A mean that is right, and whose gradient is NaN without boxes."""
    return torch.where(normaliser > 0, sums / normaliser, 0).sum() / max(1, len(sums))


def focal(function: Any) -> Fault:
    """Another focal loss."""
    return lambda monkeypatch: monkeypatch.setattr(RetinaNetClassificationLoss, "forward", function)


def kept_by_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs of the first pictures of each shape, whatever is asked."""
    make, kept = RetinaNet.forward, dict[torch.Size, Tensor]()

    def forward(self: Any, images: Tensor, taps: Any = None) -> Tensor:
        return make(self, kept.setdefault(images.shape, images), taps)

    monkeypatch.setattr(RetinaNet, "forward", forward)


def in_half_beyond_1024(anchors: Tensor) -> Tensor:
    """Centres beyond 1024 that bfloat16 cannot tell apart."""
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    moved = torch.where(centres > 1024, centres.bfloat16().to(anchors) - centres, 0)
    return anchors + moved.repeat(1, 2)


def no_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anchors that are handed out as they are kept."""
    make, kept = AnchorGenerator.get_anchors, dict[tuple[Any, ...], Tensor]()

    def get_anchors(self: Any, *size: int, **settings: Any) -> Tensor:
        return kept.setdefault((self.config, *size, *settings.values()), make(self, *size, **settings))

    monkeypatch.setattr(AnchorGenerator, "get_anchors", get_anchors)


def kept_by_area(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anchors that are computed once for each number of pixels."""
    make, kept = AnchorGenerator.get_anchors, dict[int, Tensor]()

    def get_anchors(self: Any, height: int, width: int, **settings: Any) -> Tensor:
        return kept.setdefault(height * width, make(self, height, width, **settings))

    monkeypatch.setattr(AnchorGenerator, "get_anchors", get_anchors)


def nearer(config: RetinaNetConfig) -> RetinaNetConfig:
    """The next smaller threshold of scores at the edges, which makes `>=` of `>`."""
    half = config.score_threshold == 0.5
    return replace(config, score_threshold=math.nextafter(0.5, 0)) if half else config


def more(count: int) -> Callable[[RetinaNetConfig], RetinaNetConfig]:
    """So many detections more."""
    return lambda config: replace(config, detections_per_picture=config.detections_per_picture + count)


EDGE_FAULTS: dict[str, tuple[str, str, Fault, str]] = {
    "a score at the threshold counts": (
        *EDGES,
        cut(nearer),
        "det.set",
    ),
    "an overlap at the threshold drops": (*EDGES, suppressed(at_the_threshold), "det.set"),
    "the last of equal scores": (*EDGES, suppressed(the_last_of_equals), "det.set"),
    "equal scores in the order of anchors": (*EDGES, suppressed(by_anchors), "det.set"),
    "suppression by offsets": (*EDGES, suppressed(batched_nms), "det.set"),
    "suppression by offsets, equal scores as they were": (*EDGES, suppressed(by_offsets), "det.set"),
    "positive anchors and ignored ones in the normaliser": (*LOSSES, normaliser_of_all, "loss.normaliser"),
    "suppression over all classes at once": (*EDGES, suppressed(over_all), "det.set"),
    "dropped boxes drop others": (*EDGES, suppressed(by_dropped_ones), "det.set"),
    "one detection less": (*EDGES, cut(more(-1)), "det.set"),
    "one detection more": (*EDGES, cut(more(1)), "det.set"),
    "one less a score": (*LOSSES, focal(one_less_score), "loss.classification"),
    "scores that are cut off": (*LOSSES, focal(clamped), "loss.classification"),
    "a gradient divided by nothing": (
        *LOSSES,
        lambda monkeypatch: monkeypatch.setattr(RetinaNetLoss, "_divide", divided_by_nothing),
        "loss.gradient",
    ),
    "outputs kept by the shape of pictures": ("forward", "asked again", kept_by_shape, "outputs"),
    "anchors that are no copies": ("anchors", "64x64", no_copies, "anchors"),
    "centres in half precision": (
        "anchors",
        "32x1344",
        patch("torch_retinanet.anchors.AnchorGenerator.get_anchors", result(in_half_beyond_1024)),
        "anchors",
    ),
    "anchors kept by the picture's area": ("anchors", "", kept_by_area, "anchors"),
}
"""Faults by what they are: rung, case, how they are planted, and the name where they show."""


def flattened(change: Callable[[Tensor, Tensor], Tensor]) -> Fault:
    """Heads whose maps are laid out otherwise, made from the map and what is right."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        flatten = FLATTENERS["row_column_anchor"]
        wrong = {"row_column_anchor": lambda scores, each: change(scores, flatten(scores, each))}
        monkeypatch.setattr(model, "FLATTENERS", FLATTENERS | wrong)

    return plant


def as_it_lies(scores: Tensor, right: Tensor) -> Tensor:
    """A map with channels last that is read as it lies in memory, by whom it takes for channels first."""
    if scores.is_contiguous() or not scores.is_contiguous(memory_format=torch.channels_last):
        return right
    plain = torch.as_strided(scores, scores.shape, torch.empty(scores.shape).stride())
    return plain.permute(0, 2, 3, 1).reshape(right.shape)


def without_a_class(self: Any, logits: Tensor, classes: Tensor) -> Tensor:
    """No loss where there is one class, as of a softmax."""
    loss: Tensor = RIGHT_LOSS(self, logits, classes)
    return loss * 0 if logits.shape[-1] == 1 else loss


def as_softmax(self: Any, logits: Tensor, classes: Tensor) -> Tensor:
    """Two classes whose scores add up to one."""
    centred = logits - logits.mean(-1, keepdim=True) if logits.shape[-1] == 2 else logits
    loss: Tensor = RIGHT_LOSS(self, centred, classes)
    return loss


RIGHT_LOSS = RetinaNetClassificationLoss.forward


def of_the_first_of_three(make: Any) -> Any:
    """BatchNorm that sees the first picture alone of a batch of three."""

    def forward(self: Any, x: Tensor) -> Tensor:
        seen = x[:1].expand_as(x) if self.training and len(x) == 3 else x
        made: Tensor = make(self, seen)
        return made

    return forward


def batch_norm(follows: Callable[[Tensor], bool]) -> Fault:
    """BatchNorm that follows some batches alone."""

    def plant(monkeypatch: pytest.MonkeyPatch) -> None:
        own = PopulationBatchNorm2d.forward

        def forward(self: Any, x: Tensor) -> Tensor:
            return own(self, x) if follows(x) or not self.training else nn.BatchNorm2d.forward(self.eval(), x)

        monkeypatch.setattr(PopulationBatchNorm2d, "forward", forward)

    return plant


def coarse_in_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions that keep five digits less in bfloat16."""
    own = nn.Conv2d.forward

    def forward(self: Any, x: Tensor) -> Tensor:
        made = own(self, x)
        return made * (1 + 2**-3) if made.dtype is torch.bfloat16 else made

    monkeypatch.setattr(nn.Conv2d, "forward", forward)


VARIATION_FAULTS: dict[str, tuple[str, Fault, str]] = {
    "one class without a loss": ("1 class, batch of 2", focal(without_a_class), "loss.classification"),
    "two classes as a softmax": (
        "2 classes, batch of 1, 15 anchors a cell on P2 to P7",
        focal(as_softmax),
        "loss.classification",
    ),
    "pictures beyond 1024 cut": (
        "1 class, batch of 2",
        flattened(lambda scores, right: right * (scores.shape[-1] <= 128)),
        "logits",
    ),
    "the third picture for the first": (
        "3 classes, batch of 3, channels last, 6 anchors a cell on P3 to P6",
        flattened(lambda scores, right: right.roll(1, dims=0) if len(right) > 2 else right),
        "logits",
    ),
    "channels last read as they lie": (
        "3 classes, batch of 3, channels last, 6 anchors a cell on P3 to P6",
        flattened(as_it_lies),
        "logits",
    ),
    "labels in a byte": (
        "200 classes, batch of 1, gray, 3 anchors a cell on P3 to P7",
        patch(
            "torch_retinanet.targets.LabelEncoder.encode_batch",
            result(lambda targets: targets._replace(classes=targets.classes.to(torch.int8).long())),
        ),
        "targets.classes",
    ),
    "one picture by what was learned": (
        *(
            "2 classes, batch of 1, 15 anchors a cell on P2 to P7",
            batch_norm(lambda x: x.shape[0] != 1),
            "fpn/backbone/conv1_bn/moving_mean",
        ),
    ),
    "statistics of the first picture of three": (
        "3 classes, batch of 3, channels last, 6 anchors a cell on P3 to P6",
        patch("torch_retinanet.layers.PopulationBatchNorm2d.forward", of_the_first_of_three),
        "fpn/backbone/conv1_bn/moving_mean",
    ),
    "P2's anchors too large": (
        "2 classes, batch of 1, 15 anchors a cell on P2 to P7",
        anchors_made(lambda boxes, config: boxes * 1.01 if config.min_level == 2 else boxes),
        "targets.classes",
    ),
    "sizes of anchors from the coarsest level on": (
        "2 classes, batch of 2, 4 channels, 3 anchors a cell on P2 to P5, a size for each level",
        anchors_made(lambda boxes, config: boxes.flip(0) if config.anchor_sizes else boxes),
        "targets.classes",
    ),
    "the last of four channels for the first": (
        "2 classes, batch of 2, 4 channels, 3 anchors a cell on P2 to P5, a size for each level",
        patch("torch_retinanet.fpn.run_backbone", first_channel_last),
        "stem",
    ),
    "coarse in half precision": ("isolated", coarse_in_half, "stem"),
}
"""Faults by what they are: case of the rung *variations*, how they are planted, and the name where they show."""
