"""Pictures and targets of annotations, changed at random in a way that depends on seed and draw alone."""

import operator
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from torch_retinanet.checks import check_batch, in_xyxy
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.builder import NO_CLASS
from torch_retinanet.data.decoded_pictures import DecodedPictures
from torch_retinanet.data.mixing import NO_MIXING, Labelled, Mixing
from torch_retinanet.errors import InputError
from torch_retinanet.pictures import COLOURS, read_picture

Sample = tuple[Tensor, dict[str, Any]]
"""A picture of bytes (3,H,W), and its target: `boxes` (G,4) xyxy, `labels` (G,), `ignored` (I,4), `image_id`."""


class SampleKey(NamedTuple):
    """One picture of a run.

    Attributes:
        number: of the draw, counted from 0 over the whole run.
        picture: its number.
        near: tiles that are drawn at about the same time, by their numbers. Others that it is mixed with are of their
            files, which are decoded anyway; by default they are of all files.
    """

    number: int
    picture: int
    near: tuple[int, ...] = ()


class Unreadable(NamedTuple):
    """A picture that could not be read, and why, in a sentence."""

    path: Path
    reason: str


class PictureDataset(Dataset[Sample | Unreadable]):
    """The pictures of annotations with their objects, for training; what is `ignored` is no object, nor background.

    `dataset[SampleKey(n, i)]` is picture i as it is changed at draw n of a run, in any process and at any time.
    `dataset[i]` is picture i as it is changed at draw i, for a plain DataLoader; `dataset[-1]` is the last.

    Args:
        annotations: whose pictures are read, upright unless their boxes lie on them as they are stored.
        transform: what changes a `tv_tensors.Image` and its target; by default nothing does.
        seed: of the changes.
        channels: of a picture, 3 for colours or 1 for gray.
        mixing: how often it is mixed with others, before it is changed.
    """

    def __init__(
        self,
        annotations: Annotations,
        *,
        transform: nn.Module | None = None,
        seed: int = 0,
        channels: int = COLOURS,
        mixing: Mixing = NO_MIXING,
    ) -> None:
        self.annotations, self.seed, self.channels = annotations, seed, channels
        self.transform = v2.Identity() if transform is None else transform
        self.mixing, self._decoded = mixing, DecodedPictures()
        self._tiles: dict[Path, list[int]] = defaultdict(list)
        for index, path in enumerate(annotations.pictures if annotations.windows else ()):
            self._tiles[path].append(index)

    def __len__(self) -> int:
        return len(self.annotations.pictures)

    def __getitem__(self, draw: SampleKey | SupportsIndex) -> Sample | Unreadable:
        draw = draw if isinstance(draw, SampleKey) else self._key(operator.index(draw))
        try:
            one = self._read(draw.picture)
        except (InputError, OSError) as error:
            return Unreadable(self.annotations.pictures[draw.picture], str(error))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(np.random.SeedSequence([self.seed, draw.number]).generate_state(1, np.uint64)[0]))
            with suppress(InputError, OSError):  # of another picture, which says so when it is drawn itself
                one = self.mixing(one, lambda: self._read_another(draw.near))
            image, target = self.transform(tv_tensors.Image(one.image), _target(one) | {"image_id": draw.picture})
        return image, _without_ignored(target)

    def _key(self, index: int) -> SampleKey:
        """The picture of an index, which counts from the end where it is negative, as in any sequence."""
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"index: {index} must be from {-count} to {count - 1}")
        return SampleKey(index % count, index % count)

    def _read(self, index: int) -> Labelled:
        annotations = self.annotations
        objects, path = annotations.objects(index), annotations.pictures[index]
        if annotations.windows:
            picture = self._decoded(path, lambda: self._decode(index))
            picture = annotations.windows[index].cut(picture).clone()  # a transform may change it in place
        else:
            picture = self._decode(index)
        labels = torch.from_numpy(np.where(objects.ignored, NO_CLASS, objects.labels))
        return Labelled(picture, torch.from_numpy(objects.boxes).float().reshape(-1, 4), labels)

    def _decode(self, index: int) -> Tensor:
        annotations, upright = self.annotations, not self.annotations.as_stored[index]
        path, white = annotations.pictures[index], annotations.white
        return read_picture(path, upright=upright, channels=self.channels, white=white)

    def _read_another(self, near: Sequence[int]) -> Labelled:
        if not near:
            return self._read(_any_of(range(len(self))))
        return self._read(_any_of(self._tiles[self.annotations.pictures[_any_of(near)]]))


def _any_of(numbers: Sequence[int]) -> int:
    return numbers[int(torch.randint(len(numbers), ()))]


def _target(one: Labelled) -> dict[str, Any]:
    size = one.image.shape[-2], one.image.shape[-1]
    return {"boxes": tv_tensors.BoundingBoxes(one.boxes, format="XYXY", canvas_size=size), "labels": one.labels}


def _without_ignored(target: dict[str, Any]) -> dict[str, Any]:
    """A target whose boxes without a class stand by themselves."""
    boxes, labels = in_xyxy(target["boxes"]), target["labels"]
    known = labels != NO_CLASS
    return target | {"boxes": boxes[known], "labels": labels[known], "ignored": boxes[~known]}


class Batch(NamedTuple):
    """Pictures and targets that go through a model together, and those that could not be read."""

    images: list[Tensor]
    targets: list[dict[str, Any]]
    unreadable: list[Unreadable]


def collate(samples: Sequence[Sample | Unreadable], *, num_classes: int | None = None) -> Batch:
    """A batch of what a `PictureDataset` gives.

    Args:
        samples: pictures and targets.
        num_classes: K, where labels above are to be refused.

    Raises:
        InputError: for values that a transform of one's own leaves and no training can use: pictures outside 0 to 1,
            boxes that are not finite or without extent, and labels outside 0 to K - 1.
    """
    read = [sample for sample in samples if not isinstance(sample, Unreadable)]
    unreadable = [sample for sample in samples if isinstance(sample, Unreadable)]
    images, targets = [image for image, _ in read], [target for _, target in read]
    check_batch(images, targets, sys.maxsize if num_classes is None else num_classes)
    return Batch(images, targets, unreadable)
