"""Faults in what users have and no comparison of the command had used: files, options, reductions, draws, inference."""

from typing import Any

import numpy as np
from torch import Tensor

from parity_tests.tests.support.edge_faults import anchors_made
from parity_tests.tests.support.picture_faults import WHOLE
from parity_tests.tests.support.port_faults import Fault, patch, result
from parity_tests.tests.support.training_faults import GIVEN
from torch_retinanet.surroundings import SURROUNDINGS

NOTEBOOK, FILES = ("losses", "notebook"), ("parameters", "files")


def kept_for_all(make: Any) -> Any:
    """A detector that takes over what is changed for one call."""

    def changed(self: Any, config: Any) -> Any:
        self.config = config
        return self

    return changed


def by_one_less(make: Any) -> Any:
    """A mean that divides by one less than there are."""
    return lambda loss, how: make(loss, how) * len(loss) / (len(loss) - 1) if how == "mean" else make(loss, how)


def at_large_values(name: str, change: Any) -> Fault:
    """What a tap of the pyramid or of the outputs holds, changed."""
    room = "model" if name in ("logits", "deltas") else "fpn"
    return patch(
        f"torch_retinanet.{room}.tap",
        lambda make: lambda taps, at, x: make(taps, at, change(x) if at == name else x),
    )


def exchanged(first: str, second: str) -> Any:
    """Places in a file of which two are exchanged."""
    others = {first: second, second: first}

    def of(make: Any) -> Any:
        def place(name: str) -> Any:
            layer, _, variable = name.rpartition("/")
            return make(f"{layer}/{others.get(variable, variable)}")

        return place

    return of


def keeping_its_settings(part: str) -> Fault:
    """A part of a detector that is not made anew where its settings are set."""
    return lambda monkeypatch: monkeypatch.setitem(SURROUNDINGS, part, (SURROUNDINGS[part][0], ()))


def kept_by_size(make: Any) -> Any:
    """Anchors that are kept for a size of pictures, whatever the config is."""
    kept = dict[tuple[Any, ...], Tensor]()
    return lambda config, *asked: kept.setdefault(asked, make(config, *asked))


def with_the_slope_of_a_square(make: Any) -> Any:
    """Losses whose gradients are those of an exponent of 2."""

    def part(logits: Tensor, right: Any, focal: Any) -> tuple[Tensor, Tensor]:
        return make(logits.clone(), right, focal)[0], make(logits, right, focal._replace(gamma=2.0))[1]

    return part


def cut_scales(make: Any) -> Any:
    """Boxes that follow the sides of a picture as they are cut to whole pixels."""

    def scales(image: Tensor, size: Any) -> tuple[float, float]:
        return size.pixels[0] / image.shape[-2], size.pixels[1] / image.shape[-1]

    return scales


UNUSED_FAULTS: dict[str, tuple[str, str, Fault, str]] = {
    "options of one prediction that stay for the next": (
        *WHOLE,
        patch("torch_retinanet.RetinaNetDetector._changed", kept_for_all),
        "det.set",
    ),
    "limits that are those of before": (*WHOLE, keeping_its_settings("decode_predictions"), "det.set"),
    "a loss that is that of before": (
        *("detector", "pictures to losses"),
        keeping_its_settings("loss"),
        "loss.classification",
    ),
    "targets that are those of before": (
        *("detector", "pictures to losses"),
        keeping_its_settings("label_encoder"),
        "loss.classification",
    ),
    "anchors kept for all settings": (*WHOLE, patch("torch_retinanet.anchors._placed", kept_by_size), "det.set"),
    "anchors kept by the size of pictures": (
        *("anchors", "6 anchors a cell on P3 to P6"),
        patch("torch_retinanet.anchors._placed", kept_by_size),
        "anchors",
    ),
    "nine anchors a cell whatever it has": (
        *("anchors", "6 anchors a cell on P3 to P6"),
        patch(
            "torch_retinanet.AnchorGenerator.anchors_per_level",
            lambda make: lambda self, *size: [count * 9 // self.config.anchors_per_cell for count in make(self, *size)],
        ),
        "anchors.per_level",
    ),
    "sizes of levels from the coarsest on": (
        *("anchors", "3 anchors a cell on P2 to P5, a size for each level"),
        anchors_made(lambda boxes, config: boxes.flip(0) if config.anchor_sizes else boxes),
        "anchors",
    ),
    "a square whatever the exponent is": (
        *("losses", "128x128"),
        patch(
            "torch_retinanet.losses.in_parts._part",
            lambda make: lambda logits, right, focal: make(logits, right, focal._replace(gamma=2.0)),
        ),
        "loss.classification",
    ),
    "a gradient with a square whatever the exponent is": (
        *("losses", "128x128"),
        patch("torch_retinanet.losses.in_parts._part", with_the_slope_of_a_square),
        "loss.gradient",
    ),
    "boxes of a training picture by its cut sides": (
        *("detector", ""),
        patch("torch_retinanet.preprocess._scales", cut_scales),
        "drawn wide.boxes",
    ),
    "logits cut off at 20": (
        *("variations", "large values"),
        at_large_values("logits", lambda x: x.clamp(-20, 20)),
        "logits",
    ),
    "a level cut off at 100": (
        *("variations", "large values"),
        at_large_values("merged4", lambda x: x.clamp(max=100)),
        "merged4",
    ),
    "a mean of the notebook's losses by one less": (
        *NOTEBOOK,
        patch("torch_retinanet.losses.focal._reduce", by_one_less),
        "focal.probabilities.mean",
    ),
    "the gamma of the first class for all": (
        *NOTEBOOK,
        patch(
            "torch_retinanet.losses.focal._per_class",
            lambda make: lambda gamma, labels: gamma[0] if gamma.ndim else gamma,
        ),
        "focal.probabilities_gammas",
    ),
    "changes of a picture that are those of its last draw": (
        *("training", GIVEN),
        patch(
            "torch_retinanet.data.dataset.PictureDataset.__getitem__",
            lambda make: lambda self, draw: make(self, draw._replace(number=draw.picture)),
        ),
        "changes",
    ),
    "half as many of a class as a picture may have": (
        *("detections", "edges"),
        patch("torch_retinanet.postprocess.class_wise_nms", result(lambda keep: keep[:50])),
        "det.set",
    ),
    "recalls of each class that are halved": (
        *("metric", "edges"),
        patch("torch_retinanet.evaluate.coco._by_class", result(lambda found: (found[0], found[1] / 2))),
        "class 0: recall",
    ),
    "scale and offset exchanged in files": (
        *FILES,
        patch("torch_retinanet.weights.keras_file._h5_path", exchanged("gamma", "beta")),
        "fpn/backbone/conv1_bn/gamma",
    ),
    "offsets forgotten where BatchNorm is folded": (
        *("variations", "inference"),
        patch("torch_retinanet.inference.folding.scale_and_offset", result(lambda found: (found[0], found[1] * 0))),
        "deltas",
    ),
}
"""Faults by what they are: rung, case, how they are planted, and the name where they show."""

ABOVE = np.arange(0.5, 1.0, 0.05).tolist()
"""COCO's thresholds of overlaps, most of them by a rounding too large."""
