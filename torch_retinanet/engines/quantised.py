"""Finds which layers of a detector can be in int8: as many as leave its mAP within the bound, by measurement."""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.engines.certificate import OUTPUTS, OnData
from torch_retinanet.engines.int8 import Int8
from torch_retinanet.engines.on_data import DataCheck, readable
from torch_retinanet.engines.runtimes import open_program
from torch_retinanet.errors import InputError, install_hint

MOST_PICTURES = 100
"""Pictures from which ranges are taken, at most."""

MAP_COST = 0.005
"""How much mAP a file in int8 may lose."""

COMPARED = 8
"""Pictures on which the error of each group of layers is measured."""

LEFT = 0, 1, 2, 4, 6
"""How many groups stay in float32, one after the other, until the mAP is within the bound."""


class Quantised(NamedTuple):
    """What became of a file.

    Attributes:
        said: its mAP.
        floats: the groups of layers that stayed in float32.
    """

    said: OnData
    floats: list[str]


def quantise(
    path: Path, pictures: Annotations, check: DataCheck, watch: Callable[[str], None] = lambda words: None
) -> Quantised:
    """Put a file in int8 in the place of that in float32.

    The groups of layers whose error is largest stay in float32, as few as are needed.

    Args:
        path: a file of ONNX in float32; its folder holds what is in between.
        pictures: those from which ranges are taken.
        check: where its mAP is measured.
        watch: is told what is being done.

    Raises:
        InputError: where onnxruntime is not installed, where no picture can be read, where the mAP of float32 is too
            low to tell what int8 costs, and where that of int8 is lower in every way that was tried.
    """
    if check.map <= MAP_COST:
        raise InputError(f"{path.name}: mAP {check.map:.4f} of eager float32 is too low to tell what int8 costs")
    channels = check.eager.config.in_channels
    few = [*islice(readable(pictures, channels), COMPARED)]
    if not few:
        raise InputError(f"calibration: none of {len(pictures.pictures)} pictures can be read")
    watch(f"ranges from {len(pictures.pictures)} pictures")
    try:
        int8 = Int8(path, lambda: readable(pictures, channels), path.parent)
    except ModuleNotFoundError as error:
        raise InputError(f"int8: {error.name} is not installed; {install_hint('onnx')} brings it") from None
    watch(f"the error of {len(int8.groups)} groups of layers")
    errors = int8.errors(few)
    return _within_bound(path, int8, sorted(errors, key=lambda group: -errors[group]), check, watch)


def _within_bound(
    path: Path, int8: Int8, worst: Sequence[str], check: DataCheck, watch: Callable[[str], None]
) -> Quantised:
    """Write the file that has the fewest groups in float32, of those whose mAP is within the bound."""
    tried = []
    for count in (left for left in LEFT if left < len(worst)):
        floats = [*worst[:count]]
        int8.write(path, floats)
        said = check.quantised(open_program(path, OUTPUTS["detections"]))
        watch(f"{said.words}, with {', '.join(floats) or 'nothing'} in float32")
        if said.map_difference >= -MAP_COST:
            return Quantised(said, floats)
        tried.append(said)
    best = max(tried, key=lambda said: said.map_file)
    raise InputError(f"{path.name}: int8 costs too much, and is not kept: {best.words}, and may lose {MAP_COST}")
