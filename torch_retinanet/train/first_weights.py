"""What a run goes on from: the conventions of a weights file, its tensors, and of its classes those of one name."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.config.fields import as_text, conventions
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.train.config import TrainConfig
from torch_retinanet.weights import find_weights
from torch_retinanet.weights.weights_file import TensorNames, WeightsFile

SETTINGS = ("backbone", "width", "head_depth", "min_side", "max_side")
"""Fields of a model's config that are settings of a run by themselves."""


PARTS = {"fpn.backbone.": "backbone", "fpn.": "pyramid", "cls_head.": "class head", "box_head.": "box head"}
"""The parts of a network by how the names of their tensors begin."""


class TakenOver(NamedTuple):
    """What of a file a run took over.

    Attributes:
        source: the file, and whose it is.
        loaded: tensors that the detector took as they are.
        names: how their names in the file and ours go together.
        kept: classes whose rows of the class head were taken.
        new: classes of the data that the file does not have.
        unused: classes of the file that the data does not have.
    """

    source: str
    loaded: tuple[str, ...]
    names: TensorNames
    kept: tuple[str, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """What was loaded; then a line for each part with other names in the file, what is new, and what is unused."""
        yield self._words()
        for part, names in self._renamed().items():
            yield f"{part}: {len(names)} tensors renamed, as {self.names.renamed[names[0]]} to {names[0]}"
        if new := self.names.new:
            yield f"new: {len(new)} tensors that count batches from 0, as {new[0]}"
        if left := self.names.unused:
            yield f"unused: {len(left)} tensors of the file, as {left[0]}"

    def write(self, path: Path) -> None:
        """Write all names as JSON.

        Raises:
            OSError: where it cannot be written.
        """
        renamed = {theirs: ours for ours, theirs in self.names.renamed.items()}
        classes = {"kept": self.kept, "new": self.new, "unused": self.unused}
        tensors = {"loaded": self.loaded, "renamed": renamed, "new": self.names.new, "unused": self.names.unused}
        with atomic_write(path) as beside:
            said = {"source": self.source, "tensors": tensors, "classes": classes}
            beside.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")

    def _renamed(self) -> dict[str, list[str]]:
        """Our names of renamed tensors, by the part that they are in."""
        found: dict[str, list[str]] = {}
        for name in self.names.renamed:
            found.setdefault(next(part for start, part in PARTS.items() if name.startswith(start)), []).append(name)
        return found

    def _words(self) -> str:
        said = f"{self.source}: {len(self.loaded)} tensors taken over"
        if not (self.new or self.unused):
            return f"{said}, with the classes"
        kept = f"rows kept of {_listed(self.kept)}" if self.kept else "no class has a name that the file has"
        new = f"; new: {_listed(self.new)}" if self.new else ""
        unused = f"; unused: {_listed(self.unused)}" if self.unused else ""
        return f"{said}; class head: {kept}{new}{unused}"


def find_first_weights(config: TrainConfig) -> tuple[TrainConfig, WeightsFile | None]:
    """The weights that a run goes on from, and its settings with the conventions of these, unless a preset is named.

    Raises:
        InputError: for a file that is not whole, of a backbone alone, or of a network that settings cannot describe.
        FileNotFoundError: where there is no file.
    """
    if config.weights is None:
        return config, None
    contents = find_weights(config.weights)
    is_assumed = contents.origin or str(config.weights).endswith(".weights.h5")  # names do not tell all presets apart
    if is_assumed and config.preset not in (None, contents.config.nearest()[0]):
        contents = find_weights(config.weights, preset=config.preset)
    if contents.part != "model":
        raise InputError(f"weights: {config.weights} holds a {contents.part} alone; backbone_weights takes it")
    completed = _completed(config, contents.config) if config.preset is None else config
    return completed, contents.stated_in(config.conventions)


def _completed(config: TrainConfig, found: RetinaNetConfig) -> TrainConfig:
    """Settings with the conventions of a file, where they name none themselves."""
    if found.in_channels != RetinaNetConfig.torchvision().in_channels:
        raise InputError(f"weights: {config.weights} has in_channels={found.in_channels}; give Trainer a detector")
    preset, changes = found.nearest()
    fields = {field.name for field in conventions(RetinaNetConfig)}
    given = tuple(f"{n}={as_text(value)}" for n, value in changes.items() if n in fields and n not in SETTINGS)
    settings: dict[str, Any] = {n: getattr(found, n) for n in SETTINGS if getattr(config, n) is None}
    return replace(config, preset=preset, conventions=(*given, *config.conventions), **settings)


def take_over(detector: RetinaNetDetector, contents: WeightsFile, source: str) -> TakenOver:
    """Give a detector the tensors of a file; of the last class layer the rows of classes that have the same name.

    Raises:
        InputError: for a file whose weights mean something else in the detector's conventions.
    """
    if differences := contents.config.differences(detector.config, acts_on="result"):
        needed = " ".join(f"{name}={as_text(getattr(contents.config, name))}" for name in differences)
        raise InputError(f"weights: {source} has other conventions; --conventions {needed} takes them over")
    last = f"cls_head.{len(detector.model.cls_head) - 1}."
    own, tensors = detector.model.state_dict(), dict(contents.tensors)
    old, new = contents.class_names, detector.class_names
    if contents.config.num_classes == detector.config.num_classes and old == new:
        return _loaded(detector, tensors, source, contents, new, (), ())
    places = {name: place for place, name in reversed(list(enumerate(new)))}  # the first of equal names
    pairs = [(places[name], place) for place, name in enumerate(old) if name in places]
    for name in (f"{last}weight", f"{last}bias"):
        counts = len(new), contents.config.num_classes
        tensors[name] = _rows(own[name], tensors[name], pairs, counts)
    kept = {new[place]: place for place, _ in pairs}
    left = tuple(name for name in new if name not in kept), tuple(name for name in old if name not in kept)
    return _loaded(detector, tensors, source, contents, tuple(kept), *left)


def _loaded(
    detector: RetinaNetDetector,
    tensors: dict[str, Tensor],
    source: str,
    contents: WeightsFile,
    kept: Sequence[str],
    new: Sequence[str],
    unused: Sequence[str],
) -> TakenOver:
    detector.model.load_state_dict(tensors)
    whole = tuple(n for n, tensor in contents.tensors.items() if tensors[n] is tensor and n not in contents.names.new)
    named = f"{source} {contents.origin}" if contents.origin else source
    return TakenOver(named, whole, contents.names, tuple(kept), tuple(new), tuple(unused))


def _rows(fresh: Tensor, trained: Tensor, pairs: Sequence[tuple[int, int]], classes: tuple[int, int]) -> Tensor:
    """A fresh class layer (A*K,...) with the rows of a trained one (A*L,...) for classes `pairs` (new, old)."""
    now, before = classes
    merged = fresh.reshape(-1, now, *fresh.shape[1:]).clone()
    rows = trained.to(fresh).reshape(-1, before, *fresh.shape[1:])
    for place, old in pairs:
        merged[:, place] = rows[:, old]
    return merged.reshape(fresh.shape)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
