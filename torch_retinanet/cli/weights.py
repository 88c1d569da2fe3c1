"""`retinanet convert` and `retinanet conventions`: weights files, and what their models follow."""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch_retinanet.config import PRESETS, RetinaNetConfig
from torch_retinanet.config.fields import by_group
from torch_retinanet.errors import InputError, install_hint
from torch_retinanet.terminal import note, say
from torch_retinanet.weights import find_weights, write_weights
from torch_retinanet.weights.dialect import CannotKeepError
from torch_retinanet.weights.keras_file import KERAS_PRESETS, keras_preset
from torch_retinanet.weights.published import names, published_of
from torch_retinanet.weights.weights_file import WeightsFile

SOURCES = (
    "what is read: .safetensors, .keras, .weights.h5, an ImageNet .h5 of keras.applications, a run, COCO_V1, "
    f"OWNER/NAME on the Hub, or a file of another RetinaNet ({', '.join(names())})"
)
"""What can be read."""


def add_to(commands: Any) -> None:
    """Add the commands to those of the parser."""
    convert = commands.add_parser("convert", help="say what a weights file holds, and write it in another format")
    convert.add_argument("source", type=Path, help=SOURCES)
    convert.add_argument(
        "target",
        type=Path,
        nargs="?",
        help=".safetensors, .keras or .weights.h5, or as --to has it; without it nothing is written",
    )
    convert.add_argument(
        "--preset", help="preset of the source, where its names do not say it (default: the likeliest)"
    )
    convert.add_argument(
        "--conventions",
        nargs="+",
        metavar="NAME=VALUE",
        default=[],
        help="what the source does not say itself and is assumed else, as bn_eps=0",
    )
    formats = list(dict.fromkeys([*KERAS_PRESETS, *names()]))
    convert.add_argument("--to", metavar="PRESET", choices=formats, help="write as this RetinaNet's program does")
    convert.add_argument(
        "--data",
        type=Path,
        help="annotated pictures: where --to cannot keep what the weights do, measure on them what each convention in "
        "the way costs, by `retinanet-parity ablate`",
    )
    convert.set_defaults(run=_convert)
    table = commands.add_parser("conventions", help="list the conventions and what each preset has")
    table.set_defaults(run=_conventions)


def _convert(options: argparse.Namespace) -> int:
    source, target = options.source, options.target
    _check_data(options)
    contents = _stated(find_weights(source, preset=options.preset), options.conventions)
    if contents.origin:
        say(f"{source}: {contents.origin}")
    if target is None:
        if options.to is not None:
            raise InputError(f"--to: {options.to} needs a target, the file that is written")
        say(f"{source}: {len(contents.tensors)} tensors, {_described(contents)}")
        return 0
    try:
        written = write_weights(target, contents, to=options.to)
    except CannotKeepError as refused:
        if options.data and refused.measurable:
            _measure(options, refused.measurable)
        raise
    say(f"{target}: {len(written.tensors)} tensors, {_described(written)}")
    if options.to not in (None, *KERAS_PRESETS):
        if other := contents.config.differences(written.config, acts_on="detections"):
            said = ", ".join(f"{name}={getattr(written.config, name)}" for name in other)
            note(f"retinanet: {target}: its program detects with {said}")
        if contents.class_names and not published_of(options.to).holds_names:
            note(f"retinanet: {target}: has no place for the names of classes: {', '.join(contents.class_names)}")
    elif target.suffix != ".safetensors" and (lost := _lost_in_keras(contents)):
        note(f"retinanet: {target}: a Keras file holds the network alone, not {', '.join(lost)}")
    return 0


def _check_data(options: argparse.Namespace) -> None:
    """Refuse pictures on which nothing would be measured, or another model than was stated.

    Raises:
        InputError: naming the option.
    """
    if not options.data:
        return
    if not options.data.exists():
        raise InputError(f"--data: {options.data}: there is no such file or folder")
    if not options.to:
        raise InputError(f"--data: {options.data}: goes with --to")
    if options.conventions:
        raise InputError(
            f"--data: {options.data}: does not go with --conventions; write a .safetensors with them first"
        )


def _stated(contents: WeightsFile, conventions: Sequence[str]) -> WeightsFile:
    """A file with what was stated of it.

    Raises:
        InputError: for what the file says itself.
    """
    for text in conventions:
        if text.partition("=")[0] not in contents.assumed:
            unsaid = ", ".join(contents.assumed) or "it says all"
            raise InputError(f"--conventions: {text!r} must be of what the source does not say ({unsaid})")
    return contents.stated_in(conventions)


def _measure(options: argparse.Namespace, conventions: Sequence[str]) -> None:
    """Print what the other values of conventions cost on annotated pictures; the command says what it cannot take.

    Raises:
        InputError: where the command is not installed.
    """
    command = shutil.which("retinanet-parity", path=Path(sys.executable).parent)
    if command is None:
        raise InputError(f"--data: what conventions cost is measured by retinanet-parity; {install_hint('parity')}")
    preset = ["--preset", options.preset] if options.preset else []
    words = [command, "ablate", "--weights", str(options.source), *preset, "--data", str(options.data)]
    subprocess.run([*words, "--conventions", *conventions], check=False)  # noqa: S603


def _described(contents: WeightsFile) -> str:
    return f"{contents.part} of preset {contents.config.name}, {contents.config.num_classes} classes"


def _lost_in_keras(contents: WeightsFile) -> list[str]:
    """What Keras must be told beside the file: sizes of pictures, what is kept of detections, names of classes."""
    preset = RetinaNetConfig.preset(keras_preset(contents.config) or "notebook")
    changed = [*contents.config.differences(preset, acts_on="detections")]
    names = [f"class_names={','.join(contents.class_names)}"] if contents.class_names else []
    return [f"{name}={getattr(contents.config, name)}" for name in changed] + names


def _conventions(options: argparse.Namespace) -> int:
    for group, fields in by_group(RetinaNetConfig).items():
        say(f"## {group.capitalize()}")
        say()
        say("| convention | " + " | ".join(PRESETS) + " | what it means |")
        say("|---|" + "---|" * len(PRESETS) + "---|")
        for field in fields:
            values = " | ".join(f"`{getattr(config, field.name)}`" for config in PRESETS.values())
            say(f"| `{field.name}` | {values} | {field.metadata['meaning']} |")
        say()
    return 0
