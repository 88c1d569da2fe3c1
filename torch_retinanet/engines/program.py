"""A detector as one program from a batch of pictures to detections, which can be traced and exported.

It computes what `RetinaNetDetector` does in evaluation, for pictures of one size: any number of them, of any height and
width. The conventions are those of its config, each in a form that runtimes have operators for.
"""

import copy

import torch
from torch import Tensor, nn

from torch_retinanet.boxes import clip, decode
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.candidates import NONE, Candidates, Level, best_of_levels, of_all_levels
from torch_retinanet.engines.suppression import Suppress, kept_of
from torch_retinanet.engines.traced_pictures import Fed, feed
from torch_retinanet.errors import InputError
from torch_retinanet.postprocess import FACTORS

OUTPUTS = ("boxes", "scores", "labels", "count")
"""What a program gives, in order."""

NOT_TRACED: dict[str, tuple[object, ...]] = {
    "resize_library": ("pil",),
    "resize_antialias": (True,),
    "resized_to": ("bytes",),
}
"""The values of conventions that no program has: whole numbers of Pillow and OpenCV, and smoothing."""


class DetectionProgram(nn.Module):
    """Pictures (B,C,H,W) of one size, floating from 0 to 1, to detections, best first, in pixels of the pictures.

    They are a dict of `boxes` (B,D,4) xyxy, `scores` (B,D), `labels` (B,D) int64 and `count` (B,) int64, how many a
    picture has. D is the largest count of the batch; behind a picture's own detections there is 0.

    Args:
        detector: whose weights and conventions it has; it is copied, in float32 on the CPU.
        suppress: what drops boxes for better ones, in the operators of the runtime that it is for.
        doubles: whether that runtime computes in double precision where it is told to.

    Raises:
        InputError: for a convention that no program has.
    """

    def __init__(self, detector: RetinaNetDetector, suppress: Suppress, *, doubles: bool = True) -> None:
        super().__init__()
        check_traceable(detector.config)
        self.network = copy.deepcopy(detector.model).float().cpu().to(memory_format=torch.contiguous_format).eval()
        self.network.requires_grad_(False)
        self.config, self.suppress, self.doubles = detector.config, suppress, doubles

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        fed = feed(images, self.config, doubles=self.doubles)
        levels = self._levels(fed.images)
        gather = best_of_levels if self.config.topk_per_level else of_all_levels
        found = self._decoded(gather(levels, self.config), fed)
        most = self.config.detections_per_picture
        best = _sorted(kept_of(found, self.config, self.suppress), most)
        boxes = best.boxes
        if fed.offsets is not None:
            boxes = boxes - _edges(fed.offsets)
        best = best._replace(boxes=boxes / _edges(fed.returns))
        if self.config.clip_detections:
            best = _sorted(_clipped(best, images.shape[-2], images.shape[-1]), most)
        return _counted(best)

    def _levels(self, fed: Tensor) -> list[Level]:
        """What the heads say of each level, as `RetinaNet.forward` has it before levels are joined."""
        net, levels = self.network, []
        for place, (i, x) in enumerate(zip(self.config.levels, net.fpn(fed), strict=True)):
            logits = net.flatten_output(net.cls_head(x, place=place), self.config.num_classes)
            deltas = net.flatten_output(net.box_head(x, place=place), 4)
            levels.append(Level(i, logits.sigmoid(), deltas, x.shape[-2], x.shape[-1], fed.shape[-2], fed.shape[-1]))
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
    for name, values in NOT_TRACED.items():
        if getattr(config, name) in values:
            what = f"{name}: {getattr(config, name)!r} cannot be part of an exported program"
            raise InputError(f"{what}; --raw exports the network alone, or change it: it acts on detections alone")
    if config.topk_per_class:
        what = f"topk_per_class: {config.topk_per_class} cannot be part of an exported program"
        raise InputError(f"{what}; --raw exports the network alone, or set it to 0")


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


def _sorted(found: Candidates, most: int) -> Candidates:
    """The `most` best of each picture, best first; all where it is 0."""
    scores, order = found.scores.sort(dim=1, descending=True, stable=True)
    if most:
        scores, order = scores[:, :most], order[:, :most]
    boxes = found.boxes.gather(1, order[..., None].expand(-1, -1, 4))
    return found._replace(boxes=boxes, scores=scores, labels=found.labels.gather(1, order))


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
