"""Curves of precision over recall, class by class."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from torch_retinanet.evaluate.plotted_names import plotted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURED = 10
"""Classes that have a colour and a name of their own; the others are gray."""


def plot_precision_recall(precision: Tensor, objects: Sequence[int], names: Sequence[str]) -> "Figure":
    """Precision over recall at IoU 0.5: of each class that has objects, and the mean.

    Args:
        precision: (K,101) at the recalls 0, 0.01, ..., 1, as `evaluate_coco` gives it; -1 where a class has no object.
        objects: of each of the K classes; those with most are coloured.
        names: of the K classes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    title = "Precision and recall at IoU 0.5"
    axes = figure.add_subplot(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title=title)
    recall = torch.linspace(0, 1, precision.shape[1]).numpy()
    known = [label for label in range(len(names)) if objects[label]]
    first = sorted(known, key=lambda label: -objects[label])[:COLOURED]
    others = [label for label in known if label not in first]
    curves = precision.numpy()
    for i, label in enumerate(others):
        axes.plot(recall, curves[label], color="0.8", linewidth=0.7, label=None if i else f"{len(others)} others")
    for label in first:
        axes.plot(recall, curves[label], linewidth=1.4, label=f"{plotted(names[label])} {curves[label].mean():.2f}")
    if len(known) > 1:
        mean = curves[known].mean(0)
        axes.plot(recall, mean, color="black", linewidth=2.2, label=f"mean {mean.mean():.2f}")
    if known:
        figure.legend(loc="outside right upper", frameon=False, title="AP50")
    else:
        axes.text(0.5, 0.5, "no objects", ha="center", va="center")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
