"""State dicts of torch in `.pth`, `.pt`, `.ckpt` and `.bin` files, and in safetensors of other programs."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.tensor_file import TensorFile

WITHIN = ("state_dict", "model", "model_state_dict", "weights", "module")
"""Under which name a checkpoint holds the state dict: Lightning and mmengine, detectron2 and torchvision, others."""

MOST_TABLES = 4
"""How deep a state dict may lie in a checkpoint."""


def read_torch(path: Path) -> TensorFile:
    """The state dict in a file that torch wrote, by itself or within a checkpoint.

    Raises:
        InputError: for a file that is not whole, would run code, or holds no state dict.
    """
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        if "Unsupported" in str(error) or "weights_only" in str(error):
            raise InputError(f"{path}: holds more than tensors; save the model's state_dict() alone") from None
        raise InputError(f"{path}: not a whole file of tensors ({type(error).__name__})") from None
    return TensorFile(str(path), _state_dict(path, held), path)


def read_foreign_safetensors(path: Path) -> TensorFile:
    """All tensors of a safetensors file.

    Raises:
        InputError: for a file that is not whole.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return TensorFile(str(path), {name: file.get_tensor(name) for name in file.keys()}, path)  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from None


def write_torch(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """A state dict as torch writes it."""
    torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def _state_dict(path: Path, held: Any) -> dict[str, Tensor]:
    for _ in range(MOST_TABLES):
        if not isinstance(held, Mapping):
            break
        inner = next((held[name] for name in WITHIN if isinstance(held.get(name), Mapping)), None)
        if inner is None:
            if held and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in held.items()):
                return dict(held)
            break
        held = inner
    raise InputError(f"{path}: holds no state dict, a table of tensors by name")
