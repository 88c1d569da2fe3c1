"""The backbones that a config can name: torchvision's residual networks, timm's networks, and registered ones."""

import re
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from torch_retinanet.errors import InputError, suggestion

RESNETS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"),
)
"""torchvision's residual networks, by its names."""

TIMM = "timm/"
"""How the name of a network of timm begins."""

TIMM_NAME = re.compile(r"timm/[A-Za-z0-9_.]+")
"""The whole of it: a file of weights must not send timm to the Hub or to a folder, as `hf-hub:` and `local-dir:` do."""

ENTRY_POINTS = "torch_retinanet.backbones"
"""The group in which an installed package names what builds its backbones."""

_REGISTERED: dict[str, Callable[[Any], Any]] = {}


def register_backbone(name: str, build: Callable[[Any], Any]) -> None:
    """Let configs name a backbone of one's own, so that models with it can be saved, loaded and used by the command.

    A package that is installed can name its function in the entry points `torch_retinanet.backbones` instead.

    Args:
        name: what `RetinaNetConfig(backbone=name)` then builds.
        build: makes the module from a `RetinaNetConfig`. The module has `widths`, the channels of C3, C4 and C5, and
            gives these from images (B,C,H,W), at strides 8, 16 and 32; where `config.min_level` is 2, C2 before them.

    Raises:
        InputError: for a name of torchvision's or timm's.
    """
    if name in RESNETS or name.startswith(TIMM):
        raise InputError(
            f"name: {name!r} is taken by a network of {'timm' if name.startswith(TIMM) else 'torchvision'}"
        )
    _REGISTERED[name] = build


def registered(name: str) -> Callable[[Any], Any] | None:
    """What builds the backbone of a name; `None` where nobody has registered it."""
    if name not in _REGISTERED:
        for entry in entry_points(group=ENTRY_POINTS, name=name):
            _REGISTERED[name] = entry.load()
    return _REGISTERED.get(name)


def check_backbone(name: Any) -> None:
    """Refuse what is no backbone's name.

    Raises:
        InputError: naming those that are known.
    """
    if isinstance(name, str) and (name in RESNETS or TIMM_NAME.fullmatch(name) or registered(name)):
        return
    known = ", ".join(map(repr, RESNETS))
    near = suggestion(name.lower(), RESNETS) if isinstance(name, str) else ""
    rule = f"one of {known}, 'timm/NAME' for a network of timm, or what register_backbone made known"
    raise InputError(f"backbone: {name!r} must be {rule}{near}")
