"""The fields of a config as attributes of a module: they are read and set there, and a misspelt one is refused."""

from dataclasses import fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from torch_retinanet.config import TORCHVISION_NAMES, RetinaNetConfig
from torch_retinanet.errors import InputError

FIELDS = {field.name: field for field in fields(RetinaNetConfig)}
"""The fields of a config by name."""

NEAR = 0.85
"""How alike, from 0 to 1, a name must be to a field's to be taken for it misspelt."""


class ConfiguredModule(nn.Module):
    """A module each field of whose `config` is an attribute: to set it is to set it in the config.

    Modules, tensors and private names are set as in any module, and so is what the module has already.

    Raises:
        InputError: as an attribute is set, for a field that the config refuses, and a name that is nearly a field's.
    """

    config: RetinaNetConfig

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIELDS:
            name, value = "config", self.config.changed(**{name: value})
        elif not (name.startswith("_") or isinstance(value, (Tensor, nn.Module)) or hasattr(self, name)):
            _refuse_misspelt(name)
        super().__setattr__(name, value)


def _refuse_misspelt(name: str) -> None:
    near = [TORCHVISION_NAMES[name]] if name in TORCHVISION_NAMES else get_close_matches(name, FIELDS, 1, NEAR)
    if near:
        raise InputError(f"{name}: is no attribute of the detector, and would not act; did you mean {near[0]}?")


def _read_only(name: str) -> property:
    return property(lambda module: getattr(module.config, name), doc=FIELDS[name].metadata.get("meaning"))


for _name in FIELDS:
    setattr(ConfiguredModule, _name, _read_only(_name))
