"""What one changed convention changes, measured: by the ladder against the model as it is, and on trained digits."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch

from parity_tests.ablation.conventions import INIT, NOTES
from parity_tests.ablation.digits_model import DigitsModel, Weights, digits_config
from parity_tests.ablation.effects import (
    Effect,
    by_size,
    largest,
    largest_on_taps,
    refused,
    sizes_of,
    starts_at,
    unseen,
)
from parity_tests.ablation.override import Override
from parity_tests.ablation.photos import PHOTOS, photo_effect
from parity_tests.ladder.case import Answer
from parity_tests.ladder.climb import compared
from parity_tests.retinanet.coco import coco_numbers
from parity_tests.retinanet.comparison import DetectorComparison, detector_sides
from parity_tests.retinanet.inputs import Size, size_name
from parity_tests.retinanet.matching import Detections, share_changed
from parity_tests.retinanet.rungs import RUNGS
from parity_tests.retinanet.scenes import DigitInputs
from parity_tests.retinanet.setup import detection_limits, override
from parity_tests.retinanet.side import DetectorSide
from parity_tests.retinanet.torch_side import TorchDetectorSide
from parity_tests.retinanet.torch_surroundings import Config
from parity_tests.rule.record import Record
from torch_retinanet.config.fields import conventions
from torch_retinanet.errors import InputError
from torch_retinanet.weights.keras_names import keras_variables

NETWORK_SIZES: tuple[Size, ...] = ((32, 32), (64, 64), (96, 96), (96, 160), (120, 120), (128, 128), (160, 160))
"""Sizes of what the network is fed: C5 and P6 with odd and even sides, and one that times 2 cannot enlarge."""

OBJECT_SIZES: tuple[Size, ...] = ((64, 64), (96, 160), (128, 128))
"""Sizes for what surrounds the network."""

SMALL: dict[str, Any] = {"backbone": "resnet18", "width": 8}
"""The model whose steps show the conventions of optimisers, which no network changes."""

COSTS = ("loss", "loss_after_20", "detections", "map")
"""What an override costs, as a row has it."""

ADAM = ("eps", "eps_root", "bias_steps")
"""Conventions of Adam alone."""


class Bench:
    """The model in a preset's own conventions, against which each override of them is held.

    Args:
        preset: whose conventions are changed.
        weights: of the small model, trained on digits.
        seed: of pictures and fresh weights.
    """

    def __init__(self, preset: str, weights: Weights, *, seed: int) -> None:
        self.preset, self.seed = preset, seed
        self.config = digits_config(Config.preset(preset))
        self.photo_config = Config.preset(preset)
        self.model = DigitsModel(weights, seed=seed)
        tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
        self.variables = {name: value.numpy() for name, value in keras_variables(tensors).items()}
        self._base = cache(self._build_base)
        self._answers: dict[str, Answer] = {}
        self._found, self._loss_after = cache(self._detect), cache(self._train)

    def row(self, changed: Override) -> dict[str, Any]:
        """Everything that is measured of an override."""
        effects, note = self.shows(changed), NOTES.get(changed.convention, "")
        try:
            effects |= self.costs(changed)
        except InputError as error:
            effects |= dict.fromkeys(COSTS)
            note = f"{note} What it costs is unknown: the model refuses the digits ({error}).".strip()
        return {
            "convention": changed.convention,
            "from": changed.before,
            "to": changed.after,
            "meaning": changed.meaning,
            "note": note,
            **{name: _finite(value) for name, value in effects.items()},
        }

    def baseline(self) -> dict[str, Any]:
        """What the model does in its own conventions, which effects are beside."""
        return {
            "mAP on the test digits": round(self.model.mean_precision(self._found()), 3),
            "loss": round(self.model.loss(self.config), 4),
            "loss after 20 steps": round(self._loss_after("sgd", fresh=False), 4),
            "from fresh weights": round(self._loss_after("sgd", fresh=True), 4),
        }

    def shows(self, changed: Override) -> dict[str, Any]:
        """Where it starts, how large it is on activations, and at which sizes it is seen."""
        if changed.part == "pictures":
            return self._shows_in_photos(changed)
        records = [] if changed.part == "rounding" else self._records(changed)
        of_sizes = [record for record in records if record.rung != "step"]
        activations = largest_on_taps(records) if changed.part == "network" else None
        shown = {"starts_at": starts_at(records), "activations": activations}
        return shown | _at_sizes(sizes_of(of_sizes), by_size(of_sizes), refused(of_sizes))

    def _shows_in_photos(self, changed: Override) -> dict[str, Any]:
        other = self.photo_config.with_convention(changed.assignment)
        seen = {size_name(size): photo_effect(self.photo_config, other, size, seed=self.seed) for size in PHOTOS}
        most = largest([*seen.values()])
        return {"starts_at": "images" if most else None, "activations": most} | _at_sizes([*seen], seen, [])

    def _records(self, changed: Override) -> list[Record]:
        """Those of the rungs on which an override can show."""
        if changed.part == "network":
            rungs = {"parameters": NETWORK_SIZES} if changed.convention in INIT else {"forward": NETWORK_SIZES}
        elif changed.part == "optimizer":
            rungs = {"step": ()}
        else:
            rungs = dict.fromkeys(("anchors", "targets", "losses", "detections"), OBJECT_SIZES)
        run, answers = self._run(changed), self._answers if self._has_base(changed) else {}
        cases = [case for rung, sizes in rungs.items() for case in RUNGS[rung](replace(run, sizes=sizes))]
        return [record for case in cases for record in compared(case, run.sides, answers)]

    def _has_base(self, changed: Override) -> bool:
        """Whether it is held against the trained model as it is, whose answers are the same for every override."""
        return changed.part != "optimizer" and changed.convention not in INIT

    def _run(self, changed: Override) -> DetectorComparison:
        """The model as it is against the changed one."""
        config, optimizer_overrides = self._overridden(changed)
        weights = self.variables
        build: dict[str, Callable[[str], DetectorSide]] = {
            "reference": self._base,
            "port": partial(self._port, changed),
        }
        if changed.part == "optimizer":
            small = replace(config, **SMALL)
            weights = TorchDetectorSide(small, "float32").parameters()
            port = partial(TorchDetectorSide, small, optimizer_overrides=optimizer_overrides)
            build = {"reference": partial(TorchDetectorSide, small), "port": port}
        elif changed.convention in INIT:
            build = {"reference": partial(TorchDetectorSide, self.config), "port": partial(TorchDetectorSide, config)}
        return DetectorComparison(
            preset=self.preset,
            config=config,
            limits=detection_limits(self.preset),
            sides=detector_sides(build, weights),
            weights=weights,
            inputs=DigitInputs(seed=self.seed),
            metric=coco_numbers,
            dtypes=("float64",),
        )

    def _port(self, changed: Override, dtype: str) -> DetectorSide:
        """The model changed; what only surrounds the network is put around the same one."""
        config = self._overridden(changed)[0]
        if changed.part == "network":
            return TorchDetectorSide(config, dtype)
        return self._base(dtype).surrounded(config)

    def _overridden(self, changed: Override) -> tuple[Config, dict[str, Any]]:
        if changed.part == "rounding":
            return self.config, {}
        config, optimizer_overrides = override(self.photo_config, [changed.assignment])
        return digits_config(config), optimizer_overrides

    def _build_base(self, dtype: str) -> TorchDetectorSide:
        return TorchDetectorSide(self.config, dtype)

    def costs(self, changed: Override) -> dict[str, Any]:
        """What it does to losses and detections, as far as it has a part in them."""
        config, moved = self._overridden(changed)[0], changed.part == "rounding"
        costs: dict[str, Any] = dict.fromkeys(COSTS)
        if changed.part != "optimizer" and changed.convention not in INIT:
            costs["loss"] = _relative(self.model.loss(config, moved=moved), self.model.loss(self.config))
        if not _only_detects(changed):
            costs["loss_after_20"] = self._change_after_steps(changed)
        if changed.part not in ("optimizer", "rounding") and changed.convention not in INIT:
            found = self.model.detect(config)
            costs["detections"] = share_changed(self._found(), found)
            costs["map"] = self.model.mean_precision(found) - self.model.mean_precision(self._found())
        return costs

    def _change_after_steps(self, changed: Override) -> float:
        config, optimizer_overrides = self._overridden(changed)
        recipe, fresh = "adam" if changed.convention in ADAM else "sgd", changed.convention in INIT
        moved = changed.part == "rounding"
        after = self.model.loss_after_steps(config, recipe, optimizer_overrides, fresh=fresh, moved=moved)
        return _relative(after, self._loss_after(recipe, fresh=fresh))

    def _train(self, recipe: str, *, fresh: bool) -> float:
        return self.model.loss_after_steps(self.config, recipe, {}, fresh=fresh)

    def _detect(self) -> list[Detections]:
        return self.model.detect(self.config)


def _at_sizes(sizes: Sequence[str], seen: Mapping[str, Effect], refused: Sequence[str]) -> dict[str, Any]:
    return {"sizes": sizes, "seen": seen, "unseen": unseen(seen), "refused": refused}


def _only_detects(changed: Override) -> bool:
    """Whether a convention has a part in detections alone."""
    acts_on = {field.name: field.metadata["acts_on"] for field in conventions(Config)}
    return changed.part == "surroundings" and acts_on[changed.convention] == "detections"


def _relative(value: float, before: float) -> float:
    return (value - before) / abs(before)


def _finite(value: Any) -> Any:
    """What JSON has no number for is not measured."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
