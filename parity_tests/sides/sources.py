"""Where a tap is made: the line of a class of the user's own, or that which sets it as an attribute, or writes it."""

import inspect
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]

LIBRARIES = {"torch", "torchvision", "keras"}
"""Packages whose own classes tell a reader nothing."""


def sources(modules: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, str]:
    """`file:line` by tap, as far as it is found; in this project or the working folder by its path from there.

    Args:
        modules: all modules by path, the model itself under an empty one.
        paths: where the taps are.
    """
    found = {tap: _place(type(modules[path]), "") or _attribute(modules, path) for tap, path in paths.items()}
    return {tap: place for tap, place in found.items() if place}


def writing_line(tap: str) -> str:
    """`file:line` where a tap is written, to be asked from within `__setitem__`.

    A helper that is told the tap's name, as `tap(taps, "p3", p3)`, writes for its caller, whose line it is.
    """
    frame = sys._getframe(2)
    code = frame.f_code
    arguments = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
    above = frame.f_back
    if above and any(isinstance(value, str) and value == tap for value in arguments):
        frame = frame if above.f_globals.get("__name__", "").partition(".")[0] in LIBRARIES else above
    return _shown(Path(frame.f_code.co_filename), frame.f_lineno)


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
    return "" if number is None else _shown(file, number)


def _shown(file: Path, line: int) -> str:
    above = next((folder for folder in (REPOSITORY, Path.cwd()) if file.is_relative_to(folder)), file.parent)
    return f"{file.relative_to(above).as_posix()}:{line}"
