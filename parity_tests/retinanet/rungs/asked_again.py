"""The outputs of the same pictures in another order: who answers from a cache gives the first ones again."""

from parity_tests.ladder.asked_again import SUBJECT
from parity_tests.ladder.case import Answer
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Size
from parity_tests.retinanet.names import tag_of
from parity_tests.retinanet.side import DetectorSide, values_of
from parity_tests.rule.budgets import CASCADED
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.record import Array, Record, Where


def asked_again(run: DetectorComparison, size: Size) -> DetectorCase:
    """Two runs of each side in float64, of which the second one's outputs are compared."""
    where = Where(size=size, dtype="float64", mode="cascaded", subject=SUBJECT)

    def reference(sides: DetectorSides) -> Answer:
        images = run.inputs.images(size)
        return {"images": images, "outputs": _of_the_second(sides.reference("float64"), images)}

    def port(sides: DetectorSides, given: Answer) -> Answer:
        return {"outputs": _of_the_second(sides.port("float64"), given["images"])}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        left, right = reference["outputs"], port["outputs"]
        return compare_taps("forward", where, left, right, units=CASCADED, tag_of=tag_of)

    return DetectorCase(
        rung="forward", where=where, reference=reference, port=port, judge=judge, whole=("images", "outputs")
    )


def _of_the_second(side: DetectorSide, images: Array) -> dict[str, Array]:
    """The outputs for pictures in reversed order, after those for the order as it is; none where they are refused."""
    side.forward([images])
    taps = values_of(side.forward([images[::-1]]))
    return {name: values for name, values in taps.items() if name == "outputs"}
