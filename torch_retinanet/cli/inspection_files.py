"""What `retinanet inspect` found, for programs: as JSON, and as the XML that CI systems show (JUnit's)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.files import atomic_write
from torch_retinanet.terminal import printable


@dataclass(frozen=True, kw_only=True)
class DataCounts:
    """How much there is in annotations that were screened.

    Attributes:
        pictures: how many there are, without those that are lost.
        without_boxes: of them.
        boxes: of objects.
        ignored_regions: boxes that are no objects.
        classes: the boxes of each class by its name, those with the most first; of equal names one after the other.
        lost: problems by which an object or a picture is lost.
        assumed: problems of which training takes for granted what the files do not say.
    """

    pictures: int
    without_boxes: int
    boxes: int
    ignored_regions: int
    classes: Sequence[tuple[str, int]]
    lost: int
    assumed: int


def count_data(annotations: Annotations) -> DataCounts:
    """Count what there is."""
    objects = ~annotations.ignored
    counts = np.bincount(annotations.labels[objects], minlength=len(annotations.classes)).tolist()
    return DataCounts(
        pictures=len(annotations.pictures),
        without_boxes=int((np.diff(annotations.offsets) == 0).sum()),
        boxes=int(objects.sum()),
        ignored_regions=int(annotations.ignored.sum()),
        classes=sorted(zip(annotations.classes, counts, strict=True), key=lambda pair: -pair[1]),
        lost=sum(problem.data_loss for problem in annotations.problems),
        assumed=sum(problem.assumption for problem in annotations.problems),
    )


def write_json(path: Path, counts: DataCounts, problems: Sequence[Problem], nothing: str) -> None:
    """Write the counts as fields, `classes` as objects with name and boxes, all problems as objects, and in `refused`
    why there is nothing to train on, if there is not."""
    classes = [{"name": name, "boxes": boxes} for name, boxes in counts.classes]
    listed = [problem._asdict() | {"file": str(problem.file)} for problem in problems]
    content = asdict(counts) | {"classes": classes, "problems": listed, "refused": nothing}
    with atomic_write(path) as beside:
        beside.write_text(json.dumps(content, indent=1) + "\n")


def write_junit(path: Path, problems: Sequence[Problem], failing: Sequence[bool], nothing: str) -> None:
    """Write a test case for each problem: those that are `failing` as failures, and a note as one that passed.

    One more failure says why there is nothing to train on, where that is so.
    """
    count, failures = len(problems) + bool(nothing), sum(failing) + bool(nothing)
    numbers = {"tests": str(max(1, count)), "failures": str(failures), "errors": "0"}
    root = Xml.Element("testsuites", {"name": "retinanet inspect", **numbers})
    suite = Xml.SubElement(root, "testsuite", {"name": "data", **numbers})
    for problem, fails in zip(problems, failing, strict=True):
        _add(suite, problem, fails)
    if nothing:
        case = Xml.SubElement(suite, "testcase", classname="data", name="something to train on")
        Xml.SubElement(case, "failure", {"type": "refused", "message": printable(nothing)})
    elif not problems:
        Xml.SubElement(suite, "testcase", classname="data", name="nothing is wrong")
    with atomic_write(path) as beside:
        Xml.ElementTree(root).write(beside, encoding="utf-8", xml_declaration=True)


def _add(suite: Xml.Element, problem: Problem, fails: bool) -> None:
    file, finding = printable(str(problem.file)), printable(problem.finding)
    name = printable(f"{problem.location}: {problem.finding}" if problem.location else problem.finding)
    case = Xml.SubElement(suite, "testcase", classname=file, name=name)
    if fails:
        kind = "lost" if problem.data_loss else "taken for granted"
        Xml.SubElement(case, "failure", {"type": kind, "message": f"{finding}; {problem.action}"})
    else:
        Xml.SubElement(case, "system-out").text = problem.action
