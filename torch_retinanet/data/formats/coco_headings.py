"""Categories of a COCO file that are only the supercategory of others: Roboflow writes one with id 0, which no box has.

Detection has no use for such a class: it would never be seen, and the head would have an output for it.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from torch_retinanet.data.annotations import Annotations, Problem


class _Categories(msgspec.Struct):
    categories: list[Any]


def without_headings(annotations: Annotations, path: Path) -> Annotations:
    """Annotations without the classes that no box has and that others name as their supercategory."""
    above = _supercategories(path)
    used = set(np.unique(annotations.labels).tolist())
    headings = {
        label
        for label, name in enumerate(annotations.classes)
        if label not in used and any(name == over and name != under for under, over in above.items())
    }
    if not headings or len(headings) == len(annotations.classes):
        return annotations
    kept = [label for label in range(len(annotations.classes)) if label not in headings]
    new = np.full(len(annotations.classes) + 1, -1)
    new[kept] = np.arange(len(kept))
    notes = [_note(path, annotations.classes[label]) for label in sorted(headings)]
    return replace(
        annotations,
        classes=[annotations.classes[label] for label in kept],
        class_ids=[annotations.class_ids[label] for label in kept],
        labels=new[annotations.labels],
        problems=[*annotations.problems, *notes],
    )


def _note(path: Path, name: str) -> Problem:
    what = f"class without boxes that is the supercategory of others: {name!r}"
    return Problem(path, "categories", what, "it is no class", data_loss=False)


def _supercategories(path: Path) -> Mapping[str, str]:
    """The supercategory of each category, by its name."""
    try:
        categories = msgspec.json.decode(path.read_bytes(), type=_Categories).categories
    except (ValueError, RecursionError):  # as of a file in UTF-16
        return {}
    named = [one for one in categories if isinstance(one, dict) and isinstance(one.get("name"), str)]
    return {one["name"]: str(one.get("supercategory")) for one in named}
