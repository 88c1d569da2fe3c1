"""The project's own weights files: safetensors, with the config in the metadata."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from safetensors import SafetensorError, safe_open
from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.weights.digest import check_digest, save_with_digest
from torch_retinanet.weights.trained_on import UNKNOWN, TrainedOn
from torch_retinanet.weights.weights_file import Part, WeightsFile, check_floating, check_shapes, expected_shapes

FORMAT = "torch_retinanet 2"
"""Name and version of this format; the version counts up where old readers could not read new files."""

TRAINED_ON = "trained_on"
"""The name in the metadata of what `TrainedOn` says, where it says anything."""


def is_ours(path: Path) -> bool:
    """Whether a file says to be of this format, in any version."""
    try:
        with safe_open(path, framework="pt") as file:
            written_by = (file.metadata() or {}).get("format", "")
    except SafetensorError:
        return True  # not whole, as `read_safetensors` says
    return str(written_by).startswith(FORMAT.split()[0])


def read_safetensors(path: Path) -> WeightsFile:
    """What `write_safetensors` wrote.

    Raises:
        InputError: for a file that is not whole, damaged, of another program, or that lacks a tensor.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from None
    part, config, class_names = _read_metadata(path, metadata, tensors)
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    check_shapes(str(path), found, _expected_shapes(path, config, part))
    check_floating(str(path), tensors)
    trained_on = TrainedOn.from_json(path, metadata[TRAINED_ON]) if TRAINED_ON in metadata else UNKNOWN
    return WeightsFile(config, tensors, part, class_names, trained_on=trained_on)


def _expected_shapes(path: Path, config: RetinaNetConfig, part: Part) -> dict[str, tuple[int, ...]]:
    try:
        return expected_shapes(config, part)
    except (RuntimeError, TypeError, OverflowError):
        raise InputError(f"{path}: its metadata say num_classes={config.num_classes}, too many to build") from None


def write_safetensors(path: Path, contents: WeightsFile) -> None:
    """Tensors by state dict name; format, preset, part, config, class names, `TrainedOn` and a digest as metadata."""
    metadata = {
        "format": FORMAT,
        "preset": contents.config.name,
        "part": contents.part,
        "config": json.dumps(contents.config.as_dict()),
        "class_names": json.dumps(contents.class_names),
    }
    if contents.trained_on != UNKNOWN:
        metadata[TRAINED_ON] = contents.trained_on.to_json()
    with atomic_write(path) as beside:
        save_with_digest(beside, contents.tensors, metadata)


def _read_metadata(
    path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Tensor]
) -> tuple[Part, RetinaNetConfig, tuple[str, ...]]:
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path}: format {metadata.get('format')!r} must be {FORMAT!r}")
    check_digest(path, tensors, metadata)
    if metadata.get("part") not in get_args(Part):
        raise InputError(f"{path}: part {metadata.get('part')!r} must be one of {', '.join(get_args(Part))}")
    try:
        config = RetinaNetConfig.from_dict(json.loads(metadata["config"]))
        class_names = json.loads(metadata.get("class_names", "[]"))
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: its metadata hold no readable config ({error})") from None
    part: Part = "backbone" if metadata["part"] == "backbone" else "model"
    return part, config, _checked_names(path, class_names, config.num_classes)


def _checked_names(path: Path, names: object, num_classes: int) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: its class names are {names!r}, and must be a list of texts")
    if len(names) not in (0, num_classes):
        raise InputError(f"{path}: names {len(names)} classes, and the model has {num_classes}")
    return tuple(names)
