"""What each convention costs trained weights on annotated pictures of a user, in detections and mAP.

One at a time is changed at inference, with the same weights. Those of training alone have no part in it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from parity_tests.ablation.conventions import changed_to, conventions_of
from parity_tests.ablation.override import Override
from parity_tests.ladder.climb import ClimbProgress, Report
from parity_tests.retinanet.annotated import annotations_for
from parity_tests.retinanet.matching import Detections, share_changed
from parity_tests.retinanet.torch_surroundings import in_numpy
from parity_tests.rule.errors import UsageError
from torch_retinanet import RetinaNetDetector
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.evaluate import coco_metrics
from torch_retinanet.model import RetinaNet
from torch_retinanet.pictures import read_picture
from torch_retinanet.weights import find_weights
from torch_retinanet.weights.weights_file import WeightsFile


@dataclass(frozen=True, kw_only=True)
class OwnPictures:
    """Annotated pictures, as `retinanet evaluate` takes them, and how many of them are looked at,
    evenly from first to last."""

    data: Path
    split: str | None = None
    images: Path | None = None
    classes: Path | None = None
    count: int = 50


def ablate_pictures(
    weights: Path, pictures: OwnPictures, conventions: Sequence[str], *, preset: str | None = None, report: Report
) -> dict[str, Any]:
    """What changing each convention of trained weights changes on annotated pictures, as reports have it.

    Args:
        weights: any file that `retinanet convert` reads, or a run.
        pictures: what the weights detect in.
        conventions: names of those that are changed, or each with its other value, `pad_multiple=32`; all that act on
            detections without any.
        preset: that of the weights, where their names do not say it.
        report: hears how far it has come.

    Raises:
        UsageError: for a convention that does not act on detections, and pictures whose classes are others.
        InputError: for files that cannot be read.
        FileNotFoundError: where there is no file.
    """
    contents = find_weights(weights, preset=preset)
    if contents.part != "model":
        raise UsageError(f"--weights: {weights} holds a {contents.part} alone, and a whole model detects")
    asked = _asked(contents, conventions)
    annotations = annotations_for(contents, pictures.data, weights, pictures.split, pictures.images, pictures.classes)
    chosen = [override for override in asked if not override.left_out]
    found, targets = _detected(contents, chosen, annotations, pictures.count, report)
    measured = {override: _precision(found[override], targets) for override in (None, *chosen)}
    rows = [_row(o, share_changed(found[None], found[o]), measured[o] - measured[None]) for o in chosen]
    return {
        "preset": contents.config.name,
        "summary": _in_words(rows, len(targets)),
        "model": {
            "network": f"{contents.config.backbone}, {contents.config.width} channels",
            "weights": weights.name,
            f"mAP on {len(targets)} pictures": round(measured[None], 3),
        },
        "left_out": {override.assignment: override.left_out for override in asked if override.left_out},
        "rows": rows,
    }


def _asked(contents: WeightsFile, conventions: Sequence[str]) -> list[Override]:
    """The conventions that are named, with every other value or with the one that is stated; all without any."""
    every = [*_acting(contents)]
    if wrong := {name.partition("=")[0] for name in conventions} - {override.convention for override in every}:
        raise UsageError(f"--conventions: {min(wrong)!r} must be one that acts on detections and can be changed")
    stated = [changed_to(contents.config, one) for one in conventions if "=" in one]
    return [override for override in every if not conventions or override.convention in conventions] + stated


def _acting(contents: WeightsFile) -> Iterator[Override]:
    """The conventions that act on detections, each with every other value; those of the network first."""
    every = [override for override in conventions_of(contents.config) if override.acts_on != "training"]
    for part in ("surroundings", "network", "pictures"):
        yield from (override for override in every if override.part == part)


def _detected(
    contents: WeightsFile, chosen: Sequence[Override], annotations: Annotations, count: int, report: Report
) -> tuple[dict[Override | None, list[Detections]], list[dict[str, Tensor]]]:
    """By override what is found in each picture, and what is in it; without any as the weights are."""
    network = _Remembering(_network(contents))
    detectors = {None: _around(network, contents)} | {o: _changed(network, contents, o) for o in chosen}
    found: dict[Override | None, list[Detections]] = {override: [] for override in detectors}
    last = len(annotations.pictures) - 1
    indices = np.unique(np.linspace(0, last, min(count, last + 1)).round().astype(int)).tolist()
    for done, index in enumerate(indices):
        report(ClimbProgress("detecting", annotations.pictures[index].name, done, len(indices)))
        image = read_picture(annotations.pictures[index], upright=not annotations.as_stored[index])
        with torch.no_grad():
            for override, detector in detectors.items():
                found[override] += in_numpy(detector([image]))
    objects = [annotations.objects(index)._asdict() for index in indices]
    return found, [{name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in o.items()} for o in objects]


class _Remembering(nn.Module):
    """A network that does not run again on the images that it has just seen: what surrounds it changes more often."""

    def __init__(self, network: RetinaNet) -> None:
        super().__init__()
        self.network = network
        self._seen: tuple[Tensor, Any] | None = None

    def forward(self, images: Tensor, *, apart: bool) -> Any:
        if self._seen is None or not torch.equal(self._seen[0], images):
            self._seen = images, self.network(images, apart=apart)
        return self._seen[1]


def _network(contents: WeightsFile, override: Override | None = None) -> RetinaNet:
    """The network with a convention changed, on the same tensors."""
    config = contents.config if override is None else contents.config.with_convention(override.assignment)
    with torch.device("meta"):
        network = RetinaNet(config)
    network.load_state_dict(contents.tensors, assign=True)
    return network


def _around(network: nn.Module, contents: WeightsFile, override: Override | None = None) -> RetinaNetDetector:
    config = contents.config if override is None else contents.config.with_convention(override.assignment)
    with torch.device("meta"):  # its own network is not the one that detects
        detector = RetinaNetDetector(config)
    detector._modules["model"] = network
    return detector.eval()


def _changed(network: nn.Module, contents: WeightsFile, override: Override) -> RetinaNetDetector:
    own = _network(contents, override) if override.part == "network" else network
    return _around(own, contents, override)


def _precision(found: Sequence[Detections], targets: Sequence[Mapping[str, Tensor]]) -> float:
    plain = [{name: torch.from_numpy(value) for name, value in d._asdict().items()} for d in found]
    return coco_metrics(plain, targets)["map"]


def _row(override: Override, detections: float, precision: float) -> dict[str, Any]:
    """As in the ablation on digits, of which the rest is not measured here."""
    return {
        "convention": override.convention,
        "from": override.before,
        "to": override.after,
        "meaning": override.meaning,
        "note": "",
        **dict.fromkeys(("starts_at", "activations", "loss", "loss_after_20")),
        **{"sizes": [], "seen": {}, "unseen": [], "refused": []},
        "detections": detections,
        "map": precision,
    }


def _in_words(rows: Sequence[Mapping[str, Any]], pictures: int) -> str:
    count, costing = len({row["convention"] for row in rows}), sum(row["map"] < 0 for row in rows)
    changed = f"{count} conventions changed, one at a time, in {len(rows)} overrides"
    return f"{changed}, on {pictures} pictures; {costing} of the overrides lower the mAP"
