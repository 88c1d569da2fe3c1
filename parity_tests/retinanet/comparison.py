"""What the rungs of the RetinaNets are made from: conventions, weights, pictures and sizes. Needs numpy alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parity_tests.ladder.case import About, Case, Sides
from parity_tests.retinanet.inputs import Inputs, Scene, Size
from parity_tests.retinanet.matching import Detections, Limits
from parity_tests.retinanet.narrow import narrow_variables
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.record import Array, Record, Where

PRESETS = ("notebook", "keras_io")
"""Those that have a Keras reference."""

Metric = Callable[..., Mapping[str, float]]
"""COCO's numbers of detections against true boxes and labels, and their `Marks` where there are any, by picture."""

DetectorSides = Sides[DetectorSide]
DetectorCase = Case[DetectorSide]


@dataclass(frozen=True, kw_only=True)
class DetectorComparison:
    """What is held against what, and on which inputs.

    Attributes:
        preset: that of the reference.
        config: the conventions of the port; what is read here is `num_classes`.
        limits: where the reference's detections are cut off.
        sides: reference and port.
        weights: those of both, by Keras name.
        inputs: where pictures come from.
        metric: what computes COCO's numbers.
        sizes: picture sizes of all rungs; by default each rung has its own.
        dtypes: precisions that get records.
        scenes: annotated pictures, on which the weights detect; one in each scene, as the network is fed.
        found: what each side detects there, once it is known.
        is_narrow: whether the sides are narrow networks, with weights of such.
    """

    preset: str
    config: Any
    limits: Limits
    sides: DetectorSides
    weights: Mapping[str, Array]
    inputs: Inputs
    metric: Metric
    sizes: Sequence[Size] = ()
    dtypes: Sequence[str] = ("float64", "float32")
    scenes: Sequence[Scene] = ()
    found: dict[str, list[Detections]] = field(default_factory=dict)
    is_narrow: bool = False

    @property
    def precisions(self) -> Sequence[str]:
        """What must be computed: float64 for its own sake or to judge float32 by, and float32 where it gets records."""
        return tuple(dict.fromkeys(("float64", *self.dtypes)))

    @property
    def narrow_weights(self) -> Mapping[str, Array]:
        """The weights of the narrow network."""
        return self.weights if self.is_narrow else narrow_variables(self.weights)

    def dealt(self, place: int) -> int | None:
        """Which of several presets climbs a case that has this place on its rung; all do where sizes are asked for."""
        return None if self.sizes else place

    def narrowed(self, side: DetectorSide) -> DetectorSide:
        """The narrow network of a side, with its weights."""
        side.narrow.assign(self.narrow_weights)
        return side.narrow


def detector_sides(
    build: Mapping[str, Callable[[str], DetectorSide]], weights: Mapping[str, Array], recorded: About | None = None
) -> DetectorSides:
    """Sides that both get these weights."""
    return Sides(
        build=build,
        assign=lambda name, side: side.assign(weights),
        inventory=lambda side: side.inventory(),
        let_go=lambda side: side.release(),
        recorded=recorded,
    )


def refusal(rung: str, where: Where, reference: Mapping[str, Array]) -> list[Record]:
    """A record that says so where the reference refused the images: what follows was not compared."""
    if "outputs" in reference:
        return []
    reason = f"the reference refuses the images after {list(reference)[-1]}"
    return [Record(rung=rung, where=where, name="outputs", verdict="incomplete", reason=reason)]
