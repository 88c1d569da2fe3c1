"""The names of classes: files of them, and annotations in the labels of a model that knows some names already."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.builder import NO_CLASS
from torch_retinanet.data.text import Line, parse_whole, read_lines, split_fields
from torch_retinanet.errors import InputError
from torch_retinanet.git_lfs import read_content

YAML = (".yaml", ".yml")

NULL, MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"


class _TextLoader(yaml.SafeLoader):
    """Reads `off`, `010` and `1.0` as the text that they are, which YAML 1.1 takes for False, 8 and a number."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own table
        first: [(tag, pattern) for tag, pattern in resolvers if tag in (NULL, MERGE)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_class_names(path: Path) -> list[str]:
    """The K names of a file, in the order of their labels.

    Args:
        path: lines `name,id` with ids from 0 or 1 on, as keras-retinanet has them; lines with a name each, as YOLO's
            `classes.txt`; or a YAML with `names`.

    Raises:
        InputError: for a file that is none of it, or holds a name twice.
        OSError: for a file that cannot be read.
    """
    is_yaml = path.suffix.lower() in YAML
    names = [*yaml_names(path, read_yaml(path)).values()] if is_yaml else _names_in_lines(path)
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"{path}: name {twice[0][:80]!r} must be there once")
    return names


def read_yaml(path: Path) -> dict[Any, Any]:
    """The settings in a YAML, whose values are texts, lists and settings, or `None` where there is no value.

    Raises:
        InputError: for a file that is none, or holds anything but settings by name.
        OSError: for a file that cannot be read.
    """
    content = read_content(path)
    try:
        settings = yaml.load(content, Loader=_TextLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: must be whole YAML ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(settings, dict):
        raise InputError(f"{path}: must hold settings by name")
    return settings


def yaml_names(path: Path, settings: dict[Any, Any]) -> dict[int, str]:
    """The setting `names` by the ids that label files use, the smallest first: a list counts from 0.

    Raises:
        InputError: where there is none, or it is neither a list nor names by whole numbers.
    """
    names = settings.get("names")
    pairs = [*names.items()] if isinstance(names, dict) else [*enumerate(names)] if isinstance(names, list) else []
    try:
        found = {parse_whole(str(number)): name for number, name in pairs}
    except ValueError:
        found = {}
    if not found or len(found) < len(pairs) or min(found) < 0 or not all(isinstance(n, str) for n in found.values()):
        raise InputError(f"{path}: names must be a list of names, or names by their numbers")
    return dict(sorted(found.items()))


def with_class_names(annotations: Annotations, class_names: Sequence[str]) -> Annotations:
    """Annotations in the labels of a model: boxes of classes that it does not know are left out, and counted."""
    labels = {name: label for label, name in reversed(list(enumerate(class_names)))}
    new = np.array([*(labels.get(name, NO_CLASS) for name in annotations.classes), NO_CLASS], dtype=np.int64)
    mapped = replace(annotations, labels=new[annotations.labels], classes=list(class_names))
    unknown = (mapped.labels == NO_CLASS) & ~mapped.ignored
    counts = np.bincount(annotations.labels[unknown], minlength=len(annotations.classes))
    files = sorted(set(annotations.files))
    problems = [
        Problem(files[0], "", f"unknown class: {name!r}, boxes: {count}", "its boxes are left out", data_loss=True)
        for name, count in zip(annotations.classes, counts.tolist(), strict=True)
        if count
    ]
    ids = dict(
        reversed(list(zip(annotations.classes, annotations.class_ids, strict=False)))
    )  # the first of equal names
    class_ids = [ids.get(name, NO_CLASS) for name in class_names] if annotations.class_ids else []
    return replace(mapped.select(boxes=~unknown), class_ids=class_ids, problems=[*annotations.problems, *problems])


def _names_in_lines(path: Path) -> list[str]:
    problems: list[Problem] = []
    lines = list(read_lines(path, problems))
    if problems:
        raise InputError(f"{path}: {problems[0].location} must be text in UTF-8")
    if not lines:
        raise InputError(f"{path}: must hold names of classes")
    rows = [_fields(path, line) for line in lines]
    if all(len(row) == 1 for row in rows):
        return [row[0].strip() for row in rows]
    return _by_ids(path, lines, rows)


def _fields(path: Path, line: Line) -> list[str]:
    try:
        return split_fields(line.text)
    except ValueError as error:
        raise InputError(f"{path}: line {line.number} must be a name, or a name and an id ({error})") from None


def _by_ids(path: Path, lines: Sequence[Line], rows: Sequence[Sequence[str]]) -> list[str]:
    names: dict[int, str] = {}
    for line, row in zip(lines, rows, strict=True):
        label = _id(row[1]) if len(row) == 2 else -1
        if not 0 <= label <= len(lines) or label in names:
            raise InputError(f"{path}: line {line.number}, {line.text[:80]!r}, must be {_rule(lines)}")
        names[label] = row[0].strip()
    if 0 in names and len(lines) in names:
        raise InputError(f"{path}: ids must be {_rule(lines)}")
    return [names[label] for label in sorted(names)]


def _id(text: str) -> int:
    """An id, or -1 for what is none."""
    try:
        return parse_whole(text.strip())
    except ValueError:
        return -1


def _rule(lines: Sequence[Line]) -> str:
    return f"a name and an id from 0 to {len(lines) - 1} or from 1 to {len(lines)}, each id once"
