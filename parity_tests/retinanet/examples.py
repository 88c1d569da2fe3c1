"""Pictures with what both sides found in them, for reports."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.inputs import size_name
from parity_tests.retinanet.matching import Detections
from parity_tests.retinanet.rungs.detections import DETECTION_SIZES, PICTURES, outputs_near_the_truth
from parity_tests.rule.record import Array
from parity_tests.rule.result import Example

SHOWN = 20
"""Detections of a picture that are kept, the best of either side."""


def examples(run: DetectorComparison) -> list[Example]:
    """The annotated pictures of a run with what its weights find; without any, digits with outputs near the truth."""
    if run.scenes:
        return _of_pictures(run) if run.found else []
    return _of_digits(run)


def _of_digits(run: DetectorComparison) -> list[Example]:
    size, sides = (run.sizes or DETECTION_SIZES)[0], (run.sides.reference("float64"), run.sides.port("float64"))
    scene = run.inputs.digits(size, PICTURES)
    near = outputs_near_the_truth(sides[0], scene, run.config.num_classes)
    found = [side.detections(near, size) for side in sides]
    pixels = np.clip((scene.images + 1) * 127.5, 0, 255).astype(np.uint8)
    return [_example(run, f"digits {size_name(size)}", *each) for each in zip(pixels, *found, strict=True)]


def _of_pictures(run: DetectorComparison) -> list[Example]:
    pictures = [image for scene in run.scenes for image in scene.images]
    each = enumerate(zip(pictures, run.found["reference"], run.found["port"], strict=True))
    return [_example(run, f"picture {i}", _as_shown(image, run.config), *found) for i, (image, *found) in each]


def _as_shown(image: Array, config: Any) -> NDArray[np.uint8]:
    """Pixels of a picture (H,W,3) as the network is fed."""
    mean, std = np.array(config.pixel_mean), np.array(config.pixel_std)
    colours = image[..., ::-1] if config.channel_order == "bgr" else image
    shown: NDArray[np.uint8] = np.clip(colours * std + mean, 0, 255).astype(np.uint8)
    return shown


def _example(
    run: DetectorComparison, case: str, pixels: NDArray[np.uint8], reference: Detections, port: Detections
) -> Example:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", optimize=True)
    return Example(
        preset=run.preset,
        case=case,
        png=base64.b64encode(file.getvalue()).decode(),
        size=(pixels.shape[0], pixels.shape[1]),
        reference=_shown(reference),
        port=_shown(port),
    )


def _shown(found: Detections) -> Sequence[Mapping[str, Any]]:
    best = zip(found.boxes[:SHOWN].tolist(), found.scores[:SHOWN].tolist(), found.labels[:SHOWN].tolist(), strict=True)
    return [
        {"box": [round(edge, 2) for edge in box], "score": round(score, 4), "label": label}
        for box, score, label in best
    ]
