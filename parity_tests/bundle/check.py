"""What a check is told of a bundle: what was recorded as samples, and which rungs were not recorded."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from parity_tests.bundle.files import Bundle
from parity_tests.ladder.case import About
from parity_tests.rule.record import ALL, Record, Where


def recorded_about(bundle: Bundle) -> About:
    """What is known of the side that was recorded."""
    return About(*(bundle.manifest[name] for name in ("sources", "inventory", "skipped")))


def unrecorded(bundle: Bundle, rungs: Sequence[str]) -> list[Record]:
    """An incomplete record for each rung that should be in a bundle and is not, as in one of an earlier version."""
    missing = [name for name in rungs if name not in bundle.rungs]
    reason = f"{bundle.folder.name} was recorded without this rung"
    return [Record(rung=name, where=Where(), name=ALL, verdict="incomplete", reason=reason) for name in missing]


def samples_in_words(bundle: Bundle) -> list[str]:
    """A sentence on what was recorded as samples, rung by rung."""
    cases = bundle.manifest["cases"].values()
    counts = Counter(case["rung"] for case in cases for _ in _samples(case["answer"]))
    of_rungs = ", ".join(f"{count} of {rung}" for rung, count in counts.items())
    return [f"recorded as samples and digests, since they are large: {of_rungs}"] if counts else []


def _samples(stored: Any) -> Iterator[Any]:
    if isinstance(stored, dict) and "shape" in stored:
        yield stored
    elif isinstance(stored, (dict, list)):
        for inner in stored.values() if isinstance(stored, dict) else stored:
            yield from _samples(inner)


def sampled_sizes(records: Sequence[Record]) -> list[str]:
    """A sentence for the sizes at which modules could not be fed alone, since their inputs are samples."""
    cases: dict[str, dict[str, None]] = {"isolated": {}, "cascaded": {}}
    for where in (record.where for record in records if record.rung == "forward"):
        if where.mode in cases:
            cases[where.mode][f"{where.extent} in {where.dtype}"] = None
    left_out = [case for case in cases["cascaded"] if case not in cases["isolated"]]
    if not left_out:
        return []
    return [f"at {', '.join(left_out)} taps were recorded as samples and digests: modules were not fed alone there"]
