"""Which class is taken for which, and for background."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from torch_retinanet.evaluate.matching import SURE, match
from torch_retinanet.evaluate.plotted_names import plotted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BACKGROUND = "background"
"""What the last row and column are called."""

READABLE = 44
"""Letters of names of classes that have room beside each other."""

WRITTEN = 20
"""Classes up to which a plotted table has its numbers in it."""


def confusion_table(
    detections: Sequence[Mapping[str, Tensor]],
    targets: Sequence[Mapping[str, Tensor]],
    *,
    num_classes: int,
    threshold: float = SURE,
) -> Tensor:
    """Counts (K+1,K+1): rows the classes of objects, columns those of detections, background last in both.

    The last column counts objects that nothing was at the place of, the last row detections of nothing, or of an object
    that was found already. Pairs are those of `matching.match`, at IoU 0.5 and from a score on.
    """
    table = torch.zeros(num_classes + 1, num_classes + 1, dtype=torch.int64)
    for found, target in zip(detections, targets, strict=True):
        matching = match(found, target, threshold=threshold)
        for detection, object_ in matching.pairs:
            table[target["labels"][object_], found["labels"][detection]] += 1
        for detection in matching.extra:
            table[-1, found["labels"][detection]] += 1
        for object_ in matching.missing:
            table[target["labels"][object_], -1] += 1
    return table


def plot_confusion(table: Tensor, names: Sequence[str]) -> "Figure":
    """The table as a picture, in colours the shares of objects of a class, and of detections that were of no object.

    Args:
        table: of `confusion_table`, (K+1,K+1).
        names: of the K classes.
    """
    from matplotlib.figure import Figure

    size, headings = len(table), [*map(plotted, names), BACKGROUND]
    inches = min(14, max(4.5, 1.8 + 0.55 * size))
    figure = Figure(figsize=(inches + 0.8, inches), layout="constrained")
    axes = figure.add_subplot(xlabel="detected", ylabel="in truth", title="Confusion at IoU 0.5")
    shares = table / table.sum(1, keepdim=True).clamp(min=1)
    shares[-1] = table[-1] / table.sum(0).clamp(min=1)
    shown = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    letters = min(10, 450 / size)
    axes.set_xticks(range(size), headings, rotation=90 if len("".join(headings)) > READABLE else 0, fontsize=letters)
    axes.set_yticks(range(size), headings, fontsize=letters)
    axes.tick_params(length=0)
    figure.colorbar(shown, ax=axes, shrink=0.7, label="share of the row, in the last row of the column")
    if size <= WRITTEN + 1:
        for row, column in table.nonzero().tolist():
            colour = "white" if shares[row, column] > 0.5 else "black"
            count = int(table[row, column])
            axes.text(column, row, f"{count:,}", color=colour, ha="center", va="center", fontsize=letters)
    return figure
