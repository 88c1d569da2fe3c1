"""The annotated pictures that commands hold a detector against, in its labels, and what of them does not count."""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from torch_retinanet.cli.choices import say_choice
from torch_retinanet.errors import InputError
from torch_retinanet.terminal import note

if TYPE_CHECKING:
    from torch_retinanet.data.annotations import Annotations
    from torch_retinanet.data.dataset import Unreadable
    from torch_retinanet.detector import RetinaNetDetector

UNKNOWN_CLASS = "unknown class"
"""How the problem of boxes begins whose class a model does not know."""


def read_annotated(options: argparse.Namespace, data: Path, detector: "RetinaNetDetector") -> "Annotations":
    """The annotations in the labels of the detector: matched by name, or by place where it knows no names."""
    from torch_retinanet.data.class_names import with_class_names
    from torch_retinanet.data.formats import list_splits, read_annotations
    from torch_retinanet.pictures import allow_pixels

    if options.split is None and len(splits := list_splits(data)) > 1:
        note(f"retinanet: {data}: splits {', '.join(splits)} together; --split takes one of them")
    allow_pixels(options.max_pixels)
    read = read_annotations(
        data,
        split=options.split,
        images=options.images,
        classes=options.classes,
        boxes=options.boxes,
        labelled_only=options.labelled_only,
    )
    say_choice(data, read)
    known = detector.class_names
    if not known and len(read.classes) != detector.config.num_classes:
        count = f"has {detector.config.num_classes} classes without names"
        raise InputError(f"{options.model}: {count}, and {data} has {len(read.classes)}: {', '.join(read.classes)}")
    if not known:
        return read
    if not set(known) & set(read.classes):
        raise InputError(f"{data}: has classes {', '.join(read.classes)}, and {options.model} {', '.join(known)}")
    objects = Counter(read.labels[~read.ignored].tolist())
    for label, name in enumerate(read.classes):
        if name not in known and objects[label]:
            what = f"class {name!r}, with {objects[label]:,} objects"
            note(f"retinanet: {data}: {what}, is none of {options.model}, and does not count")
    return with_class_names(read, known)


def say_what_is_lost(data: Path, read: "Annotations", screened: "Annotations") -> None:
    """Boxes and entries that do not count, since nobody could use them; pictures and classes are named elsewhere."""
    named = {unreadable.path for unreadable in left_out(read, screened)}
    lost = [problem for problem in screened.problems if problem.data_loss and problem.file not in named]
    places = sum(not problem.finding.startswith(UNKNOWN_CLASS) for problem in lost)
    if places:
        note(f"retinanet: {data}: lost in {places} places, which `retinanet inspect` lists")


def left_out(read: "Annotations", screened: "Annotations") -> "list[Unreadable]":
    """The pictures that screening left out."""
    from torch_retinanet.data.dataset import Unreadable

    kept = set(screened.pictures)
    reasons = {problem.file: problem.finding for problem in screened.problems if problem.data_loss}
    lost = [path for path in dict.fromkeys(read.pictures) if path not in kept]
    return [Unreadable(path, f"{path}: {reasons[path]}") for path in lost]
