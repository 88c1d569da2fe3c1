"""A detector as one program from a batch of pictures to detections, which can be traced and exported.

It computes what `RetinaNetDetector` does in evaluation, for pictures of one size: any number of them, of any height and
width. The conventions are those of its config, each in a form that runtimes have operators for.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from torch_retinanet.boxes import clip, decode
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.model import RetinaNet
from torch_retinanet.postprocess import FACTORS
from torch_retinanet.traced.candidates import (
    NONE,
    Candidates,
    LevelOutputs,
    best_of_classes,
    best_of_levels,
    of_all_levels,
)
from torch_retinanet.traced.operators import ONNX, TORCH, Operators, kept_of
from torch_retinanet.traced.pictures import Fed, feed

NOT_TRACED: dict[str, tuple[object, object]] = {
    "resize_library": ("pil", "torch"),
    "resize_antialias": (True, False),
    "resized_to": ("bytes", "real"),
}
"""Values of conventions that no program has, whole numbers of Pillow and OpenCV, and smoothing; and what it has."""


class DetectionProgram(nn.Module):
    """Pictures (B,C,H,W) of one size, floating from 0 to 1, to detections, best first, in pixels of the pictures.

    They are a dict of `boxes` (B,D,4) xyxy, `scores` (B,D), `labels` (B,D) int64 and `count` (B,) int64, how many a
    picture has. D is the largest count of the batch; behind a picture's own detections there is 0.

    Args:
        network: in evaluation mode.
        config: the conventions of what surrounds it.
        operators: those of the runtime that the program is for.

    Raises:
        InputError: for a convention that no program has.
    """

    def __init__(self, network: RetinaNet, config: RetinaNetConfig, operators: Operators = TORCH) -> None:
        super().__init__()
        check_traceable(config)
        self.network, self.config, self.operators = network, config, operators

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return _counted(self.detected(images))

    def detected(self, images: Tensor) -> Candidates:
        """Detections with places behind them that stand for none, by their score."""
        config = self.config
        fed = feed(images, config, doubles=self.operators.doubles)
        levels = self._levels(fed.images)
        gather = best_of_levels if config.topk_per_level else of_all_levels
        found = gather(levels, config)
        if config.topk_per_class:
            found = best_of_classes(found, config, self.operators.order(found.scores))
        found = self._decoded(found, fed)
        best = self._sorted(kept_of(found, config, self.operators.suppress))
        boxes = best.boxes
        if fed.offsets is not None:
            boxes = boxes - _edges(fed.offsets)
        best = best._replace(boxes=boxes / _edges(fed.returns))
        if config.clip_detections:
            best = self._sorted(_clipped(best, images.shape[-2], images.shape[-1]))
        return best

    def _sorted(self, found: Candidates) -> Candidates:
        """The best of each picture, best first, as many as the config keeps."""
        order = self.operators.order(found.scores)
        if most := self.config.detections_per_picture:
            order = order[:, :most]
        boxes = found.boxes.gather(1, order[..., None].expand(-1, -1, 4))
        scores, labels = found.scores.gather(1, order), found.labels.gather(1, order)
        return found._replace(boxes=boxes, scores=scores, labels=labels)

    def _levels(self, fed: Tensor) -> list[LevelOutputs]:
        """What the heads say of each level, as `RetinaNet.forward` has it before levels are joined."""
        net, levels = self.network, []
        own = fed.to(next(net.parameters()).dtype)
        for place, (i, x) in enumerate(zip(self.config.levels, net.fpn(own), strict=True)):
            logits = net.flatten_output(net.cls_head(x, place=place), self.config.num_classes).to(fed.dtype)
            deltas = net.flatten_output(net.box_head(x, place=place), 4).to(fed.dtype)
            levels.append(
                LevelOutputs(i, logits.sigmoid(), deltas, x.shape[-2], x.shape[-1], fed.shape[-2], fed.shape[-1])
            )
        return levels

    def _decoded(self, found: Candidates, fed: Fed) -> Candidates:
        """Candidates whose boxes are decoded in place of deltas, cut off and dropped as the config says."""
        config = self.config
        variance, coding, axes = config.box_variance, config.box_coding, config.delta_axes
        how = FACTORS[config.box_clamp]
        boxes = decode(found.boxes, found.anchors, variance, coding=coding, axes=axes, **how)
        if config.clip_boxes:
            boxes = _cut(boxes, fed.border, config)
        scores = found.scores
        if config.empty_boxes != "kept":
            least = 1 if config.empty_boxes == "dropped_below_1" else 0
            low, high = boxes[..., :2], boxes[..., 2:]
            left = (high >= low + least) if least else (high > low)
            scores = torch.where(left.all(-1), scores, NONE)
        return found._replace(boxes=boxes, scores=scores)


def check_traceable(config: RetinaNetConfig) -> None:
    """Refuse a convention that no program has, with what to do.

    Raises:
        InputError: naming it.
    """
    for name, (value, instead) in NOT_TRACED.items():
        if getattr(config, name) == value:
            what = f"{name}: {value!r} cannot be part of an exported program"
            raise InputError(f"{what}; --raw exports the network alone; or train with {name}={instead!r}")


def _cut(boxes: Tensor, border: tuple[Tensor, Tensor], config: RetinaNetConfig) -> Tensor:
    """Boxes (B,D,4) cut off at the border, as `clip` and `clip_own_edges` do."""
    far = torch.stack([border[1], border[0]]) - (1 if config.clip_border == "last_pixel" else 0)
    low, high = boxes[..., :2].clamp(min=0), boxes[..., 2:]
    if config.clip_edges == "own":
        return torch.cat([low, torch.minimum(high, far)], dim=-1)
    return torch.cat([torch.minimum(low, far), torch.minimum(high.clamp(min=0), far)], dim=-1)


def _clipped(found: Candidates, height: int, width: int) -> Candidates:
    """What is left of detections in a picture; that of which nothing is left stands for none."""
    boxes = clip(found.boxes, height, width)
    left = (boxes[..., 2:] > boxes[..., :2]).all(-1)
    return found._replace(boxes=boxes, scores=torch.where(left, found.scores, NONE))


def _edges(pair: tuple[Tensor, Tensor]) -> Tensor:
    """Two numbers, by height and width, for the four edges of a box."""
    return torch.stack([pair[1], pair[0], pair[1], pair[0]])


def _counted(found: Candidates) -> dict[str, Tensor]:
    """Detections of which those that stand for none are cut off, and 0 where others have more."""
    shown = found.scores > NONE
    count = shown.sum(1)
    most = count.amax(0).item()
    torch._check(most >= 0)
    torch._check(most <= found.scores.shape[1])
    cut = [values[:, :most] for values in (found.boxes, found.scores, found.labels, shown)]
    boxes, scores, labels, kept = cut
    empty = {"boxes": torch.where(kept[..., None], boxes, 0), "scores": torch.where(kept, scores, 0)}
    return empty | {"labels": torch.where(kept, labels, 0), "count": count}


def detect_each(network: RetinaNet, config: RetinaNetConfig, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
    """Detections of each picture (C,H,W), as a detector gives them, in operations that can be traced.

    ONNX' operators are taken where a trace is made for ONNX.
    """
    for_onnx = torch.onnx.is_in_onnx_export()
    if for_onnx and torch._C._get_tracing_state():
        raise InputError("dynamo: False cannot export a detector to ONNX; give dynamo=True, or use `retinanet export`")
    program = DetectionProgram(network, config, ONNX if for_onnx else TORCH)
    return [_alone(program.detected(image[None])) for image in images]


def _alone(found: Candidates) -> dict[str, Tensor]:
    """The detections of a batch of one."""
    kept = (found.scores[0] > NONE).nonzero().squeeze(1)
    return {"boxes": found.boxes[0, kept], "scores": found.scores[0, kept], "labels": found.labels[0, kept]}


def is_traced() -> bool:
    """Whether torch is making a program of what runs, by torch.export, torch.onnx or torch.jit.trace."""
    exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)  # from torch 2.7 on
    return bool(exporting() or torch.onnx.is_in_onnx_export() or torch._C._get_tracing_state())
