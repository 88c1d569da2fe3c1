"""Where a tapped module is made: the line of a class of the user's own, or that which sets it as an attribute."""

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LIBRARIES = {"torch", "torchvision", "keras"}
"""Packages whose own classes tell a reader nothing."""


def sources(modules: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, str]:
    """`file:line` by tap, as far as it is found; a file below the working folder by its path from there.

    Args:
        modules: all modules by path, the model itself under an empty one.
        paths: where the taps are.
    """
    found = {tap: _place(type(modules[path]), "") or _attribute(modules, path) for tap, path in paths.items()}
    return {tap: place for tap, place in found.items() if place}


def _attribute(modules: Mapping[str, Any], path: str) -> str:
    """Where the nearest module above sets the attribute that leads to this one."""
    cuts = [0, *(match.start() for match in re.finditer(r"[./]", path))]
    owner = next(cut for cut in reversed(cuts) if path[:cut] in modules)
    attribute = re.split(r"[./]", path[owner:].lstrip("./"))[0]
    return _place(type(modules[path[:owner]]), rf"\bself\.{re.escape(attribute)}\s*(:[^=]+)?=[^=]")


def _place(kind: type, pattern: str) -> str:
    """The file and line of the first line of a class that is of a pattern; empty for classes of the libraries."""
    if kind.__module__.partition(".")[0] in LIBRARIES:
        return ""
    try:
        file = Path(inspect.getsourcefile(kind) or "")
        lines, first = inspect.getsourcelines(kind)
    except (OSError, TypeError):
        return ""
    number = next((first + i for i, line in enumerate(lines) if re.search(pattern, line)), None)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else Path(file.name)
    return "" if number is None else f"{shown}:{number}"
