"""Checking a recorded side: a run whose reference is the bundle, and whose port is the other side."""

from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from parity_tests.bundle.files import Bundle
from parity_tests.bundle.replay import Replay, ReplayedInputs
from parity_tests.retinanet.climb import Rungs
from parity_tests.retinanet.matching import Limits
from parity_tests.retinanet.rungs import RUNGS, Run
from parity_tests.retinanet.side import Side
from parity_tests.rule.compare import ALL, Record

OTHER = {"keras": "torch", "torch": "keras"}
"""The side that is checked, by the one that was recorded."""

LEFT_OUT = {
    "parameters": "fresh values are random, and are compared by their distribution where both frameworks are",
    "metric": "it is computed from detections, which are compared",
}
"""Rungs that a bundle has not, and why."""


def replayed(bundle: Bundle, build: Callable[[str], Side]) -> Run:
    """The run that was recorded, with a port in each precision from `build`.

    Raises:
        InputError: for a bundle that lacks what a run needs.
    """
    config = SimpleNamespace(num_classes=bundle.of("num_classes"), anchor_scale=bundle.of("anchor_scale"))
    return Run(
        preset=bundle.of("preset"),
        config=config,
        limits=Limits(*(bundle.of("limits")[name] for name in Limits._fields)),
        variables=bundle.file("weights"),
        build=lambda dtype: (Replay(bundle, dtype), build(dtype)),
        inputs=ReplayedInputs(bundle),
        metric=no_metric,
        sizes=[(height, width) for height, width in bundle.of("sizes")],
    )


def rungs_of(bundle: Bundle) -> Rungs:
    """The rungs that were recorded."""
    return {name: RUNGS[name] for name in RUNGS if name in bundle.of("rungs")}


def unrecorded(bundle: Bundle) -> list[Record]:
    """An incomplete record for each rung that should be in a bundle and is not, as in one of an earlier version."""
    missing = [name for name in RUNGS if name not in bundle.of("rungs") and name not in LEFT_OUT]
    reason = f"{bundle.folder.name} was recorded without this rung"
    return [Record(rung=name, case="", name=ALL, verdict="incomplete", reason=reason) for name in missing]


def samples_in_words(bundle: Bundle) -> list[str]:
    """A sentence on what was recorded as samples, file by file."""
    counts = Counter(name.partition("/")[0] for name in bundle.of("samples"))
    of_files = ", ".join(f"{count} of {file}" for file, count in counts.items())
    return [f"recorded as samples and digests, since they are large: {of_files}"] if counts else []


def sampled_sizes(records: Sequence[Record]) -> list[str]:
    """A sentence for the sizes at which modules could not be fed alone, since their inputs are samples."""
    cases: dict[str, dict[str, None]] = {"isolated": {}, "cascaded": {}}
    for record in records:
        if record.rung == "forward" and record.mode in cases:
            cases[record.mode][f"{record.size} in {record.dtype}"] = None
    left_out = [case for case in cases["cascaded"] if case not in cases["isolated"]]
    if not left_out:
        return []
    return [f"at {', '.join(left_out)} taps were recorded as samples and digests: modules were not fed alone there"]


def no_metric(*arguments: Any) -> dict[str, float]:
    """Bundles have no rung that needs it."""
    raise NotImplementedError
