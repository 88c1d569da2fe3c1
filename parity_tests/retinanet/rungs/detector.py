"""The rung *detector*: pictures of different sizes in one list, to boxes in their own pixels, and to losses; mirrored.

All of it at once, with the narrow network, as a user calls it; the steps have rungs of their own.
"""

from collections.abc import Mapping

import numpy as np

from parity_tests.ladder.case import Answer, asked_with, check_drawn
from parity_tests.retinanet.comparison import DetectorCase, DetectorComparison, DetectorSides
from parity_tests.retinanet.inputs import Scene, Size, random_last_layer
from parity_tests.retinanet.matching import Detections, compare_detections, compare_order
from parity_tests.retinanet.narrow import for_bytes
from parity_tests.retinanet.preparation import PictureSides, Preparation
from parity_tests.retinanet.side import PACKAGES, DetectorSide
from parity_tests.rule.budgets import CASCADED, ISOLATED
from parity_tests.rule.compare import compare_taps
from parity_tests.rule.errors import in_one_line, refusals
from parity_tests.rule.record import Array, Record, Where

SIZES: tuple[Size, ...] = ((80, 60), (40, 100), (48, 48), (50, 70))
"""Pictures in the list: wide, tall and square; the second is padded to another size than the others."""

SIDES = PictureSides(64, 160)
"""To which they are resized."""

FRAMES: Mapping[str, tuple[Size, tuple[int, int]]] = {
    "padded": ((51, 131), (4, 22)),
    "cut": ((31, 80), (-3, -13)),
}
"""Frames that a picture of 40x100 lies in, and where; or that lie in it. On no two sides as much is left over."""

OVER = [88.0, -3.0, 109.5, 44.0]
"""A box over the border of that picture, at which boxes of training pictures are cut off."""

SMALL = [70.0, 20.0, 72.0, 21.25]
"""A box that is hardly larger than a pixel, which training pictures keep."""

AS_IT_IS, TURNED = (0.25, 0.5), (0.75, 0.3125)
"""What is drawn for a training picture: whether it is mirrored, from a half on, and its short side."""

WHOLE, LOST, MIRRORED = (
    Where(dtype="float64", subject=subject) for subject in ("pictures to boxes", "pictures to losses", "mirrored")
)


def detector(run: DetectorComparison) -> list[DetectorCase]:
    """A picture mirrored with its boxes, and put into a frame; detections and losses of a list; in float64.

    What is wrong with single pictures is named before what that does to a list of them.
    """
    return [_mirrored(run), _whole(run), _lost(run)]


def _whole(run: DetectorComparison) -> DetectorCase:
    def reference(sides: DetectorSides) -> Answer:
        drawn = _drawn(run.inputs.seed)
        return {"found": _found(run, sides.reference("float64"), drawn), "seed": run.inputs.seed} | asked_with(drawn)

    def port(sides: DetectorSides, given: Answer) -> Answer:
        drawn = _drawn(given["seed"])
        check_drawn(given, drawn)
        try:
            return {"found": _found(run, sides.port("float64"), drawn)}
        except refusals(*PACKAGES) as error:
            return {"refused": in_one_line(error)}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        if "refused" in port:
            reason = f"the port refuses the pictures ({port['refused']})"
            return [Record(rung="detector", where=WHOLE, name="det.set", verdict="different", reason=reason)]
        found = [[Detections(**each) for each in side["found"]] for side in (reference, port)]
        records = compare_detections("detector", WHOLE, *found, limits=run.limits, units=CASCADED)
        return records + compare_order("detector", WHOLE, *found, units=CASCADED)

    return DetectorCase(
        rung="detector",
        where=WHOLE,
        reference=reference,
        port=port,
        judge=judge,
        whole=("found",),
        trains=True,
        shared=0,
    )


def _drawn(seed: int) -> list[Array]:
    """Pictures (H,W,3) of bytes as numbers: noise over a slope along each axis, another in each."""
    rng = np.random.default_rng(seed)
    pictures = []
    for height, width in SIZES:
        slopes = rng.uniform(-80, 80, (2, 3))
        rows, columns = np.linspace(-1, 1, height)[:, None, None], np.linspace(-1, 1, width)[None, :, None]
        noise = rng.uniform(-40, 40, (height, width, 3))
        pictures.append(np.rint(128 + noise + slopes[0] * rows + slopes[1] * columns).clip(0, 255))
    return pictures


