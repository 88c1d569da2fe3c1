"""The rung *parameters*: names and shapes of all variables, and fresh values layer by layer: their distribution, and
whether each layer has its own."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np

from parity_tests.ladder.case import Answer
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.names import tag_of
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.compare import compare_taps, compare_values
from parity_tests.rule.record import Array, Record, Where

SAMPLE = 2**16
"""Values of a variable that enter the comparison of distributions, spread over it evenly."""

FALSE_ALARM = 1e-9
"""How often two samples of one distribution may be taken for two; what the distance may be follows from it."""

FRESH = Where(subject="fresh")

FILE = "model.weights.h5"


def parameters(run: DetectorComparison) -> list[DetectorCase]:
    """Names, shapes, number and fresh values of all variables; and the narrow network's in files of Keras."""
    fresh = DetectorCase(rung="parameters", where=FRESH, reference=_reference, port=_port, judge=_judge)
    return [fresh, _in_files(run)]


def _in_files(run: DetectorComparison) -> DetectorCase:
    """What the port reads of a file that Keras wrote, and what stands where in the file that it writes itself."""

    def reference(sides: DetectorSides) -> Answer:
        side = run.narrowed(sides.reference("float64"))
        file = _written(side)
        return {"variables": side.parameters(), "file": file, "places": _places(file)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        side = run.narrowed(sides.port("float64"))
        with TemporaryDirectory() as folder:
            path = Path(folder) / FILE
            path.write_bytes(given["file"].tobytes())
            return {"variables": side.read(path), "places": _places(_written(side))}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        records = []
        for part, subject in (("variables", "read from a file"), ("places", "written to a file")):
            left, right = reference[part], port[part]
            records += compare_taps("parameters", Where(subject=subject), left, right, budgets=dict.fromkeys(left, 0.0))
        return records

    where = Where(subject="files")
    return DetectorCase(rung="parameters", where=where, reference=reference, port=port, judge=judge, shared=0)


def _written(side: DetectorSide) -> Array:
    """The bytes of the file that a side writes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        side.write(path)
        return np.frombuffer(path.read_bytes(), np.uint8)


def _places(file: Array) -> dict[str, Array]:
    """What stands in a file, by its place."""
    found: dict[str, Array] = {}
    with h5py.File(BytesIO(file.tobytes())) as opened:
        opened.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def _reference(sides: DetectorSides) -> Answer:
    return {"variables": sides.build["reference"]("float32").parameters()}


def _port(sides: DetectorSides, given: Answer) -> Answer:
    return {"variables": sides.build["port"]("float32").parameters()}


def _judge(reference: Answer, port: Answer) -> list[Record]:
    left, right = reference["variables"], port["variables"]
    records = compare_fresh(left, right)
    counts = [np.array([sum(array.size for array in side.values())], float) for side in (left, right)]
    return [*records, compare_values("parameters", FRESH, "count", counts[0], counts[1], budget=0.0)]


def compare_fresh(reference: Mapping[str, Array], port: Mapping[str, Array]) -> list[Record]:
    """Each variable's fresh values: whether they are its own, and how they are distributed."""
    repeated = [_repeated(side) for side in (reference, port)]
    records = []
    for name in [*reference, *(name for name in port if name not in reference)]:
        own = [name not in side for side in repeated]
        if own[0] != own[1] and name in reference and name in port:
            records.append(_compare_repetition(name, *own))
        else:
            records.append(_compare_distribution(name, reference.get(name), port.get(name)))
    return records


def _repeated(variables: Mapping[str, Array]) -> frozenset[str]:
    """The variables whose drawn values are those of another: their layers begin as one layer and stay so."""
    alike = defaultdict[tuple[tuple[int, ...], bytes], list[str]](list)
    for name, values in variables.items():
        if values.size and values.min() != values.max():
            alike[values.shape, sha256(values.tobytes()).digest()].append(name)
    return frozenset(name for names in alike.values() if len(names) > 1 for name in names)


def _compare_repetition(name: str, reference: bool, port: bool) -> Record:
    """Of a variable that has values of its own on one side alone."""
    left, right = (np.array([float(is_own)]) for is_own in (reference, port))
    record = compare_values("parameters", FRESH, name, left, right, budget=0.0, tag=tag_of(name))
    side = "port" if reference else "reference"
    return replace(record, reason=f"its fresh values are those of another variable, in the {side} alone")


def _compare_distribution(name: str, reference: Array | None, port: Array | None) -> Record:
    """The largest distance of two distribution functions, against what chance allows (Kolmogorov and Smirnov).

    What the reference starts at one value, zeros or ones, must be that value.
    """
    compare = partial(compare_values, "parameters", FRESH, name, tag=tag_of(name))
    structure = compare(reference, port, budget=None)
    if reference is None or port is None or structure.verdict != "equal":
        return structure
    if reference.min() == reference.max():
        return compare(reference, port, budget=0.0)
    left, right = (np.sort(array.ravel()[:: max(1, array.size // SAMPLE)]) for array in (reference, port))
    points = np.concatenate([left, right])
    shares = [np.searchsorted(values, points, side="right") / values.size for values in (left, right)]
    budget = math.sqrt(math.log(2 / FALSE_ALARM) / 2 * (1 / left.size + 1 / right.size))
    return compare(shares[0], shares[1], budget=budget)
