"""The rung *pictures*: from a file to what the network is shown, each step fed what the reference made before it."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from parity_tests.ladder.case import Answer, asked_with, check_drawn
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.picture_files import Bytes, picture_files
from parity_tests.retinanet.preparation import PictureSides, Preparation
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.budgets import ISOLATED
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where

PICTURE_SIZES: tuple[Size, ...] = ((37, 61), (61, 37), (768, 64), (20, 70), (48, 80))
"""Pictures that are made larger and smaller, wide and tall; one whose long side is at its limit, an eighth of what it
was; one that stays."""

SIDES = PictureSides(48, 96)
"""To which they are resized: what holds for small pictures holds for large ones, at a hundredth of the time."""

WIDER, BATCHES = PictureSides(48, 160), (("37x61", "20x70"), ("20x70", "37x61"))
"""To which pictures of a batch are resized: one to 128x128 with its padding, and one to 128x256."""

CAMERA_SIZES: tuple[Size, ...] = (
    (480, 640),
    (1080, 1920),
    (3000, 2000),
    (333, 500),
    (427, 547),
    (7, 5),
    (100, 1000),
    (800, 1024),
)
"""Pictures of which the size alone is computed, with the sides that each side has by default; the last is not padded
to a larger width. The long side of 427x547 becomes 1024.8 pixels: 1024 are shown, and padding follows the whole."""

PIXELS = 2**12
"""How many pixels of a file are compared, in whole columns: all, but of the large one the first column alone."""

FILES, STEPS = Where(dtype="float64", subject="files"), Where(dtype="float64", subject="steps")


def pictures(run: DetectorComparison) -> list[DetectorCase]:
    """Files of every kind, and the steps from their pixels on."""
    return [_files(run), _steps(run)]


def _files(run: DetectorComparison) -> DetectorCase:
    """Pixels must be the same bytes: a decoder is Pillow's on both sides, and nothing is rounded but alpha."""

    def reference(sides: DetectorSides) -> Answer:
        files = picture_files(seed=run.inputs.seed)
        return {"files": files, "pixels": _read(sides.reference("float64").preparation(), files)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"pixels": _read(sides.port("float64").preparation(), given["files"])}

    return DetectorCase(
        rung="pictures",
        where=FILES,
        reference=reference,
        port=port,
        judge=_judge_files,
        whole=("files", "pixels"),
        shared=0,
    )


def _judge_files(reference: Answer, port: Answer) -> list[Record]:
    records = []
    for name, pixels in reference["pixels"].items():
        both = ({"picture": pixels}, {"picture": port["pixels"][name]})
        records += compare_taps("pictures", replace(FILES, data=name), *both, budgets={"picture": 0.0})
    return records


def _read(side: Preparation, files: Mapping[str, Bytes]) -> dict[str, Array]:
    """The pixels of files, which are written for it."""
    with tempfile.TemporaryDirectory() as folder:
        path, pixels = Path(folder) / "picture", dict[str, Array]()
        for name, content in files.items():
            path.write_bytes(content.tobytes())
            read = side.read(path)
            pixels[name] = read[:, : max(1, PIXELS // len(read))].astype(np.float64)
    return pixels


def _steps(run: DetectorComparison) -> DetectorCase:
    def reference(sides: DetectorSides) -> Answer:
        drawn, side = _drawn(run.inputs.seed), sides.reference("float64")
        steps = {name: _isolated(side.preparation(SIDES), picture, None) for name, picture in drawn.items()}
        sizes, together = _fitted(side.preparation()), _together(side, drawn)
        return {"steps": steps, "sizes": sizes, "together": together, "seed": run.inputs.seed} | asked_with(drawn)

    def port(sides: DetectorSides, given: Answer) -> Answer:
        drawn, side = _drawn(given["seed"]), sides.port("float64").preparation(SIDES)
        check_drawn(given, drawn)
        steps = {name: _isolated(side, picture, given["steps"][name]) for name, picture in drawn.items()}
        together = _together(sides.port("float64"), drawn)
        return {"steps": steps, "sizes": _fitted(sides.port("float64").preparation()), "together": together}

    where, whole = STEPS, ("steps", "sizes", "together")
    return DetectorCase(rung="pictures", where=where, reference=reference, port=port, judge=_judge, whole=whole)


def _drawn(seed: int) -> dict[str, Array]:
    """Pictures (H,W,3) by their sizes: of bytes as numbers; the last of any numbers from 0 to 255."""
    rng = np.random.default_rng(seed)
    drawn = {f"{h}x{w}": rng.integers(0, 256, (h, w, 3)).astype(np.float64) for h, w in PICTURE_SIZES}
    last = next(reversed(drawn))
    return drawn | {last: (drawn[last] + rng.uniform(-0.5, 0.5, drawn[last].shape)).clip(0, 255)}


def _isolated(side: Preparation, picture: Array, given: Mapping[str, Array] | None) -> dict[str, Array]:
    """Each step of a side, fed what is given or its own; and all of them in a chain."""
    size = (picture.shape[0], picture.shape[1])
    resized = side.resized(picture)
    before = resized if given is None else given["resized"]
    return {
        "resized": resized,
        "normalised": side.normalised(before),
        "padded": side.padded(before, size),
        "prepared": side.prepared(picture),
        "trained": side.trained(picture),
    }


def _together(side: DetectorSide, drawn: Mapping[str, Array]) -> dict[str, Array]:
    """Batches of two pictures that are padded to different sizes by themselves, the smaller one first and last."""
    preparation = side.preparation(WIDER)
    return {" and ".join(names): preparation.together([drawn[name] for name in names]) for names in BATCHES}


def _fitted(side: Preparation) -> dict[str, Array]:
    return {f"{h}x{w}": side.fitted((h, w)) for h, w in CAMERA_SIZES}


def _judge(reference: Answer, port: Answer) -> list[Record]:
    records = []
    compare = partial(compare_taps, "pictures", units=ISOLATED)
    for name, expected in reference["sizes"].items():
        records += compare(replace(STEPS, data=name), {"sizes": expected}, {"sizes": port["sizes"][name]})
    for name, expected in reference["steps"].items():
        records += compare(replace(STEPS, data=name), expected, port["steps"][name])
    for name, expected in reference["together"].items():
        records += compare(replace(STEPS, data=name), {"together": expected}, {"together": port["together"][name]})
    return records
