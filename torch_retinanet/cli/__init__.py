"""The command `retinanet`, one file for each group of its commands."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from torch_retinanet.cli import data, detect, evaluate, train, weights
from torch_retinanet.errors import InputError

COMMANDS = (data, train, evaluate, detect, weights)
"""The files whose commands there are, in the order in which the help lists them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 where it says so itself, or 2 with a sentence for wrong usage.

    A signal's end has the code that a shell gives it: 130 for Ctrl-C, 141 where the reader of the output went away.
    """
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no failure
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads the output any more, as in `retinanet conventions | head`; Python must not try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    except (InputError, OSError) as error:
        return _refuse(error)
    except ModuleNotFoundError as error:
        return _refuse(f"{error.name} is not installed; pip install 'torch-retinanet[train]' brings it")
    return code


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="retinanet", description="RetinaNet in PyTorch.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in COMMANDS:
        group.add_to(commands)
    return parser


def _refuse(error: object) -> int:
    if isinstance(error, OSError) and error.filename and error.strerror:
        error = f"{error.filename}: {error.strerror.lower()}"
    print(f"retinanet: {error}", file=sys.stderr)
    return 2
