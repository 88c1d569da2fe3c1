"""The command `retinanet-parity`: is the PyTorch model the same network as its Keras reference, and if not, where?

Without a word it climbs the ladder; its other commands are a file each. Exit code: 0 equal, 1 different, 2 wrong
usage, 3 incomplete.
"""

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from parity_tests.rule.errors import UsageError, install_hint
from parity_tests.rule.printable import complain, printable

INCOMPLETE = 3
INTERRUPTED, CLOSED_OUTPUT = 130, 141
"""What a shell reports of a program that a signal ended: Ctrl-C, or a reader that went away."""

COMMANDS = {
    "ladder": "compare both sides, rung by rung (what is meant without a word)",
    "record": "write down one side's half of a run, to be checked where the other framework is",
    "check": "hold what was recorded against the other side",
    "backends": "hold Keras on each of its backends, and the port, against each other",
    "ablate": "change one convention at a time, and measure what that changes",
    "diff": "which margins moved between two runs",
}
"""What can be asked for, each by the file of its name."""


EXTRAS = {
    **dict.fromkeys(("rich", "jinja2", "jsonschema"), "report"),
    **dict.fromkeys(("accelerate", "defusedxml", "msgspec", "tomli_w", "tyro"), "train"),
}
"""The extra that brings a package, where that is not `parity`."""


def run() -> NoReturn:
    """The program `retinanet-parity`: `main`, which has written all it has to say, and an end without taking down.

    The libraries of two frameworks read 130 MB of their files to take themselves down, for half a second.
    """
    os._exit(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; wrong usage prints one sentence."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait for work must not spin
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words.pop(0) if words and words[0] in COMMANDS else "ladder"
    command = importlib.import_module(f"parity_tests.cli.{name}")
    options = command.parser().parse_args(words)
    if sys.stdout is None:
        return _refuse("standard output is closed, and the report goes there")
    return _guarded(command, options)


def _guarded(command: ModuleType, options: argparse.Namespace) -> int:
    """The exit code of a command, whatever it raises."""
    try:
        status: int = command.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return _closed_output()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (UsageError, OSError) as error:
        return _refuse(error)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(error.name or "", "parity")
        return _refuse(f"{error.name} is not installed; {install_hint(extra)} brings it")
    except Exception:  # a fault of the instrument itself: Python would exit with 1, which says that the models differ
        complain(traceback.format_exc().rstrip())
        return INCOMPLETE


def _closed_output() -> int:
    """Nobody reads the output any more, as in `retinanet-parity | head`; Python must not try to write the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return CLOSED_OUTPUT


def _refuse(error: object) -> int:
    if isinstance(error, OSError) and error.filename and error.strerror:
        error = f"{error.filename}: {error.strerror.lower()}"
    complain(printable(f"retinanet-parity: {error}"))
    return 2


__all__ = ["COMMANDS", "main", "run"]
