"""A port that raises where the reference answered: that is a difference, and its record names the line."""

from dataclasses import replace
from pathlib import Path
from traceback import extract_tb

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.comparison import DetectorCase, DetectorSides
from parity_tests.retinanet.side import PACKAGES
from parity_tests.rule.errors import in_one_line
from parity_tests.rule.record import Record

PORT, _ = PACKAGES
ROOT = Path(__file__).parents[2]

OWN = tuple(str(ROOT / package) for package in (*PACKAGES, "parity_tests"))
"""Where the files of both sides and of the instrument are; any other file is of a library."""

NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""What torch says on a machine without memory, in an error of no type of its own: it tells nothing of a model."""

PLACE, RAISED = "raised at", "raised"


def answering(case: DetectorCase) -> DetectorCase:
    """The case with a port that may raise: an error in its own code is a record that differs, and no case left out."""

    def port(sides: DetectorSides, given: Answer) -> Answer:
        try:
            return case.port(sides, given)
        except Exception as error:  # whatever a port raises
            place = _line_of_port(error)
            if place is None or _lacks_memory(error):
                raise
            return {PLACE: place, RAISED: in_one_line(error)}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        if RAISED not in port:
            return case.judge(reference, port)
        reason = f"the port raises {port[RAISED]}, where the reference answers"
        return [Record(rung=case.rung, where=case.where, name=port[PLACE], verdict="different", reason=reason)]

    return replace(case, port=port, judge=judge)


def _lacks_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)


def _line_of_port(error: Exception) -> str | None:
    """`torch_retinanet/targets.py:119`, where the innermost line of either package or the instrument is the port's."""
    own = [frame for frame in extract_tb(error.__traceback__) if frame.filename.startswith(OWN)]
    if not own or not own[-1].filename.startswith(str(ROOT / PORT)):
        return None
    return f"{Path(own[-1].filename).relative_to(ROOT)}:{own[-1].lineno}"
