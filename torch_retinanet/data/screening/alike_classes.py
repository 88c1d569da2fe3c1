"""Classes whose names differ by letters' case or the signs between words, which people mostly mean as one."""

import re
from collections import defaultdict
from dataclasses import replace

import numpy as np

from torch_retinanet.data.annotations import Annotations, Problem

KEPT = "each is a class of its own"


def note_alike_classes(annotations: Annotations) -> Annotations:
    """Note the classes with objects that may be one: `Cat` and `cat`, `stop sign` and `stop_sign`; not `A` and `a`."""
    alike: dict[str, list[str]] = defaultdict(list)
    for label in np.unique(annotations.labels[~annotations.ignored]).tolist():
        name = annotations.classes[label]
        if len(name) > 1:
            alike[re.sub(r"[\s_-]+", " ", name.casefold()).strip()].append(name)
    notes = [
        Problem(
            annotations.files[0],
            "",
            f"classes of nearly one name: {', '.join(map(repr, names))}",
            KEPT,
            data_loss=False,
        )
        for names in alike.values()
        if len(names) > 1
    ]
    return replace(annotations, problems=[*annotations.problems, *notes])
