"""State dicts of torch in `.pth`, `.pt`, `.ckpt` and `.bin` files, and in safetensors of other programs."""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.stand_ins import InertObject, is_known, name_of, stand_ins, unknown_names
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.weights_file import WRAPPERS, plain_name

WITHIN = ("state_dict", "model", "model_state_dict", "weights", "module", "net", "network", "params")
"""Under which name a checkpoint holds the state dict: Lightning and mmengine, detectron2 and torchvision, others."""

AVERAGED = ("model_ema", "ema_state_dict", "state_dict_ema", "ema_model", "ema")
"""Under which name a checkpoint holds the moving average of one; it is taken where there is no other."""

STEPS = "n_averaged"
"""How many states `AveragedModel` of torch has averaged, which it keeps among tensors."""

LARGEST_CONFIG = 2**20
"""Bytes of a `config.json`; some 1000 are used."""

MOST_TABLES = 4
"""How deep a state dict may lie in a checkpoint."""


def read_torch(path: Path) -> TensorFile:
    """The state dict in a file that torch wrote, by itself or within a checkpoint.

    Raises:
        InputError: for a file that is not whole, would run code, or holds no state dict.
    """
    names: list[str] = []
    try:
        with warnings.catch_warnings(), path.open("rb") as file:  # of a path torch asks for its suffix
            warnings.simplefilter("ignore")  # of protocols that torch itself does not write
            names = unknown_names(file)
            if strange := [name for name in names if not is_known(name)]:
                raise InputError(_more_than_tensors(path, strange))
            with torch.serialization.safe_globals(stand_ins(names)):
                held = torch.load(file, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # whatever the unpickler and the archive raise of a damaged file
        if names or "Unsupported" in str(error) or "weights_only" in str(error):
            raise InputError(_more_than_tensors(path, names)) from None
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
    other: tuple[tuple[str, ...], ...] = ()
    above: tuple[str, ...] = ()
    for _ in range(MOST_TABLES):
        if not isinstance(held, Mapping):
            break
        tables = [name for name in (*WITHIN, *AVERAGED) if isinstance(held.get(name), Mapping)]
        if not tables:
            if _is_state(held):
                plain = _plain(path, held)
                return TensorFile(str(path), plain, path, settings=settings, table=above, other=other)
            break
        other += tuple((*above, name) for name in tables[1:] if name in AVERAGED or _is_state(held[name]))
        above += (tables[0],)
        settings |= {name: value for name, value in held.items() if name != tables[0] and isinstance(name, str)}
        held = held[tables[0]]
    raise InputError(f"{path}: holds no state dict, a table of tensors by name{_in_place_of_one(held)}")


def _in_place_of_one(held: Any) -> str:
    """The end of that sentence, where a file holds an object, such as a whole module, or a table with one."""
    values = held.values() if isinstance(held, Mapping) else [held]
    found = next((name_of(value) for value in values if isinstance(value, InertObject)), "")
    return f", but a {found}; save the model's state_dict() alone" if found else ""


def _more_than_tensors(path: Path, names: Sequence[str]) -> str:
    such_as = f", such as {names[0]}" if names else ""
    return f"{path}: holds more than tensors{such_as}; save the model's state_dict() alone"


def _is_state(held: Mapping[Any, Any]) -> bool:
    """Whether a table is a state dict: tensors by name, and at least one."""
    return len(held) > 0 and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in held.items())


def _plain(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names that they have in the model itself, where that was wrapped.

    Raises:
        InputError: for a tensor that is not stored number by number.
    """
    for name, tensor in tensors.items():
        if tensor.is_nested or tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise InputError(f"{path}: tensor {name} is sparse, nested, quantised or without values, and must be plain")
    plain = {plain_name(name): tensor for name, tensor in tensors.items() if name != STEPS}
    if len(plain) < len(tensors) - (STEPS in tensors):
        raise InputError(f"{path}: two of its tensors have one name but for {' and '.join(WRAPPERS)}")
    return plain


def _settings_beside(path: Path) -> dict[str, Any]:
    """What the `config.json` in the folder of a file says; nothing where it is none."""
    beside = path.parent / "config.json"
    try:
        found = json.loads(beside.read_text(encoding="utf-8")) if beside.stat().st_size <= LARGEST_CONFIG else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
