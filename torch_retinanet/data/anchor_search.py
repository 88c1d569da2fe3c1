"""Anchors that fit the boxes of a data set, found by trying: how small they begin, their ratios, and their levels."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.data.anchor_coverage import SeenBoxes, coverage

SCALES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.2)
"""Sides of a level's smallest square anchor, in strides: from half a cell up."""

SPREADS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
"""How many times wider than high the widest anchor is; the highest is as much higher than wide."""

SHARES = (0.1, 0.5, 0.9)
"""Where in the order of the boxes' own ratios three ratios are taken."""

BOUNDS = (0.4, 0.5)
"""IoUs from which on a box counts as covered."""

PRICES = {"min_level": 0.02, "anchor_ratios": 0.005, "anchor_scale": 0.002}
"""What a change must gain in the share of covered boxes: P2 has three times the anchors of all other levels."""

MOST = 2_000
"""Boxes that are tried; of more, those at even places in the order of their areas."""


def propose_anchors(seen: SeenBoxes, config: RetinaNetConfig) -> RetinaNetConfig:
    """The config with the anchors that cover most boxes; that itself where no others are worth it.

    Args:
        seen: boxes as the network sees them, one at least.
        config: of the model; its number of anchors a cell stays.
    """
    sample = _sample(seen)
    return max(_candidates(config, _ratios(sample, config)), key=lambda one: _worth(coverage(sample, one), config, one))


def covered(best_iou: Tensor, bound: float) -> float:
    """The share of boxes whose best anchor has an IoU of `bound` at least."""
    return float((best_iou >= bound).double().mean())


def _candidates(config: RetinaNetConfig, ratios: list[tuple[float, ...]]) -> Iterator[RetinaNetConfig]:
    yield config  # first: of equal ones it stays
    levels: list[dict[str, Any]] = [{}]
    if config.min_level > 2:  # the coarsest level stays where only that covers the large objects too
        tops = sorted({max(5, config.max_level - 1), config.max_level})
        levels += [{"min_level": 2, "max_level": top} for top in tops]
    for level in levels:
        for scale in (config.anchor_scale, *SCALES):
            for those in (config.anchor_ratios, *ratios):
                yield config.changed(anchor_scale=scale, anchor_sizes=(), anchor_ratios=those, **level)


def _worth(best_iou: Tensor, config: RetinaNetConfig, candidate: RetinaNetConfig) -> float:
    """The share of boxes that are covered, less what the changes must gain; of equal shares the higher IoU."""
    prices = sum(PRICES.get(name, 0) for name in candidate.differences(config))
    return sum(covered(best_iou, bound) for bound in BOUNDS) / len(BOUNDS) + 0.01 * float(best_iou.mean()) - prices


def _ratios(seen: SeenBoxes, config: RetinaNetConfig) -> list[tuple[float, ...]]:
    """Sets of as many ratios as the config has, in its meaning and order."""
    width, height = (seen.boxes_xyxy[:, 2:] - seen.boxes_xyxy[:, :2]).unbind(1)
    own = (width / height if config.anchor_ratio == "w/h" else height / width).log()
    if len(config.anchor_ratios) != len(SHARES):
        return []
    found = own.quantile(torch.tensor(SHARES, dtype=own.dtype)).exp()
    sets = [(1 / spread, 1.0, spread) for spread in SPREADS]
    return [tuple(round(ratio, 2) for ratio in those) for those in (*sets, found.tolist()) if len({*those}) > 2]


def _sample(seen: SeenBoxes) -> SeenBoxes:
    areas = (seen.boxes_xyxy[:, 2:] - seen.boxes_xyxy[:, :2]).prod(dim=1)
    places = torch.linspace(0, len(areas) - 1, min(len(areas), MOST)).round().long()
    chosen = areas.argsort()[places]
    return SeenBoxes(seen.boxes_xyxy[chosen], seen.sizes[chosen])
