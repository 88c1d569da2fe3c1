"""What a rung is run on, and the cases that it turns it into."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from parity_tests.bridge import ANCHOR_SCALE, Config, Side, build_sides, release
from parity_tests.compare import Array, Record
from parity_tests.inputs import Scene, Size, random_images
from parity_tests.matching import Detections


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is held against what, and on which inputs.

    Attributes:
        preset: that of the reference.
        config: the conventions of the port.
        optimizer_turns: those of its optimiser that are turned away from Keras'.
        variables: weights of both sides, by Keras name.
        sizes: picture sizes of all rungs; by default each rung has its own.
        dtypes: precisions that get records.
        anchor_scale: that of the reference.
        images: a batch (B,H,W,3) for a size.
        scenes: annotated pictures, on which the weights detect; one in each scene, as the network is fed.
        found: what each side detects there, once it is known.
    """

    preset: str
    config: Config
    variables: Mapping[str, Array]
    optimizer_turns: Mapping[str, Any] = field(default_factory=dict)
    sizes: Sequence[Size] = ()
    dtypes: Sequence[str] = ("float64", "float32")
    anchor_scale: float = ANCHOR_SCALE
    images: Callable[[Size], Array] = random_images
    scenes: Sequence[Scene] = ()
    found: list[list[Detections]] = field(default_factory=list)
    _sides: dict[str, tuple[Side, Side]] = field(default_factory=dict)

    def sides(self, dtype: str) -> tuple[Side, Side]:
        """Reference and port with the run's weights."""
        if dtype not in self._sides:
            self._sides[dtype] = build_sides(
                self.preset,
                self.config,
                dtype,
                optimizer_turns=self.optimizer_turns,
                anchor_scale=self.anchor_scale,
            )
            self.assign(dtype)
        return self._sides[dtype]

    def assign(self, dtype: str) -> None:
        """Give both sides the run's weights, again."""
        for side in self._sides[dtype]:
            side.assign(self.variables)

    def release(self) -> None:
        """Give the memory of the models back; they are built again where they are asked for."""
        self._sides.clear()
        release()


class Case(NamedTuple):
    """One step of a rung, and what runs it."""

    rung: str
    name: str
    compare: Callable[[], list[Record]]


def refusal(rung: str, case: str, reference: Mapping[str, Array]) -> list[Record]:
    """A record that says so where the reference refused the images: what follows was not compared."""
    if "outputs" in reference:
        return []
    reason = f"the reference refuses the images after {list(reference)[-1]}"
    return [Record(rung=rung, case=case, name="outputs", verdict="incomplete", reason=reason)]
