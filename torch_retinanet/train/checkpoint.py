"""All that a run needs to go on, in one safetensors file: written beside and renamed, so that it is whole or the last.

What follows from seed and step alone, the order of pictures, their changes, and the learning rate, is not stored.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.weights.digest import check_digest, save_with_digest

FORMAT = "torch_retinanet checkpoint 1"


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        step: steps done.
        pictures: how many there are to draw from.
        processes: that draw them.
        best: the best mAP so far, -1 before the first evaluation.
        best_step: after which step it was.
        worse: evaluations since then.
        scaler: the state of the loss scale of fp16.
        classes: the names of the labels that the class layer has rows of; empty in a file of an earlier version.
    """

    step: int = 0
    pictures: int = 0
    processes: int = 1
    best: float = -1.0
    best_step: int = 0
    worse: int = 0
    scaler: dict[str, Any] | None = None
    classes: list[str] = field(default_factory=list)


class Checkpoint(NamedTuple):
    """How far a run has come, its tensors, and its settings as TOML has them; none in a file of an earlier version."""

    progress: Progress
    tensors: dict[str, Tensor]
    settings: dict[str, Any]


def write_checkpoint(
    path: Path, progress: Progress, tensors: Mapping[str, Tensor], settings: Mapping[str, Any] | None = None
) -> None:
    """Write how far a run has come, its tensors, the settings that brought it there, and a digest of all.

    Raises:
        OSError: where they cannot be written, as on a full disk; the file is then what it was.
    """
    metadata = {"format": FORMAT, "progress": json.dumps(asdict(progress)), "settings": json.dumps(settings or {})}
    try:
        with atomic_write(path) as beside:
            save_with_digest(beside, tensors, metadata)
    except OSError as error:
        raise OSError(f"{error}; the last checkpoint is whole") from None


def read_checkpoint(path: Path) -> Checkpoint:
    """What `write_checkpoint` wrote.

    Raises:
        InputError: for a file that is not whole, damaged, or of another program.
        FileNotFoundError: where there is no file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no checkpoint to go on from")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(f"{path}: format {metadata.get('format')!r} must be {FORMAT!r}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        check_digest(path, tensors, metadata)
        known = {one.name for one in fields(Progress)}
        said = json.loads(metadata["progress"])
        progress = Progress(**{name: value for name, value in said.items() if name in known})
        return Checkpoint(progress, tensors, json.loads(metadata.get("settings", "{}")))
    except InputError:
        raise
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: not a whole checkpoint ({error})") from None


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """What an optimiser remembers of each parameter, as `PARAMETER@SLOT`."""
    return {
        f"{name}@{slot}": torch.as_tensor(value)
        for name, parameter in model.named_parameters()
        for slot, value in optimizer.state.get(parameter, {}).items()
        if value is not None
    }


def load_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimiser back what `optimizer_tensors` took, laid out in memory as its parameters are."""
    parameters = dict(model.named_parameters())
    for name, value in tensors.items():
        owner, _, slot = name.partition("@")
        parameter = parameters[owner]
        laid_out = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value.clone()
        optimizer.state[parameter][slot] = laid_out
