"""`retinanet convert` and `retinanet conventions`: weights files, and what their models follow."""

import argparse
import sys
from pathlib import Path
from typing import Any

from torch_retinanet.config import PRESETS, RetinaNetConfig
from torch_retinanet.config.fields import by_group
from torch_retinanet.weights import find_weights, write_weights
from torch_retinanet.weights.keras_file import keras_preset
from torch_retinanet.weights.weights_file import WeightsFile

SOURCES = (
    ".safetensors, .keras, .weights.h5, .pth of torchvision, an ImageNet .h5 of keras.applications, a run, COCO_V1, "
    "or OWNER/NAME on the Hub"
)
"""What can be read."""


def add_to(commands: Any) -> None:
    """Add the commands to those of the parser."""
    convert = commands.add_parser("convert", help="convert a weights file between Keras and torch")
    convert.add_argument("source", type=Path, help=SOURCES)
    convert.add_argument("target", type=Path, help=".safetensors, .keras or .weights.h5")
    convert.add_argument("--preset", help="preset of a .weights.h5, which does not say it (default: notebook)")
    convert.set_defaults(run=_convert)
    table = commands.add_parser("conventions", help="list the conventions and what each preset has")
    table.set_defaults(run=_conventions)


def _convert(options: argparse.Namespace) -> int:
    contents = find_weights(options.source, preset=options.preset)
    write_weights(options.target, contents)
    what = f"{contents.part} of preset {contents.config.name}"
    print(f"{options.target}: {len(contents.tensors)} tensors, {what}")
    if options.target.suffix != ".safetensors" and (lost := _lost_in_keras(contents)):
        print(
            f"retinanet: {options.target}: a Keras file holds the network alone, not {', '.join(lost)}", file=sys.stderr
        )
    return 0


def _lost_in_keras(contents: WeightsFile) -> list[str]:
    """What Keras must be told beside the file: sizes of pictures, what is kept of detections, names of classes."""
    preset = RetinaNetConfig.preset(keras_preset(contents.config) or "notebook")
    changed = [*contents.config.differences(preset, acts_on="detections")]
    names = [f"class_names={','.join(contents.class_names)}"] if contents.class_names else []
    return [f"{name}={getattr(contents.config, name)}" for name in changed] + names


def _conventions(options: argparse.Namespace) -> int:
    for group, fields in by_group(RetinaNetConfig).items():
        print(f"## {group.capitalize()}\n")
        print("| convention | " + " | ".join(PRESETS) + " | what it means |")
        print("|---|" + "---|" * len(PRESETS) + "---|")
        for field in fields:
            values = " | ".join(f"`{getattr(config, field.name)}`" for config in PRESETS.values())
            print(f"| `{field.name}` | {values} | {field.metadata['meaning']} |")
        print()
    return 0
