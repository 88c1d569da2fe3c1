"""What was measured, as a table, as JSON, and as a plot."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from torch_retinanet import __version__
from torch_retinanet.benchmark.task import Task
from torch_retinanet.benchmark.turns import Ratio, Seconds, ratio

if TYPE_CHECKING:
    from rich.table import Table

MEBIBYTE = 2**20


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One task with a number of threads.

    Attributes:
        task: what was done.
        threads: of each contender.
        seconds: what the turns of each contender took.
        reference: the contender that others are divided by.
        operations: floating-point operations of the network, where the task is the network.
        operations_a_second: the most that this machine reaches in float32 with as many threads.
    """

    task: Task
    threads: int
    seconds: Sequence[Seconds]
    reference: str
    operations: float | None = None
    operations_a_second: float | None = None

    @property
    def is_cpu_time(self) -> bool:
        """Whether CPU time counts, which other processes do not disturb, or time on the clock."""
        return self.threads == 1 and self.task.device == "cpu"

    @property
    def clock(self) -> str:
        """What counts, for people."""
        return "CPU time, 1 thread" if self.is_cpu_time else f"wall time, {self.threads} threads"

    def ratio(self, one: Seconds) -> Ratio | None:
        """How much longer a contender takes than the reference in turns beside it."""
        other = next((s for s in self.seconds if s.contender == self.reference and not s.failed), None)
        return None if other is None or one.failed else ratio(self.counted(one), self.counted(other))

    def counted(self, one: Seconds) -> Sequence[float]:
        """The seconds of the turns of a contender that count."""
        return one.cpu if self.is_cpu_time else one.wall

    def share_of_limit(self, one: Seconds) -> float | None:
        """The share that a contender reaches of the operations a second that direct convolutions of this machine do."""
        if self.operations is None or self.operations_a_second is None or one.failed:
            return None
        return self.operations / sorted(self.counted(one))[len(self.counted(one)) // 2] / self.operations_a_second


def table(measured: Measured) -> "Table":
    """For people."""
    from rich.table import Table

    shown = Table(title=f"{measured.task.title}: {measured.clock}", title_justify="left")
    shown.add_column("")
    for heading in ("seconds", f"to {measured.reference}", "spread", "memory", "of the limit"):
        shown.add_column(heading, justify="right")
    for one in measured.seconds:
        shown.add_row(one.contender, *_cells(measured, one))
    failed = [f"{one.contender}: {one.failed}" for one in measured.seconds if one.failed]
    shown.caption, shown.caption_justify = "\n".join(failed) or None, "left"
    return shown


def _cells(measured: Measured, one: Seconds) -> list[str]:
    if one.failed:
        return ["failed"]
    found, share = measured.ratio(one), measured.share_of_limit(one)
    seconds = sorted(measured.counted(one))
    return [
        f"{seconds[len(seconds) // 2]:.3f}",
        "-" if found is None else f"{found.median:.2f}",
        "-" if found is None else f"{found.least:.2f} to {found.most:.2f}",
        f"{one.memory / MEBIBYTE:,.0f} MiB" if one.memory else "-",
        "-" if share is None else f"{share:.0%}",
    ]


def as_json(all_measured: Sequence[Measured], missing: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """All seconds of all turns, the ratios, and what they were measured with."""
    return {
        "schema": 1,
        "machine": {"processor": processor(), "cores": os.cpu_count(), "system": platform.system()},
        "versions": {"torch_retinanet": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "missing": {name: list(packages) for name, packages in missing.items()},
        "measured": [_as_dict(measured) for measured in all_measured],
    }


def _as_dict(measured: Measured) -> dict[str, Any]:
    facts = {name: getattr(measured, name) for name in ("threads", "reference", "operations", "operations_a_second")}
    contenders = []
    for one in measured.seconds:
        found = measured.ratio(one)
        contenders.append(asdict(one) | {"ratio": None if found is None else asdict(found)})
    return {"task": measured.task.as_dict(), **facts, "contenders": contenders}


def processor() -> str:
    """What the machine's processor, or its GPU, is called."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def plot(all_measured: Sequence[Measured]) -> Any:
    """A figure of bars: for each task how long each contender takes beside the reference."""
    from matplotlib.figure import Figure

    rows = [(m, one, found) for m in all_measured for one in m.seconds if (found := m.ratio(one)) is not None]
    figure = Figure(figsize=(8, 0.6 + 0.32 * len(rows) + 0.5 * len(all_measured)), layout="constrained")
    heights = [sum(m is row[0] for row in rows) for m in all_measured]
    axes = figure.subplots(len(all_measured), 1, squeeze=False, height_ratios=[max(h, 1) for h in heights])[:, 0]
    for place, measured in zip(axes, all_measured, strict=True):
        _bars(place, measured, [(one.contender, found) for m, one, found in rows if m is measured])
    return figure


def _bars(place: Any, measured: Measured, rows: Sequence[tuple[str, Ratio]]) -> None:
    names, ratios = [name for name, _ in rows], [found for _, found in rows]
    medians = [found.median for found in ratios]
    spread = [[f.median - f.least for f in ratios], [f.most - f.median for f in ratios]]
    colours = ["tab:gray" if name == measured.reference else "tab:blue" for name in names]
    place.barh(names, medians, xerr=spread, color=colours, height=0.7)
    for y, found in enumerate(ratios):
        place.text(found.most, y, f"  {found.median:.2f}", va="center", fontsize=8)
    place.axvline(1, color="black", linewidth=0.6)
    place.invert_yaxis()
    place.margins(x=0.12)
    place.set_title(f"{measured.task.title}: {measured.clock}", fontsize=9, loc="left")
    place.tick_params(labelsize=8)
    place.spines[["top", "right"]].set_visible(False)
