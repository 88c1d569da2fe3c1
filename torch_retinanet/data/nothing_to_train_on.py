"""Why annotations have no picture, or no object, that anything could be learnt from."""

from collections import Counter
from collections.abc import Sequence

from torch_retinanet.data.annotations import Annotations, Problem

MOST = 3
"""Kinds of problems that are named."""


def why_nothing_to_train_on(annotations: Annotations) -> str:
    """What a data set lacks, as the end of a sentence that begins with it; empty where there is an object.

    Args:
        annotations: screened.
    """
    why = most_frequent(annotations.problems)
    if not annotations.pictures:
        return f"has no picture to train on{why}"
    if annotations.object_count:
        return ""
    ignored = len(annotations.boxes)
    regions = f": all {ignored:,} boxes are ignored (crowds, `difficult`, `DontCare`, or unreadable)" if ignored else ""
    return f"has no object to train on{regions}{why}"


def most_frequent(problems: Sequence[Problem]) -> str:
    """The most frequent kinds of losses and assumptions, behind a semicolon; empty where there are none."""
    kinds = Counter(problem.kind for problem in problems if problem.data_loss or problem.assumption)
    named = ", ".join(f"{kind} ({count:,})" for kind, count in kinds.most_common(MOST))
    return f"; most frequent: {named}; `retinanet inspect` lists them" if named else ""
