"""What GitHub shows beside the lines of a pull request: where a run starts to differ, in the words of its workflows.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from collections.abc import Mapping

from parity_tests.rule.divergence import divergence
from parity_tests.rule.result import Result

TITLE = "retinanet-parity"
SHOWN = 10
"""As many as GitHub shows of one step."""


def annotations(result: Result) -> list[str]:
    """A line for each module that differs by itself; one for a run that is incomplete, and none for an equal one."""
    parting = divergence(result.records)
    if parting is None:
        return [_line(result.summary, {})] if result.exit_code else []
    first, *others = dict.fromkeys(record.name for record in [parting.first, *parting.origins])
    words = {record.name: f"{record.name}: {record.reason} ({record.where.text})" for record in parting.origins}
    lines = [(first, result.summary), *((name, words[name]) for name in others)]
    return [_line(said, result.sources.get(name, {})) for name, said in lines[:SHOWN]]


def _line(message: str, source: Mapping[str, str]) -> str:
    """One error, at the line of the port that makes the tap, where it is known."""
    file, _, line = source.get("port", "").rpartition(":")
    place = {"file": file, "line": line} if file else {}
    properties = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in {**place, "title": TITLE}.items())
    return f"::error {properties}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    """A text without the characters that end a command, or one of its properties."""
    for character in ("%", "\r", "\n", *more):
        text = text.replace(character, f"%{ord(character):02X}")
    return text
