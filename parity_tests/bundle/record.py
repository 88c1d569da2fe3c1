"""Recording a run: its reference climbs the ladder alone, and all that it answers is written to a folder."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from parity_tests.bundle.files import BundleWriter, check_replaceable
from parity_tests.bundle.recording import Echo, RecordedInputs, Recorder
from parity_tests.ladder.processes import Progress
from parity_tests.retinanet.climb import Rungs
from parity_tests.retinanet.rungs import Run, climb
from parity_tests.retinanet.side import Side
from parity_tests.rule.errors import InputError
from parity_tests.rule.result import Climbed


def record(
    run: Run,
    side: str,
    folder: Path,
    rungs: Rungs,
    *,
    about: Mapping[str, Any],
    report: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Write what the reference of a run answers on these rungs; `about` goes into the manifest as it is.

    Args:
        run: in place of its port the reference repeats itself.
        side: which one the reference is, `keras` or `torch`.
        folder: where to write; a bundle that is there is replaced.

    Raises:
        InputError: for a folder that is there and no bundle, and for a side that does not answer.
        OSError: where the folder cannot be written.
    """
    check_replaceable(folder)
    writer = BundleWriter()

    def build(dtype: str) -> tuple[Side, Side]:
        recorder = Recorder(run.build(dtype)[0], dtype, writer)
        return recorder, Echo(recorder)

    recorded = replace(run, build=build, inputs=RecordedInputs(run.inputs, writer), _sides={})
    climbed = climb(rungs, recorded, report)
    if failed := [record for record in climbed.records if record.verdict != "equal"]:
        raise InputError(f"{side}: does not answer {failed[0].rung} {failed[0].case}: {failed[0].reason}")
    for name, values in run.variables.items():
        writer.put("weights", name, values)
    writer.write(folder, {"side": side, **about, **_manifest(recorded, climbed, rungs)})
    recorded.release()


def _manifest(run: Run, climbed: Climbed, rungs: Rungs) -> dict[str, Any]:
    return {
        "preset": run.preset,
        "num_classes": run.config.num_classes,
        "anchor_scale": float(run.config.anchor_scale),
        "limits": run.limits._asdict(),
        "sizes": list(run.sizes),
        "rungs": list(rungs),
        "provenance": climbed.provenance,
        "sources": {tap: lines["reference"] for tap, lines in climbed.sources.items()},
        "inventory": run.built()[0].inventory(),
    }
