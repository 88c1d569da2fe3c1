"""Curves of a run, from the files that it left: losses and learning rate, and the numbers of its evaluations."""

from pathlib import Path
from typing import Any

from torch_retinanet.files import atomic_write
from torch_retinanet.train.metrics_log import EVALUATIONS, STEPS, read_record

LOSSES_PLOT, MAP_PLOT = "losses.png", "map.png"


def plot_run(folder: Path) -> list[Path]:
    """Draw what there is to draw of the run in `folder`; gives the pictures written."""
    steps, evaluations = read_record(folder / STEPS), read_record(folder / EVALUATIONS)
    written = []
    if steps:
        written.append(_save(_losses(steps), folder / LOSSES_PLOT))
    if evaluations:
        written.append(_save(_numbers(evaluations), folder / MAP_PLOT))
    return written


def _losses(steps: dict[str, list[float]]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log", title="Losses")
    for name in ("loss", "classification", "bbox_regression"):
        axes.plot(steps["step"], steps[name], label=name.replace("_", " "))
    _finish(axes)
    return figure


def _numbers(evaluations: dict[str, list[float]]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="average precision", ylim=(0, 1), title="Evaluations")
    for name, label in (("map", "mAP"), ("map_50", "AP50"), ("map_75", "AP75")):
        axes.plot(evaluations["step"], evaluations[name], marker="o", label=label)
    axes.set_xlim(left=0)  # as the losses beside it, even of one evaluation
    _finish(axes)
    return figure


def _finish(axes: Any) -> None:
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Any, path: Path) -> Path:
    with atomic_write(path) as beside:
        figure.savefig(beside, dpi=120, format="png")
    return path
