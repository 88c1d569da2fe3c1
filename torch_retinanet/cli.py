"""The command `retinanet`."""

import argparse
import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from torch_retinanet.config import PRESETS
from torch_retinanet.conventions import conventions
from torch_retinanet.errors import InputError
from torch_retinanet.optimizers import OptimizerConfig
from torch_retinanet.weights import read_weights, write_weights


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, or 2 with one sentence for wrong usage.

    A signal's end has the code that a shell gives it: 130 for Ctrl-C, 141 where the reader of the output went away.
    """
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no failure
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads the output any more, as in `retinanet conventions | head`; Python must not try to write the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130
    except (InputError, OSError) as error:
        print(f"retinanet: {error}", file=sys.stderr)
        return 2
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="retinanet", description="RetinaNet in PyTorch.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    convert = commands.add_parser("convert", help="convert a weights file between Keras and torch")
    convert.add_argument("source", type=Path, help=".keras, .weights.h5, an ImageNet .h5, or .safetensors")
    convert.add_argument("target", type=Path, help=".safetensors, .keras or .weights.h5")
    convert.add_argument("--preset", help="preset of a .weights.h5, which does not say it (default: notebook)")
    convert.set_defaults(run=_convert)
    table = commands.add_parser("conventions", help="list the conventions and what each preset has")
    table.set_defaults(run=_conventions)
    return parser


def _convert(options: argparse.Namespace) -> None:
    contents = read_weights(options.source, preset=options.preset)
    write_weights(options.target, contents)
    what = f"{contents.part} of preset {contents.config.name}"
    print(f"{options.target}: {len(contents.tensors)} tensors, {what}")


def _conventions(options: argparse.Namespace) -> None:
    _print_table({name: make() for name, make in PRESETS.items()})
    print()
    optimizers = {"Keras": OptimizerConfig.keras("sgd", 0.1), "torch": OptimizerConfig.torch("sgd", 0.1)}
    _print_table(optimizers)


def _print_table(configs: Mapping[str, Any]) -> None:
    """The conventions of one kind of config, a line each, with the values that each of `configs` has."""
    print("| convention | " + " | ".join(configs) + " | what it means |")
    print("|---|" + "---|" * len(configs) + "---|")
    for field in conventions(next(iter(configs.values()))):
        values = " | ".join(f"`{getattr(config, field.name)}`" for config in configs.values())
        print(f"| `{field.name}` | {values} | {field.metadata['meaning']} |")
