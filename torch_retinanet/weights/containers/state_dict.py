"""State dicts of torch in `.pth`, `.pt`, `.ckpt` and `.bin` files, and in safetensors of other programs."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.weights_file import WRAPPERS

WITHIN = ("state_dict", "model", "model_state_dict", "weights", "module")
"""Under which name a checkpoint holds the state dict: Lightning and mmengine, detectron2 and torchvision, others."""

LARGEST_CONFIG = 2**20
"""Bytes of a `config.json`; some 1000 are used."""

MOST_TABLES = 4
"""How deep a state dict may lie in a checkpoint."""


def read_torch(path: Path) -> TensorFile:
    """The state dict in a file that torch wrote, by itself or within a checkpoint.

    Raises:
        InputError: for a file that is not whole, would run code, or holds no state dict.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protocols that torch itself does not write
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the unpickler and the archive raise of a damaged file
        if "Unsupported" in str(error) or "weights_only" in str(error):
            raise InputError(f"{path}: holds more than tensors; save the model's state_dict() alone") from None
        raise InputError(f"{path}: not a whole file of tensors ({type(error).__name__})") from None
    return tensor_file(path, held)


def read_foreign_safetensors(path: Path) -> TensorFile:
    """All tensors of a safetensors file; settings are its metadata, and the `config.json` beside it.

    Raises:
        InputError: for a file that is not whole.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            settings = {**(file.metadata() or {}), **_settings_beside(path)}
            return TensorFile(str(path), tensors, path, settings=settings)
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from None


def write_torch(path: Path, held: Any) -> None:
    """A state dict, or a table in which it lies, as torch writes it."""
    torch.save(held, path)


def tensor_file(path: Path, held: Any) -> TensorFile:
    """The state dict in what a file holds; settings are what lies beside it.

    Raises:
        InputError: where there is none.
    """
    settings: dict[str, Any] = {}
    for _ in range(MOST_TABLES):
        if not isinstance(held, Mapping):
            break
        within = next((name for name in WITHIN if isinstance(held.get(name), Mapping)), None)
        if within is None:
            if held and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in held.items()):
                return TensorFile(str(path), _plain(path, held), path, settings=settings)
            break
        settings |= {name: value for name, value in held.items() if name != within and isinstance(name, str)}
        held = held[within]
    raise InputError(f"{path}: holds no state dict, a table of tensors by name")


def _plain(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names that they have in the model itself, where that was wrapped.

    Raises:
        InputError: for a tensor that is not stored number by number.
    """
    for name, tensor in tensors.items():
        if tensor.is_nested or tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise InputError(f"{path}: tensor {name} is sparse, nested, quantised or without values, and must be plain")
    wrapper = next((w for w in WRAPPERS if all(name.startswith(w) for name in tensors)), "")
    return {name.removeprefix(wrapper): tensor for name, tensor in tensors.items()}


def _settings_beside(path: Path) -> dict[str, Any]:
    """What the `config.json` in the folder of a file says; nothing where it is none."""
    beside = path.parent / "config.json"
    try:
        found = json.loads(beside.read_text(encoding="utf-8")) if beside.stat().st_size <= LARGEST_CONFIG else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
