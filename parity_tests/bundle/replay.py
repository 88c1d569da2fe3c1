"""Checking: a side that has the answers of a bundle, and its inputs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from parity_tests.bundle.files import Bundle
from parity_tests.retinanet.inputs import Labels, Scene, Size, size_name
from parity_tests.retinanet.matching import Detections
from parity_tests.retinanet.side import Fed, Recipe
from parity_tests.rule.compare import Array
from parity_tests.rule.digest import digest_of
from parity_tests.rule.errors import InputError

METHODS = (
    *("variables", "forward", "anchors", "targets", "losses", "gradients", "backward", "step", "trajectory"),
    "detections",
)
"""The files that hold answers."""


class Replay:
    """A side whose answers were recorded: it computes nothing, and answers what it was asked then."""

    def __init__(self, bundle: Bundle, dtype: str) -> None:
        self.bundle, self.dtype = bundle, dtype
        self.sources: dict[str, str] = bundle.of("sources")
        self.case, self.asked = "", dict[str, int]()
        self._names = {file: _grouped(bundle.of("names").get(file, [])) for file in METHODS}

    def begin(self, case: str) -> None:
        self.case, self.asked = case, {}

    def inventory(self) -> dict[str, str]:
        inventory: dict[str, str] = self.bundle.of("inventory")
        return inventory

    def assign(self, variables: Mapping[str, Array]) -> None:
        """What was assigned when it was recorded."""

    def release(self) -> None:
        """There is nothing to release."""

    def rounding_bounds(self, images: Array, given: Mapping[str, Array]) -> dict[str, Array]:
        return {}

    def variables(self) -> Any:
        return self._answer("variables", ())

    def forward(self, images: Array, *, given: Mapping[str, Array] | None = None, training: bool = False) -> Any:
        return self._answer("forward", (images, given, training))

    def anchors(self, size: Size) -> Any:
        return self._answer("anchors", (size,))["anchors"]

    def targets(self, size: Size, boxes: Sequence[Array], labels: Sequence[Labels]) -> Any:
        return self._answer("targets", (size, boxes, labels))

    def losses(self, outputs: Array, targets: Mapping[str, Array]) -> Any:
        return self._answer("losses", (outputs, targets))

    def gradients(self, scene: Scene, *, training: bool) -> Any:
        return self._answer("gradients", (scene, training))

    def backward(self, scene: Scene, *, fed: Fed | None = None) -> Any:
        return self._answer("backward", (scene, fed))

    def apply(self, gradients: Mapping[str, Array], factors: Sequence[float], recipe: Recipe) -> Any:
        return self._answer("step", (gradients, factors, recipe))

    def train(self, scenes: Sequence[Scene], recipe: Recipe, *, training: bool) -> Any:
        return self._answer("trajectory", (scenes, recipe, training))["loss"]

    def detections(self, outputs: Array, size: Size) -> list[Detections]:
        arrays = self._answer("detections", (outputs, size))
        parts = [[arrays[f"{i}/{name}"] for name in Detections._fields] for i in range(int(arrays["pictures"][0]))]
        return [Detections(*part) for part in parts]

    def _answer(self, method: str, given: Any) -> dict[str, Any]:
        """What was answered when the same was asked.

        Raises:
            InputError: where it was not asked, or with other arguments.
        """
        count = self.asked[method] = self.asked.get(method, 0) + 1
        key = f"{self.dtype}/{self.case}/{count}"
        names = self._names.get(method, {}).get(key)
        if names is None:
            raise InputError(f"{self.bundle.folder}: has no answer of {method} for {key}; it was recorded otherwise")
        recorded, now = self.bundle.of("given").get(f"{method}/{key}", ""), digest_of(given)
        if recorded and now and recorded != now:
            raise InputError(
                f"{self.bundle.folder}: was given something else for {method}, {key}; another version recorded it"
            )
        return {name: self.bundle.get(method, f"{key}/{name}") for name in names}


class ReplayedInputs:
    """The inputs of a bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def images(self, size: Size) -> Any:
        return self.bundle.get("inputs", f"images {size_name(size)}")

    def digits(self, size: Size, count: int) -> Scene:
        return self._scene(f"digits {size_name(size)} {count}/0")

    def training(self, size: Size, batch: int, steps: int) -> Sequence[Scene]:
        return [self._scene(f"training {size_name(size)} {batch} {steps}/{i}") for i in range(steps)]

    def _scene(self, key: str) -> Scene:
        images: Any = self.bundle.get("inputs", f"{key}/images")
        parts: list[list[Any]] = [
            [self.bundle.get("inputs", f"{key}/{i}/{name}") for i in range(len(images))] for name in ("boxes", "labels")
        ]
        return Scene(images, parts[0], parts[1])


def _grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by the answer that they belong to: `float64/anchors 32x32/1`, then what follows."""
    groups: dict[str, list[str]] = {}
    for name in names:
        parts = name.split("/")
        groups.setdefault("/".join(parts[:3]), []).append("/".join(parts[3:]))
    return groups
