"""What both sides of a comparison can do, in numpy: arrays channels last, boxes xyxy, variables by Keras name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from parity_tests.retinanet.anchors import NOTHING, Changed
from parity_tests.retinanet.inputs import COLOURS, Batches, Labels, Scene, Size
from parity_tests.retinanet.matching import Detections, Limits
from parity_tests.retinanet.preparation import PictureSides, Preparation
from parity_tests.retinanet.trainer import Plan
from parity_tests.rule.record import Array
from parity_tests.sides.side import Call, Calls, Loss, Side

PACKAGES = "torch_retinanet", "keras_reference"
"""Where the two sides come from."""


class Recipe(NamedTuple):
    """How weights are trained, the same on both sides, in the meaning of Keras.

    Attributes:
        kind: `sgd`, `adam` or `adamw`.
        rate: the learning rate of the first steps.
        rate_changes: pairs of a step, counted from 0, and the rate of all steps after it.
        clip_norm: the largest norm of all gradients together; `None` for no limit.
    """

    kind: str
    rate: float
    rate_changes: tuple[tuple[int, float], ...] = ()
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None


class Focus(NamedTuple):
    """Settings of the focal loss other than a side's own."""

    alpha: float
    gamma: float


class DetectorSide(Side, Protocol):
    """One of the two implementations, in one precision, by the names and in the layout of the reference.

    Its one input is a batch of pictures (B,H,W,3); parameters have their Keras names. It writes its taps itself, maps
    (B,h,w,C), up to where it refuses the pictures, if it does.
    """

    @property
    def model(self) -> Any:
        """The network itself, in its framework."""

    @property
    def narrow(self) -> "DetectorSide":
        """The same with a sixteenth of the channels, whose weights may be any: built once."""

    def statistics(self) -> Mapping[str, Array]:
        """Those of the parameters that are BatchNorm's running means and variances; a copy."""

    def inventory(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Everything that the framework itself counts among the model's variables, by its own name.

        With the name under which it is compared; and, by name, why others are not.
        """

    def release(self) -> None:
        """Give the memory of the model back; the side is not used any more."""

    def varied(
        self, num_classes: int, anchors: Changed, *, channels: int = COLOURS, channels_last: bool = False
    ) -> "DetectorSide":
        """A narrow network for so many classes; where the framework leaves it open, with channels last in memory."""

    def rounding_bounds(self, images: Array, given: Mapping[str, Array], dtype: str = "float32") -> dict[str, Array]:
        """How far a precision may be off at each tap whose module is fed `given`, element by element; empty if unknown.

        Taps that only hand on what they are given are left out.
        """

    def shapes(self, size: Size) -> dict[str, Array]:
        """Every tap of a picture of `size`, of which the shape and the type count alone; weights may be any."""

    def anchors(self, size: Size, changed: Changed = NOTHING) -> Array:
        """Anchors (N,4) xyxy of a picture of `size`, of other settings where some are changed."""

    def anchors_per_level(self, size: Size, changed: Changed = NOTHING) -> Array:
        """How many of them each level (L,) has."""

    def targets(self, size: Size, boxes: Sequence[Array], labels: Sequence[Labels]) -> dict[str, Array]:
        """`targets.classes` (B,N), -1 for background and -2 for ignored, and `targets.deltas` (B,N,4), else 0."""

    def ignoring(self, size: Size, classes: Array, regions: Sequence[Array]) -> Array:
        """Classes (B,N) of `targets`, -2 where an anchor is background and half of it lies in a region (I,4) xyxy."""

    def loss_of(self, scene: Scene) -> Loss:
        """The loss of the outputs (B,N,4+K) of a scene, a function of tensors of the side's framework."""

    def losses(self, outputs: Array, targets: Mapping[str, Array], focus: Focus | None = None) -> dict[str, Array]:
        """The terms of the loss of `outputs` (B,N,4+K), with its own focal loss or another.

        `loss.classification`, `loss.box` (both divided) and `loss.normaliser` of each picture (B,), `loss.total` (1,).
        """

    def take_steps(
        self, gradients: Mapping[str, Array], factors: Sequence[float], recipe: Recipe
    ) -> Mapping[str, Array]:
        """Weights and the optimiser's slots, `NAME@SLOT`, after steps with these gradients times each factor."""

    def train_on(self, scenes: Sequence[Scene], recipe: Recipe, *, training: bool) -> Array:
        """The loss (S,) at each step, one step a scene."""

    def loss_gradient(self, outputs: Array, targets: Mapping[str, Array], focus: Focus | None = None) -> Array:
        """The gradient of the loss by outputs (B,N,4+K)."""

    def focal_losses(self, outputs: Array, labels: Labels) -> dict[str, Array]:
        """The notebook's losses (N,) of `raw_outputs` (N,K) and labels (N,), as `focal_losses` has them."""

    def trained_with(self, plan: Plan, shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, Array]:
        """Weights, moving averages (`NAME@average`), `rate` and `gradient_norm` (S,) after a run of the trainer.

        It is given `drawn_gradients` of these shapes. And what else a run has (`around_steps`).
        """

    def trained_on(self, plan: Plan, scenes: Batches, sides: PictureSides) -> Mapping[str, Array]:
        """The same, and the `loss` (S,), on pictures from 0 to 255 that are resized: by step, batch and picture."""

    def write(self, file: Path) -> None:
        """Write the weights as a file of Keras, `.weights.h5`."""

    def read(self, file: Path) -> Mapping[str, Array]:
        """The variables by Keras name in such a file."""

    def inferred(self, images: Array) -> Array:
        """Outputs (B,N,4+K) of pictures by what the side has for inference alone, in float32."""

    def detections(self, outputs: Array, size: Size, limits: Limits | None = None) -> list[Detections]:
        """What is found in pictures of `size` whose outputs are (B,N,4+K), within its own limits or others."""

    def preparation(self, sides: PictureSides | None = None) -> Preparation:
        """How pictures come before the network, and boxes behind it; with other sides than its own, where given."""


def values_of(calls: Calls) -> dict[str, Array]:
    """What stands in each tap."""
    return {name: call.outputs[""] for name, call in calls.items()}


def fed_with(values: Mapping[str, Array], gradients: Mapping[str, Array] = MappingProxyType({})) -> dict[str, Call]:
    """What a side is fed at each tap, and the gradient that its module is given there."""
    return {
        n: Call(outputs={"": v}, output_gradients={"": gradients[n]} if gradients else {}) for n, v in values.items()
    }