def _found(run: DetectorComparison, side: DetectorSide, pictures: list[Array]) -> list[Mapping[str, Array]]:
    """What the narrow network finds, with scores around a half: those of fresh weights are near their prior."""
    side.narrow.assign(for_bytes(run.narrow_weights) | random_last_layer(run.narrow_weights))
    return [each._asdict() for each in side.narrow.preparation(SIDES).detections(pictures)]


def _lost(run: DetectorComparison) -> DetectorCase:
    """The losses of pictures with boxes and regions to ignore in their own pixels, as users of torchvision train."""

    def lost(side: DetectorSide, seed: int) -> Mapping[str, Array]:
        side.narrow.assign(for_bytes(run.narrow_weights) | random_last_layer(run.narrow_weights))
        return side.narrow.preparation(SIDES).losses(*_annotated(seed, run.config.num_classes))

    def reference(sides: DetectorSides) -> Answer:
        seed = run.inputs.seed
        asked = _annotated(seed, run.config.num_classes)
        return {"loss": lost(sides.reference("float64"), seed), "seed": seed} | asked_with(asked)

    def port(sides: DetectorSides, given: Answer) -> Answer:
        check_drawn(given, _annotated(given["seed"], run.config.num_classes))
        return {"loss": lost(sides.port("float64"), given["seed"])}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        return compare_taps("detector", LOST, reference["loss"], port["loss"], units=CASCADED)

    return DetectorCase(
        rung="detector", where=LOST, reference=reference, port=port, judge=judge, whole=("loss",), trains=True, shared=1
    )


def _annotated(seed: int, num_classes: int) -> tuple[list[Scene], list[Array]]:
    """Pictures of real numbers from 0 to 255 with boxes, one of them without; and regions to ignore in two of them."""
    rng = np.random.default_rng(seed)
    pictures, regions = [], []
    for place, picture in enumerate(_drawn(seed)):
        height, width = picture.shape[:2]
        corners = rng.uniform(0.05, 0.45, (place, 4)) + np.array([0, 0, 0.5, 0.5])
        boxes, labels = corners * ([width, height] * 2), rng.integers(0, num_classes, place)
        image = (picture + rng.uniform(-0.5, 0.5, picture.shape)).clip(0, 255)
        pictures.append(Scene(image[None], [boxes], [labels]))
        regions.append(np.array([[0.1, 0.2, 0.9, 0.8]])[: place % 2] * ([width, height] * 2))
    return pictures, regions


def _mirrored(run: DetectorComparison) -> DetectorCase:
    def asked(seed: int) -> tuple[Array, Array]:
        boxes = [[3.0, 5.0, 20.0, 31.0], [0.0, 0.0, 40.0, 12.5], [61.25, 30.0, 100.0, 40.0], OVER, SMALL]
        return _drawn(seed)[1], np.array(boxes)

    def mirrored(side: Preparation, seed: int) -> Mapping[str, Array]:
        (picture, boxes), (upright, *_) = asked(seed), _drawn(seed)
        others = {name: side.placed(picture, boxes, *frame) for name, frame in FRAMES.items()}
        others["drawn wide"] = side.changed(picture, boxes, AS_IT_IS)
        others["drawn tall"] = side.changed(upright, boxes[:, [1, 0, 3, 2]], TURNED)
        named = {f"{name}.{what}": values for name, of in others.items() for what, values in of.items()}
        return {**side.mirrored(picture, boxes), **named}

    def reference(sides: DetectorSides) -> Answer:
        seed = run.inputs.seed
        found = mirrored(sides.reference("float64").preparation(), seed)
        return {"mirrored": found, "seed": seed} | asked_with(asked(seed))

    def port(sides: DetectorSides, given: Answer) -> Answer:
        check_drawn(given, asked(given["seed"]))
        return {"mirrored": mirrored(sides.port("float64").preparation(), given["seed"])}

    def judge(reference: Answer, port: Answer) -> list[Record]:
        return compare_taps("detector", MIRRORED, reference["mirrored"], port["mirrored"], units=ISOLATED)

    return DetectorCase(
        rung="detector", where=MIRRORED, reference=reference, port=port, judge=judge, whole=("mirrored",), shared=1
    )
