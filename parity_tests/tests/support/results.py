"""Results of runs that never were: one that has something of everything, and its parts."""

from dataclasses import replace
from typing import Any

from parity_tests.retinanet.names import tag_of
from parity_tests.rule.record import Record, Tag, Verdict, Where
from parity_tests.rule.result import Coverage, Example, Result

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel."""

ABLATION: dict[str, Any] = {
    "preset": "notebook",
    "summary": "1 conventions changed, one at a time; at some picture sizes 1 of them cannot be seen",
    "model": {"backbone": "resnet18", "steps": 600, "map": 0.612},
    "left_out": {"conv_bias=False": "the network then has other parameters"},
    "rows": [
        {
            **{"convention": "p6_source", "from": "c5", "to": "p5", "meaning": "the map that P6 is made from"},
            **{"starts_at": "p6", "activations": 0.25, "loss": 3e-5, "loss_after_20": None, "detections": 0.5},
            **{"map": -0.034, "sizes": ["32x32", "64x64", "120x120"], "seen": {"32x32": 0.0, "64x64": 0.25}},
            **{"unseen": ["32x32"], "refused": ["120x120"]},
            **{"note": "a note"},
        }
    ],
}


ISOLATED = Where(size=(64, 64), dtype="float64", mode="isolated")
CASCADED = replace(ISOLATED, mode="cascaded")
"""What most comparisons of these results were made on."""


def tap(name: str, verdict: Verdict = "equal", used: float = 0.5, where: Where = ISOLATED) -> Record:
    """A comparison in the rung *forward* that used this share of its budget; of a tap, but for names of variables."""
    shape, tag = (2, 8, 8, 256), tag_of(name)
    reason = "" if verdict == "equal" else f"{name} is {verdict}"
    return Record(
        preset="notebook",
        rung="forward",
        where=where,
        name=name,
        tag=Tag("tap") if tag.kind == "other" else tag,
        verdict=verdict,
        reference_shape=shape,
        port_shape=shape,
        difference=used * 1e-12,
        scale=2.0,
        budget=1e-12,
        reason=reason,
    )


def training_steps() -> list[Record]:
    """A training run of three steps, whose last record has the curves."""
    curves = {
        "reference": [3.0, 2.0, 1.0],
        "port": [3.0, 2.0, 1.0],
        "reference moved, seed 1": [3.0, 2.5, 1.0],
    }
    curves |= {"self-difference": [0.0, 1e-14, 1e-13], "growth": [1e300, 10.0]}
    return [
        Record(
            preset="notebook",
            rung="trajectory",
            where=Where(dtype="float64", mode="training"),
            name=f"loss.{step:02d}",
            verdict="equal",
            difference=difference,
            scale=3.0,
            budget=1e-12,
            values=curves if step == 3 else None,
        )
        for step, difference in enumerate((0.0, 1e-14, 2e-13), start=1)
    ]


def whole_result(**changes: Any) -> Result:
    """A run that has something of everything."""
    found = {"box": [0.1, 0.1, 0.8, 0.9], "score": 0.75, "label": "cell"}
    whole: dict[str, Any] = {
        "records": [
            *(tap(name) for name in ("stem", "conv2_block1", "c3", "p6", "cls.p3.0", "logits")),
            tap("p6", "different", 3e10, CASCADED),
            tap("stem", used=0.25, where=Where(size=(32, 64), dtype="float32", mode="cascaded")),
            Record(
                rung="shapes", where=Where(size=(32, 32)), name="p3", verdict="incomplete", reason="no value is finite"
            ),
            Record(rung="detections", where=ISOLATED, name="det.set", verdict="tie"),
            *training_steps(),
        ],
        "settings": {"preset": ["notebook"], "override": ["p6_source=p5"], "image": None, "weights": None},
        "provenance": {"versions": {"torch": "2.6"}, "commit": "abc123"},
        "cost": {"seconds": 75.2, "peak_gib": 2.5},
        "warnings": ["No picture has an odd side."],
        "coverage": [
            Coverage(preset="notebook", side="port", kind="taps", compared=6, skipped={"bn": "a counter"}, missing=[])
        ],
        "sources": {"p6": {"reference": "keras_reference/fpn.py:55", "port": "torch_retinanet/fpn.py:57"}},
        "examples": [Example(preset="", case="a.png", png=PIXEL, size=(1, 1), reference=[found], port=[found])],
        "ablation": ABLATION,
    }
    return Result(**whole | changes)
