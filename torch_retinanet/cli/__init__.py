"""The command `retinanet`, one file for each group of its commands."""

import argparse
import io
import os
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from torch_retinanet import HAS_TORCH, __version__
from torch_retinanet.cli import verify
from torch_retinanet.cli.meant import meant
from torch_retinanet.errors import InputError, install_hint
from torch_retinanet.terminal import note, printable, printable_warnings

COMMANDS: tuple[ModuleType, ...] = (verify,)
"""The files whose commands there are, in the order in which the help lists them; without torch one alone."""

if HAS_TORCH:
    from torch_retinanet.cli import anchors, benchmark, data, detect, evaluate, export, split, train, weights

    COMMANDS = (data, split, anchors, train, evaluate, detect, export, verify, benchmark, weights)


ONE_PIXEL = "Expected more than 1 value per channel"
"""How torch begins where a norm has a single value to normalise."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 where it says so itself, or 2 with a sentence for wrong usage.

    A signal's end has the code that a shell gives it: 130 for Ctrl-C, 141 where the reader of the output went away.
    """
    parser = _parser()
    given = sys.argv[1:] if arguments is None else list(arguments)
    if not given:
        parser.print_help()
        return 0
    options, unknown = parser.parse_known_args(given)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no failure
    try:
        with printable_warnings():
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
    except ValueError as error:
        if not str(error).startswith(ONE_PIXEL):
            raise
        return _refuse(
            "pictures: one in a batch is so small that a norm sees one pixel of it; --min-side makes it larger"
        )
    except ModuleNotFoundError as error:
        known = f"{error.name} is not installed; {install_hint('train')} brings it"
        return _refuse(error if error.name is None else known)  # one without a name says more itself
    return code


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, printable(f"{self.prog}: {message}{self._nearest(message)}") + "\n")

    def _nearest(self, message: str) -> str:
        """The flag or word that was meant, where one is near."""
        typed = re.search(r"unrecognized arguments: (--[\w-]+)|invalid choice: '([^']+)'", message)
        words = [word for action in self._actions for word in (*action.option_strings, *map(str, action.choices or ()))]
        return meant(typed[1] or typed[2], words) if typed else ""


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="retinanet", description="RetinaNet in PyTorch.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in COMMANDS:
        group.add_to(commands)
    for command in commands.choices.values():
        command.set_defaults(parser=command)
    return parser


def _refuse(error: object) -> int:
    if isinstance(error, OSError) and error.filename and error.strerror:
        error = f"{error.filename}: {error.strerror.lower()}"
    note(f"retinanet: {error}")
    return 2
