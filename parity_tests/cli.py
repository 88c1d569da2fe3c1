"""The command `retinanet-parity`: is the PyTorch model the same network as its Keras reference, and if not, where?

Exit code: 0 equal, 1 different, 2 wrong usage, 3 incomplete.
"""

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from parity_tests.beside import Progress, climb_beside, peak_memory
from parity_tests.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from parity_tests.bridge import Config
    from parity_tests.compare import Record
    from parity_tests.inputs import Scene
    from parity_tests.rungs import Run

STARTED = time.perf_counter()
INCOMPLETE = 3
INTERRUPTED, CLOSED_OUTPUT = 130, 141
"""What a shell reports of a program that a signal ended: Ctrl-C, or a reader that went away."""

PRESETS = ("notebook", "keras_io")
"""Those that have a Keras reference."""

RUNGS = (
    *("shapes", "parameters", "forward", "anchors", "targets", "losses", "gradients", "step", "trajectory"),
    *("detections", "metric"),
)
DTYPES = {"float64": ("float64",), "float32": ("float32",), "both": ("float64", "float32")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; wrong usage prints one sentence."""
    options = _parser().parse_args(arguments)
    if sys.stdout is None:
        return _refuse("standard output is closed, and the report goes there")
    try:
        _check_backend()
        _check_target(options.json)
        return _run(options)
    except BrokenPipeError:
        return _closed_output()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (InputError, OSError) as error:
        return _refuse(error)
    except ModuleNotFoundError as error:
        return _refuse(f"{error.name} is not installed; pip install 'torch-retinanet[parity]' brings it")
    except Exception:
        # A fault of the instrument itself: Python would exit with 1, and 1 says that the models differ.
        traceback.print_exc()
        return INCOMPLETE


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="retinanet-parity",
        description="Is the PyTorch model the same network as its Keras reference, and if not, where does it start?",
        epilog="exit code: 0 equal, 1 different, 2 wrong usage, 3 incomplete",
    )
    parser.add_argument(
        "--preset",
        nargs="+",
        metavar="NAME",
        default=[],
        help="conventions of both sides (default: those of the weights file, else notebook and keras_io)",
    )
    parser.add_argument("--sizes", nargs="+", metavar="HxW", default=[], help="picture sizes, as 128x128 96x160")
    parser.add_argument("--image", nargs="+", metavar="FILE", type=Path, help="pictures, instead of seeded noise")
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="both",
        help="precisions to compare; gradients, step, detections and metric have float64 alone (default: %(default)s)",
    )
    parser.add_argument("--rungs", nargs="+", choices=RUNGS, default=RUNGS, help="steps of the ladder (default: all)")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        type=Path,
        help="a .keras, .weights.h5 or .safetensors file, instead of seeded random",
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        type=Path,
        help="annotated pictures in any format, on which the weights detect: rungs detections and metric",
    )
    parser.add_argument(
        "--turn",
        nargs="+",
        metavar="NAME=VALUE",
        default=[],
        help="conventions of the PyTorch side to turn, to see it fail",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="where to write every record")
    return parser


def _run(options: argparse.Namespace) -> int:
    from parity_tests.compare import EXIT_CODES, verdict_of
    from parity_tests.report import as_json, print_report

    presets = options.preset or ([] if options.weights else list(PRESETS))
    with _progress() as report:
        if len(presets) > 1 and not options.weights:
            climbed = climb_beside(climb_preset, options, presets, report)
            records, peak = [r for c in climbed for r in c.records], sum(c.peak for c in climbed)
        else:
            records = climb_preset(options, presets[0] if presets else "", report)
            peak = peak_memory()
    settings = _settings(options, list(dict.fromkeys(record.preset for record in records)))
    cost = {"seconds": time.perf_counter() - STARTED, "peak_gib": peak / 2**30}
    print_report(records, settings, cost, _console())
    if options.json:
        from parity_tests.bridge import written_beside

        with written_beside(options.json) as beside:
            beside.write_text(as_json(records, settings, cost))
    sys.stdout.flush()
    return EXIT_CODES[verdict_of(records)]


def climb_preset(options: argparse.Namespace, preset: str, report: "Callable[[Progress], None]") -> list["Record"]:
    """All records of one preset; without a name it is that of the weights file."""
    run = _prepare(options, preset)
    try:
        return _climb(run, options.rungs, report)
    finally:
        run.release()


def _console() -> "Console":
    from rich.console import Console

    class PlainConsole(Console):
        """A console that leaves a reader's going away to the command; rich would end it with 1."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PlainConsole(width=None if sys.stdout.isatty() else 120)


def _prepare(options: argparse.Namespace, preset: str) -> "Run":
    from parity_tests import bridge, inputs
    from parity_tests.rungs import Run

    sizes = [inputs.read_size(text) for text in options.sizes]
    if options.data and not options.weights:
        raise InputError(f"--data: {options.data} needs --weights, since random ones find nothing")
    try:
        images = partial(bridge.picture_batch, bridge.read_pictures(options.image)) if options.image else None
        preset = bridge.check_preset(preset, options.preset, options.weights)
        config, variables = bridge.prepare(preset, options.weights, sizes)
        turned, optimizer_turns = bridge.turn(config, options.turn)
        scenes = _scenes(options, turned) if options.data else []
    except bridge.INPUT_ERRORS as error:
        raise InputError(str(error)) from None
    return Run(
        preset=preset,
        config=turned,
        optimizer_turns=optimizer_turns,
        variables=variables,
        sizes=sizes,
        dtypes=DTYPES[options.dtype],
        anchor_scale=config.anchor_scale,
        images=images or inputs.random_images,
        scenes=scenes,
    )


def _scenes(options: argparse.Namespace, config: "Config") -> "list[Scene]":
    from parity_tests.bridge.annotated import annotated_scenes  # what reads annotations is in the extra `train`

    return annotated_scenes(options.data, options.weights, config)


def _climb(run: "Run", rungs: Sequence[str], report: "Callable[[Progress], None]") -> list["Record"]:
    """All records of the rungs; what fails to run is kept as incomplete."""
    from parity_tests.bridge import FRAMEWORK_ERRORS
    from parity_tests.compare import ALL, Record
    from parity_tests.rungs import RUNGS as CASES

    cases = [case for rung in CASES if rung in rungs for case in CASES[rung](run)]
    records: list[Record] = []
    for done, case in enumerate(cases):
        report(Progress(run.preset, f"{case.rung} {case.name}", done, len(cases)))
        try:
            records += case.compare()
        except FRAMEWORK_ERRORS as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            records.append(Record(rung=case.rung, case=case.name, name=ALL, verdict="incomplete", reason=reason))
    return [replace(record, preset=run.preset) for record in records]


@contextmanager
def _progress() -> "Iterator[Callable[[Progress], None]]":
    """What shows how far each preset has come, on a terminal alone."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.fields[preset]}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Bars(*columns, console=Console(stderr=True), transient=True, disable=not _has_terminal()) as bars:
        tasks: dict[str, Any] = {}

        def show(progress: Progress) -> None:
            if progress.preset not in tasks:
                tasks[progress.preset] = bars.add_task("", total=progress.total, preset=progress.preset)
            bars.update(tasks[progress.preset], completed=progress.done, description=progress.case)

        yield show


def _has_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _settings(options: argparse.Namespace, presets: Sequence[str]) -> dict[str, Any]:
    plain = {name: value for name, value in vars(options).items() if name != "json"} | {"preset": list(presets)}
    return {name: _plain(value) for name, value in plain.items()}


def _plain(value: Any) -> Any:
    """Paths by their name alone: a report says what was compared, and not whose machine it was on."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.name if isinstance(value, Path) else value


def _check_backend() -> None:
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend == "torch":
        raise InputError("KERAS_BACKEND: 'torch' runs torch's own kernels and is no independent reference")
    if backend != "tensorflow":
        raise InputError(f"KERAS_BACKEND: {backend!r} must be tensorflow, which the reference is built and judged on")


def _check_target(path: Path | None) -> None:
    if path is None:
        return
    if not path.parent.is_dir():
        raise InputError(f"--json: {path} lies in a folder that does not exist")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"--json: {path} must be a file in a folder that can be written to")


def _closed_output() -> int:
    """Nobody reads the output any more, as in `retinanet-parity | head`; Python must not try to write the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return CLOSED_OUTPUT


def _refuse(error: object) -> int:
    print(f"retinanet-parity: {error}", file=sys.stderr)
    return 2
