"""A bundle of this pair: what its manifest says beside the answers, and the comparison that it is checked in."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from parity_tests.bundle.check import recorded_about
from parity_tests.bundle.files import Bundle
from parity_tests.retinanet.comparison import DetectorComparison, detector_sides
from parity_tests.retinanet.inputs import NoiseInputs
from parity_tests.retinanet.matching import Limits
from parity_tests.retinanet.one_side import no_metric
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.errors import UsageError

OTHER = {"keras": "torch", "torch": "keras"}
"""The side that is checked, by the one that was recorded."""

LEFT_OUT = {
    "parameters": "fresh values are random, and are compared by their distribution where both frameworks are",
    "training": "it steps the trainer of the port, against a closed form",
    "variations": "networks for other classes are built on both sides",
    "metric": "it is computed from detections, which are compared",
}
"""Rungs that a bundle has not, and why."""

FACTS: Mapping[str, Any] = {
    **dict.fromkeys(("side", "preset"), str),
    "sizes": [(int, int)],
    "limits": {"score": float, "iou": float, "most": int},
    "num_classes": int,
    "anchor_scale": float,
    "left_out": {str: str},
}
"""What the manifest has of a comparison, in which form."""


def facts_of(run: DetectorComparison, side: str) -> dict[str, Any]:
    """What the manifest has of a comparison whose reference, of a framework, is recorded."""
    return {
        "side": side,
        "preset": run.preset,
        "num_classes": run.config.num_classes,
        "anchor_scale": float(run.config.anchor_scale),
        "limits": run.limits._asdict(),
        "sizes": list(run.sizes),
        "left_out": LEFT_OUT,
    }


def recorded_facts(bundle: Bundle) -> dict[str, Any]:
    """What the manifest has of a comparison.

    Raises:
        UsageError: for a bundle that lacks what a comparison needs, or of a side that there is not.
    """
    if "has_loss" in bundle.manifest:
        raise UsageError(f"{bundle.folder}: was recorded of a pair of one's own, and is checked with its --pair")
    facts = {name: bundle.of(name, form) for name, form in FACTS.items()}
    if facts["side"] not in OTHER:
        raise UsageError(f"{bundle.folder}: side {facts['side']!r} must be one of {', '.join(OTHER)}")
    return facts


def recorded_comparison(
    bundle: Bundle, facts: Mapping[str, Any], build: Callable[[str], DetectorSide]
) -> DetectorComparison:
    """The comparison that was recorded, with a port in each precision from `build`."""
    return DetectorComparison(
        preset=facts["preset"],
        config=SimpleNamespace(num_classes=facts["num_classes"], anchor_scale=facts["anchor_scale"]),
        limits=Limits(**facts["limits"]),
        sides=detector_sides({"port": build}, bundle.weights, recorded_about(bundle)),
        weights=bundle.weights,
        inputs=NoiseInputs(),
        metric=no_metric,
        sizes=[(height, width) for height, width in facts["sizes"]],
    )
