"""What a run leaves of its steps and evaluations: two CSV files, and the same for TensorBoard."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from torch_retinanet.files import atomic_write

STEPS, EVALUATIONS = "metrics.csv", "evaluations.csv"
"""A line of each `log_every` steps, and one of each evaluation; the first column is the number of steps done."""


MEANS = ("rate", "loss", "classification", "bbox_regression", "gradient_norm")
TIMES = ("seconds", "pictures", "waited")
"""What a step gives; one without a picture has no losses."""


class Means:
    """Means over the steps since the last line; of times the sums, as pictures a second and the share of waiting."""

    def __init__(self) -> None:
        self._steps: list[Mapping[str, float]] = []

    def add(self, step: Mapping[str, float]) -> None:
        """Take what a step gave."""
        self._steps.append(step)

    def words(self) -> str:
        """Loss and speed, beside a bar."""
        means = self._means()
        speed = means["pictures_a_second"]
        words = f"loss {means['loss']:.3f}"
        return words if math.isnan(speed) else f"{words}, {speed:.1f} pictures/s"

    def take(self) -> dict[str, float]:
        """The means, and begin anew; NaN for a loss where no picture could be read, and for speeds on a clock that
        stood still."""
        means = self._means()
        self._steps.clear()
        return means

    def _means(self) -> dict[str, float]:
        seconds, pictures, waited = (sum(step[name] for step in self._steps) for name in TIMES)
        means = {name: self._mean(name) for name in MEANS}
        seconds = seconds or math.nan
        return means | {"pictures_a_second": pictures / seconds, "waited": waited / seconds}

    def _mean(self, name: str) -> float:
        """That of the steps that had a picture."""
        values = [step[name] for step in self._steps if name in step]
        return sum(values) / len(values) if values else math.nan


class Recorder:
    """Appends to the files of a run; what they hold of later steps than the run goes on from is taken out.

    Args:
        folder: of the run.
        step: steps done.
        writes: whether anything is written; of several processes one does.
    """

    def __init__(self, folder: Path, step: int, *, writes: bool = True) -> None:
        from tensorboardX import SummaryWriter

        self.folder, self.writes = folder, writes
        if not writes:
            return
        for name in (STEPS, EVALUATIONS):
            _cut_off(folder / name, step)
        self.tensorboard: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.writes:
            self.tensorboard.close()

    def write(self, name: str, step: int, values: Mapping[str, float]) -> None:
        """Append a line to `STEPS` or `EVALUATIONS`."""
        if not self.writes:
            return
        path = self.folder / name
        fresh = not path.exists() or not path.stat().st_size
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["step", *values])
            writer.writerow([step, *(f"{value:.6g}" for value in values.values())])
        for key, value in values.items():
            if not math.isnan(value):
                self.tensorboard.add_scalar(f"{Path(name).stem}/{key}", value, step)


def read_record(path: Path) -> dict[str, list[float]]:
    """The columns of a file that a `Recorder` wrote; none where there is no file."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else {})}


def _cut_off(path: Path, step: int) -> None:
    """Take out the lines of later steps, and one that was cut off as it was written."""
    if not path.exists():
        return
    header, *lines = path.read_text().splitlines(keepends=True) or [""]
    whole = [line for line in lines if line.endswith("\n") and line.count(",") == header.count(",")]
    kept = (
        ""
        if not header.endswith("\n")
        else "".join([header, *(line for line in whole if int(line.partition(",")[0]) <= step)])
    )
    with atomic_write(path) as beside:
        beside.write_text(kept)
