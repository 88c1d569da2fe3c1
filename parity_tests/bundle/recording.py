"""Recording: a side whose answers are written down, and a stand-in for the other that repeats them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parity_tests.bundle.files import BundleWriter
from parity_tests.retinanet.inputs import Inputs, Labels, Scene, Size, size_name
from parity_tests.retinanet.matching import Detections
from parity_tests.retinanet.side import Fed, Recipe, Side
from parity_tests.rule.compare import Array
from parity_tests.rule.digest import digest_of
from parity_tests.rule.sampled import sample

WHOLE_PIXELS = {"float64": 96 * 160, "float32": 32 * 64}
"""Pixels up to which taps that modules are fed with are kept whole; above, they are samples."""


class Recorder:
    """A side that writes its answers down, under the case, the method, and how often the case has asked it."""

    def __init__(self, side: Side, dtype: str, writer: BundleWriter) -> None:
        self.side, self.dtype, self.writer = side, dtype, writer
        self.sources = side.sources
        self.case, self.asked = "", dict[str, int]()
        self.last: Any = None
        self._made: dict[int, tuple[Array, str]] = {}
        self._pixels = 0

    def begin(self, case: str) -> None:
        self.case, self.asked = case, {}
        self._made.clear()

    def inventory(self) -> dict[str, str]:
        return self.side.inventory()

    def release(self) -> None:
        self.side.release()

    def assign(self, variables: Mapping[str, Array]) -> None:
        self.side.assign(variables)

    def rounding_bounds(self, images: Array, given: Mapping[str, Array]) -> dict[str, Array]:
        return {}

    def variables(self) -> Any:
        return self._sampled("variables", self.side.variables(), ())

    def forward(self, images: Array, *, given: Mapping[str, Array] | None = None, training: bool = False) -> Any:
        taps = self.side.forward(images, given=given, training=training)
        key = self._put("forward", {name: sample(value) for name, value in taps.items()}, (images, given, training))
        self._made |= {id(value): (value, f"{key}/{name}") for name, value in taps.items()}
        self._pixels = images.shape[1] * images.shape[2]
        self.last = taps
        return taps

    def keep_whole(self, taps: Mapping[str, Array]) -> None:
        """Write taps that the other side is to be fed with down as they are, unless they are too large."""
        if self._pixels <= WHOLE_PIXELS[self.dtype]:
            for value in taps.values():
                _, key = self._made[id(value)]
                self.writer.put("forward", key, value)

    def anchors(self, size: Size) -> Any:
        return self._whole("anchors", {"anchors": self.side.anchors(size)}, (size,))["anchors"]

    def targets(self, size: Size, boxes: Sequence[Array], labels: Sequence[Labels]) -> Any:
        return self._whole("targets", self.side.targets(size, boxes, labels), (size, boxes, labels))

    def losses(self, outputs: Array, targets: Mapping[str, Array]) -> Any:
        return self._whole("losses", self.side.losses(outputs, targets), (outputs, targets))

    def gradients(self, scene: Scene, *, training: bool) -> Any:
        return self._sampled("gradients", self.side.gradients(scene, training=training), (scene, training))

    def backward(self, scene: Scene, *, fed: Fed | None = None) -> Any:
        if fed is not None:
            self.keep_whole(fed.taps)
        return self._sampled("backward", self.side.backward(scene, fed=fed), (scene, fed))

    def apply(self, gradients: Mapping[str, Array], factors: Sequence[float], recipe: Recipe) -> Any:
        return self._sampled("step", self.side.apply(gradients, factors, recipe), (gradients, factors, recipe))

    def train(self, scenes: Sequence[Scene], recipe: Recipe, *, training: bool) -> Any:
        losses = {"loss": self.side.train(scenes, recipe, training=training)}
        return self._whole("trajectory", losses, (scenes, recipe, training))["loss"]

    def detections(self, outputs: Array, size: Size) -> list[Detections]:
        found = self.side.detections(outputs, size)
        arrays = {f"{i}/{name}": value for i, picture in enumerate(found) for name, value in picture._asdict().items()}
        self._put("detections", arrays | {"pictures": np.array([len(found)])}, (outputs, size))
        self.last = found
        return found

    def _whole(self, method: str, values: Mapping[str, Any], given: Any) -> Any:
        self._put(method, values, given)
        self.last = dict(values)
        return values

    def _sampled(self, method: str, values: Mapping[str, Array], given: Any) -> dict[str, Any]:
        samples = {name: sample(values[name]) for name in values}
        self._put(method, samples, given)
        self.last = samples
        return samples

    def _put(self, method: str, values: Mapping[str, Any], given: Any) -> str:
        """Keep an answer, and what was asked; the key under which it is found again."""
        count = self.asked[method] = self.asked.get(method, 0) + 1
        key = f"{self.dtype}/{self.case}/{count}"
        self.writer.given[f"{method}/{key}"] = digest_of(given)
        for name, value in values.items():
            self.writer.put(method, f"{key}/{name}", value)
        return key


class Echo:
    """What stands for the other side while one is recorded: it repeats the last answer."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder, self.sources = recorder, recorder.sources
        self.assigned: Mapping[str, Array] = {}

    def __getattr__(self, method: str) -> Any:
        return self._repeat

    def begin(self, case: str) -> None:
        """The recorder knows."""

    def assign(self, variables: Mapping[str, Array]) -> None:
        self.assigned = variables

    def variables(self) -> Any:
        """Those that were assigned, where the side that is recorded was not asked for its own."""
        if "variables" in self.recorder.asked:
            return self.recorder.last
        return {name: values.astype(self.recorder.dtype) for name, values in self.assigned.items()}

    def release(self) -> None:
        """There is nothing to release."""

    def inventory(self) -> dict[str, str]:
        return self.recorder.inventory()

    def rounding_bounds(self, images: Array, given: Mapping[str, Array]) -> dict[str, Array]:
        return {}

    def forward(self, images: Array, *, given: Mapping[str, Array] | None = None, training: bool = False) -> Any:
        if given is None:
            return self.recorder.last
        self.recorder.keep_whole(given)
        return given

    def _repeat(self, *args: Any, **settings: Any) -> Any:
        last = self.recorder.last
        return next(iter(last.values())) if isinstance(last, dict) and len(last) == 1 else last


class RecordedInputs:
    """Inputs that are written down as they are asked for."""

    def __init__(self, inputs: Inputs, writer: BundleWriter) -> None:
        self.inputs, self.writer = inputs, writer

    def images(self, size: Size) -> Array:
        images = self.inputs.images(size)
        self.writer.put("inputs", f"images {size_name(size)}", images)
        return images

    def digits(self, size: Size, count: int) -> Scene:
        return self._put(f"digits {size_name(size)} {count}", [self.inputs.digits(size, count)])[0]

    def training(self, size: Size, batch: int, steps: int) -> Sequence[Scene]:
        return self._put(f"training {size_name(size)} {batch} {steps}", self.inputs.training(size, batch, steps))

    def _put(self, key: str, scenes: Sequence[Scene]) -> Sequence[Scene]:
        for i, scene in enumerate(scenes):
            self.writer.put("inputs", f"{key}/{i}/images", scene.images)
            for j, (boxes, labels) in enumerate(zip(scene.boxes, scene.labels, strict=True)):
                self.writer.put("inputs", f"{key}/{i}/{j}/boxes", boxes)
                self.writer.put("inputs", f"{key}/{i}/{j}/labels", labels)
        return scenes
