"""The boxes of a data set beside anchors as they are and as proposed: their sizes, and how well they are covered."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from torch_retinanet.anchors import half_sides, smallest_side
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.data.anchor_coverage import SeenBoxes, coverage
from torch_retinanet.data.anchor_search import BOUNDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"as it is": "#d0143c", "proposed": "#23803a"}
"""Of the anchors; red and green as boxes without and with an anchor are on a sheet."""

MOST = 3_000
"""Boxes that are drawn; of more, every n-th."""


def plot_anchors(seen: SeenBoxes, config: RetinaNetConfig, proposed: RetinaNetConfig) -> "Figure":
    """Widths and heights of boxes and anchors, and the share of boxes over the IoU with their best anchor.

    Args:
        seen: boxes as the network sees them.
        config: with the anchors as they are.
        proposed: with those that are proposed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    shapes, shares = figure.subplots(1, 2)
    _draw_shapes(shapes, seen)
    shares.set(
        xlabel="IoU with the best anchor", ylabel="share of boxes with at least that", xlim=(0, 1), ylim=(0, 1.01)
    )
    for words, one in zip(COLOURS, (config, proposed), strict=True):
        half = torch.cat([half_sides(one, smallest_side(one, level)) for level in one.levels])
        width, height = (2 * half).T.numpy()
        shapes.scatter(width, height, marker="+", s=60, color=COLOURS[words], label=f"anchors, {words}")
        best = coverage(seen, one).sort().values
        rest = 1 - torch.arange(len(best) + 1) / len(best)
        shares.step(
            torch.cat([best.new_zeros(1), best]).numpy(), rest.numpy(), color=COLOURS[words], linewidth=2, label=words
        )
    for bound in BOUNDS:
        shares.axvline(bound, color="0.8", linewidth=1, zorder=0)
    for axes in (shapes, shares):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_shapes(axes: "Axes", seen: SeenBoxes) -> None:
    sides = (seen.boxes_xyxy[:, 2:] - seen.boxes_xyxy[:, :2])[:: max(1, len(seen.boxes_xyxy) // MOST)]
    axes.set(xscale="log", yscale="log", xlabel="width, pixels of the network", ylabel="height")
    width, height = sides.T.numpy()
    axes.scatter(width, height, s=10, color="0.45", alpha=0.6, linewidths=0, label="boxes")
    axes.set_aspect("equal", adjustable="datalim")


def _draw_shares(axes: "Axes", best_iou: Tensor, words: str) -> None:
    found = best_iou.sort().values
    rest = 1 - torch.arange(len(found) + 1) / len(found)
    axes.step(torch.cat([found.new_zeros(1), found]).numpy(), rest.numpy(), color=COLOURS[words], label=words)
