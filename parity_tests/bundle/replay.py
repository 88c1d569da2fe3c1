"""Checking: a side that has the answers of a bundle, and its inputs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from parity_tests.bridge.side import Fed, Recipe
from parity_tests.bundle.files import Bundle
from parity_tests.compare import Array
from parity_tests.errors import InputError
from parity_tests.inputs import Labels, Scene, Size, size_name
from parity_tests.matching import Detections

METHODS = (
    *("variables", "forward", "anchors", "targets", "losses", "gradients", "backward", "step", "trajectory"),
    "detections",
)
"""The files that hold answers."""


class Replay:
    """A side whose answers were recorded: it computes nothing, whatever it is given."""

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
        return self._answer("variables")

    def forward(self, images: Array, *, given: Mapping[str, Array] | None = None, training: bool = False) -> Any:
        return self._answer("forward")

    def anchors(self, size: Size) -> Any:
        return self._answer("anchors")["anchors"]

    def targets(self, size: Size, boxes: Sequence[Array], labels: Sequence[Labels]) -> Any:
        return self._answer("targets")

    def losses(self, outputs: Array, targets: Mapping[str, Array]) -> Any:
        return self._answer("losses")

    def gradients(self, scene: Scene, *, training: bool) -> Any:
        return self._answer("gradients")

    def backward(self, scene: Scene, *, fed: Fed | None = None) -> Any:
        return self._answer("backward")

    def apply(self, gradients: Mapping[str, Array], factors: Sequence[float], recipe: Recipe) -> Any:
        return self._answer("step")

    def train(self, scenes: Sequence[Scene], recipe: Recipe, *, training: bool) -> Any:
        return self._answer("trajectory")["loss"]

    def detections(self, outputs: Array, size: Size) -> list[Detections]:
        arrays = self._answer("detections")
        parts = [[arrays[f"{i}/{name}"] for name in Detections._fields] for i in range(int(arrays["pictures"][0]))]
        return [Detections(*part) for part in parts]

    def _answer(self, method: str) -> dict[str, Any]:
        count = self.asked[method] = self.asked.get(method, 0) + 1
        key = f"{self.dtype}/{self.case}/{count}"
        names = self._names.get(method, {}).get(key)
        if names is None:
            raise InputError(f"{self.bundle.folder}: has no answer of {method} for {key}; it was recorded otherwise")
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
        dtype, case, count, *rest = name.split("/")
        groups.setdefault(f"{dtype}/{case}/{count}", []).append("/".join(rest))
    return groups
