"""An exported file held against eager torch on annotated pictures: its detections, and its mAP by COCO's evaluation."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.certificate import OnData
from torch_retinanet.engines.comparison import Distance, FoundObjects, distance
from torch_retinanet.engines.runtimes import Run
from torch_retinanet.engines.ties import share_by_ties
from torch_retinanet.errors import InputError
from torch_retinanet.pictures import read_picture
from torch_retinanet.predict import Engine
from torch_retinanet.tiles import Tiling

if TYPE_CHECKING:
    from torch_retinanet.evaluate import Annotated

FLOAT_COST = 0.001
"""How far the mAP of a file in float32 may be from eager torch: what the order of equal scores may cost."""


class ProgramEngine:
    """An exported file as what detects, picture by picture."""

    def __init__(self, run: Run, channels: int) -> None:
        self.run, self.channels = run, channels

    def predict(
        self, pictures: Sequence[Any], *, batch_size: int = 1, tiling: Tiling | None = None
    ) -> list[dict[str, Tensor]]:
        assert tiling is None
        return [self._detect(as_fed(picture, self.channels)) for picture in pictures]

    def _detect(self, picture: NDArray[np.float32]) -> dict[str, Tensor]:
        given = self.run(picture)
        return {name: torch.from_numpy(given[name][0]) for name in ("boxes", "scores", "labels")}


def as_fed(picture: Any, channels: int, white: int | None = None, *, upright: bool = True) -> NDArray[np.float32]:
    """A picture as a program takes it: (1,C,H,W) from 0 to 1."""
    pixels = read_picture(picture, channels=channels, white=white, upright=upright)
    fed: NDArray[np.float32] = pixels.numpy().astype(np.float32)[None] / np.float32(255)
    return fed


def evenly(annotations: Annotations, most: int) -> Annotations:
    """So many of the pictures at most, evenly from first to last."""
    count = len(annotations.pictures)
    kept = np.zeros(count, dtype=bool)
    kept[np.linspace(0, count - 1, min(most, count)).round().astype(int)] = True
    return annotations.select(pictures=kept)


def readable(annotations: Annotations, channels: int) -> Iterator[NDArray[np.float32]]:
    """The pictures that can be read, as a program takes them."""
    for path, as_stored in zip(annotations.pictures, annotations.as_stored.tolist(), strict=True):
        with suppress(InputError, OSError):  # such a picture is left out of mAP too
            yield as_fed(path, channels, annotations.white, upright=not as_stored)


class DataCheck:
    """Annotated pictures with what eager torch finds on them, against which files are held.

    Args:
        detector: what files are made from.
        annotations: screened, in the labels of the detector.

    Raises:
        InputError: where no picture has an object of its classes, so that there is no mAP.
    """

    def __init__(self, detector: RetinaNetDetector, annotations: Annotations) -> None:
        self.annotations = annotations
        self.eager = copy.deepcopy(detector).float().cpu().eval()
        self.found = _found(self.eager, annotations)
        self.map = _map(self.found)
        if self.map < 0:
            what = f"has no object of the model's classes on {len(annotations.pictures)} pictures"
            raise InputError(f"{annotations.files[0] if annotations.files else 'DATA'}: {what}, and mAP needs one")

    def quantised(self, run: Run) -> OnData:
        """The mAP of a file whose detections differ from those of float32."""
        return self._said(self._detected(run))

    def equal(self, path: Path, run: Run) -> OnData:
        """The mAP of a file in float32, and how far its detections are from eager torch.

        A picture on which eager float32 and eager float64 find different sets proves nothing, and is counted alone.

        Raises:
            InputError: with the first picture on which they differ, or the mAP.
        """
        what, found = f"{path.name}: answers otherwise than eager torch, and is not kept", self._detected(run)
        apart = [self._apart(i, one) for i, one in enumerate(found.detections)]
        undecided = self._undecided([i for i, one in enumerate(apart) if one.reason])
        for i, one in enumerate(apart):
            if one.reason and i not in undecided:
                raise InputError(f"{what}: {self.annotations.pictures[self.found.indices[i]].name}: {one.reason}")
        share = max((one.share for i, one in enumerate(apart) if i not in undecided), default=0.0)
        said = self._said(found, share=share, undecided=len(undecided))
        if abs(said.map_difference) > FLOAT_COST:
            raise InputError(f"{what}: {said.words}, and may differ by {FLOAT_COST}")
        return said

    def _apart(self, place: int, found: Mapping[str, Tensor]) -> Distance:
        """How far a file is from eager torch on a picture, whose near-equal scores may be in another order."""
        apart = _distance(self.found.detections[place], found)
        if not apart.reason:
            return apart
        index, channels = self.found.indices[place], self.eager.config.in_channels
        upright = not self.annotations.as_stored[index]
        picture = as_fed(self.annotations.pictures[index], channels, self.annotations.white, upright=upright)
        share = share_by_ties(self.eager, torch.from_numpy(picture[0]), _objects(found))
        return apart if share is None else Distance(share)

    def _detected(self, run: Run) -> "Annotated":
        return _found(ProgramEngine(run, self.eager.config.in_channels), self.annotations)

    def _said(self, found: "Annotated", *, share: float | None = None, undecided: int = 0) -> OnData:
        value = _map(found)
        return OnData(
            pictures=len(found.indices),
            detections=sum(len(one["scores"]) for one in found.detections),
            map_eager=self.map,
            map_file=value,
            map_difference=value - self.map,
            share=share,
            undecided=undecided,
        )

    def _undecided(self, places: Sequence[int]) -> set[int]:
        """Those of these pictures on which float32 does not decide as float64."""
        if not places:
            return set()
        kept = np.zeros(len(self.annotations.pictures), dtype=bool)
        kept[[self.found.indices[i] for i in places]] = True
        precise = _found(copy.deepcopy(self.eager).double(), self.annotations.select(pictures=kept))
        pairs = zip(places, precise.detections, strict=True)
        return {i for i, found in pairs if _distance(self.found.detections[i], found).reason}


def _found(engine: Engine, annotations: Annotations) -> "Annotated":
    from torch_retinanet.evaluate import detect_annotated  # which needs more than export does

    return detect_annotated(engine, annotations)


def _map(found: "Annotated") -> float:
    from torch_retinanet.evaluate import coco_metrics

    return float(coco_metrics(found.detections, found.targets)["map"])


def _distance(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> Distance:
    return distance(_objects(expected), _objects(found))


def _objects(found: Mapping[str, Tensor]) -> FoundObjects:
    return FoundObjects(found["boxes"].float().numpy(), found["scores"].float().numpy(), found["labels"].numpy())
