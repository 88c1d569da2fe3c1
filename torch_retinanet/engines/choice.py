"""The fastest engine by a measurement of a few seconds, which is remembered for this machine and this model."""

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from torch_retinanet import __version__
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.engine import Runtime
from torch_retinanet.engines.registry import RUNTIMES, usable
from torch_retinanet.files import atomic_write
from torch_retinanet.inference.way import Precision
from torch_retinanet.predict import Engine
from torch_retinanet.weights.digest import digest_of_tensors

ROUNDS = 3
"""Pictures that each engine detects for the measurement, after one that warms it up; the fastest counts."""

Measure = Callable[[Engine, Tensor], float]
"""Seconds that an engine takes for a picture."""


@dataclass(frozen=True)
class MeasuredChoice:
    """The fastest runtime.

    Attributes:
        name: its name.
        seconds: what each took for a picture, by name.
        remembered: whether an earlier run measured it.
        kept: whether later runs will find it.
    """

    name: str
    seconds: dict[str, float]
    remembered: bool
    kept: bool = True

    def in_words(self) -> str:
        """The choice in one line."""
        times = ", ".join(f"{name} {seconds:.3g} s" for name, seconds in self.seconds.items())
        now = "measured now, and remembered" if self.kept else "measured now; the cache folder cannot be written"
        when = "measured earlier" if self.remembered else now
        return f"engine {self.name} is the fastest here ({times} for a picture; {when})"


@dataclass(frozen=True)
class Circumstances:
    """What a measurement holds for; where one of these is another, it is made anew."""

    version: str
    torch: str
    machine: str
    threads: int
    device: str
    precision: str
    model: str
    size: tuple[int, int]
    runtimes: tuple[str, ...]

    @property
    def key(self) -> str:
        """A digest of them all."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:32]


def seconds_for(engine: Engine, picture: Tensor) -> float:
    """Seconds that an engine takes for a picture once it is warm: its compiler has then ended."""
    engine.predict([picture])
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        engine.predict([picture])
        taken.append(time.perf_counter() - started)
    return min(taken)


def choose(
    detector: RetinaNetDetector,
    picture: Tensor,
    precision: Precision = "fp32",
    *,
    folder: Path | None = None,
    measure: Measure = seconds_for,
) -> tuple[MeasuredChoice, Engine]:
    """The fastest runtime for pictures of this size, and its engine.

    Args:
        detector: on the device where it shall run.
        picture: bytes (3,H,W), the first of those to come.
        precision: that of the engines.
        folder: where choices are remembered; by default `torch_retinanet/engines` in the cache folder of the user,
            which `XDG_CACHE_HOME` names.
        measure: gives the seconds of an engine.
    """
    runtimes = usable(detector, precision)
    file = None
    if folder := folder or cache_folder():
        file = folder / f"{_circumstances(detector, picture, precision, runtimes).key}.json"
    known = _read(file, [runtime.name for runtime in runtimes]) if file else None
    if known is not None:
        return known, RUNTIMES[known.name].build(detector, precision)
    engines = {runtime.name: runtime.build(detector, precision) for runtime in runtimes}
    seconds = {name: measure(engine, picture) for name, engine in engines.items()}
    best = min(seconds, key=lambda name: seconds[name])
    kept = file is not None and _remember(file, seconds)
    return MeasuredChoice(best, seconds, remembered=False, kept=kept), engines[best]


def cache_folder() -> Path | None:
    """Where choices are remembered; nowhere for a user without a home, as containers have."""
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return home / "torch_retinanet" / "engines"


def _circumstances(
    detector: RetinaNetDetector, picture: Tensor, precision: Precision, runtimes: Sequence[Runtime]
) -> Circumstances:
    return Circumstances(
        version=__version__,
        torch=torch.__version__,
        machine=f"{platform.node()} {platform.machine()} {torch.backends.cpu.get_cpu_capability()} {os.cpu_count()}",
        threads=torch.get_num_threads(),
        device=str(next(detector.parameters()).device),
        precision=precision,
        model=digest_of_tensors(detector.model.state_dict()),
        size=(picture.shape[-2], picture.shape[-1]),
        runtimes=tuple(runtime.name for runtime in runtimes),
    )


def _read(file: Path, names: Sequence[str]) -> MeasuredChoice | None:
    """What is remembered; nothing where the file is not there, or not whole."""
    try:
        seconds = json.loads(file.read_text(encoding="utf-8"))
        times = {name: float(seconds[name]) for name in names}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return MeasuredChoice(min(times, key=lambda name: times[name]), times, remembered=True)


def _remember(file: Path, seconds: dict[str, float]) -> bool:
    """Write it down, if it can be; a folder that cannot be written costs a measurement each time, and no more."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as path:
            path.write_text(json.dumps(seconds), encoding="utf-8")
    except OSError:
        return False
    return True
