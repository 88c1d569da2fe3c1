"""What a rung is run on, and the cases that it turns it into. Needs numpy alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from parity_tests.retinanet.inputs import Inputs, Labels, Scene, Size
from parity_tests.retinanet.matching import Detections, Limits
from parity_tests.retinanet.side import Side
from parity_tests.rule.compare import Array, Record

PRESETS = ("notebook", "keras_io")
"""Those that have a Keras reference."""

Metric = Callable[[Sequence[Detections], Sequence[Array], Sequence[Labels]], Mapping[str, float]]
"""COCO's numbers of detections against true boxes and labels, picture by picture."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is held against what, and on which inputs.

    Attributes:
        preset: that of the reference.
        config: the conventions of the port; what is read here is `num_classes`.
        limits: where the reference's detections are cut off.
        variables: weights of both sides, by Keras name.
        build: reference and port in a precision, with fresh values.
        inputs: where pictures come from.
        metric: what computes COCO's numbers.
        sizes: picture sizes of all rungs; by default each rung has its own.
        dtypes: precisions that get records.
        share: which one of how many presets this is that are climbed beside each other, and deal cases out.
        scenes: annotated pictures, on which the weights detect; one in each scene, as the network is fed.
        found: what each side detects there, once it is known.
        left: cases that were dealt to presets beside this one.
    """

    preset: str
    config: Any
    limits: Limits
    variables: Mapping[str, Array]
    build: Callable[[str], tuple[Side, Side]]
    inputs: Inputs
    metric: Metric
    sizes: Sequence[Size] = ()
    dtypes: Sequence[str] = ("float64", "float32")
    share: tuple[int, int] = (0, 1)
    scenes: Sequence[Scene] = ()
    found: list[list[Detections]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    _sides: dict[str, tuple[Side, Side]] = field(default_factory=dict)
    _case: list[str] = field(default_factory=list)

    def dealt(self, groups: Sequence[Sequence["Case"]]) -> list["Case"]:
        """This preset's share of cases in which presets hardly differ; all, where there is no group for each preset."""
        which, of = self.share
        mine = groups[which::of] if len(groups) >= of else groups
        self.left.extend(f"{case.rung} {case.name}" for group in groups if group not in mine for case in group)
        return [case for group in mine for case in group]

    @property
    def precisions(self) -> Sequence[str]:
        """What must be computed: float64 for its own sake or to judge float32 by, and float32 where it gets records."""
        return tuple(dict.fromkeys(("float64", *self.dtypes)))

    def sides(self, dtype: str) -> tuple[Side, Side]:
        """Reference and port with the run's weights."""
        if dtype not in self._sides:
            self._sides[dtype] = self.build(dtype)
            self.assign(dtype)
            for side in self._sides[dtype]:
                side.begin("".join(self._case))
        return self._sides[dtype]

    def built(self) -> tuple[Side, ...]:
        """Reference and port in whichever precision they were used; nothing where they were not."""
        return next(iter(self._sides.values()), ())

    def assign(self, dtype: str) -> None:
        """Give both sides the run's weights, again."""
        for side in self._sides[dtype]:
            side.assign(self.variables)

    def begin(self, case: str) -> None:
        """Tell the sides that a case begins; those that are built later on are told then."""
        self._case[:] = [case]
        for pair in self._sides.values():
            for side in pair:
                side.begin(case)

    def make_room(self, dtype: str) -> None:
        """Let the models of a precision go; they are built again where they are asked for."""
        gone = self._sides.pop(dtype, ())
        for side, kept in zip(gone, self.built(), strict=False):
            kept.sources.update(side.sources)

    def release(self) -> None:
        """Give the memory of the models back; they are built again where they are asked for."""
        sides = [side for pair in self._sides.values() for side in pair]
        self._sides.clear()
        for side in sides:
            side.release()


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
