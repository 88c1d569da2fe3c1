"""Faults that no comparison of the command showed, or that it named elsewhere, until it asked for them."""

import math
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from parity_tests.tests.support.picture_faults import MIRRORED, STEPS, WHOLE
from parity_tests.tests.support.port_faults import Fault, patch, result
from parity_tests.tests.support.training_faults import GIVEN, method
from torch_retinanet.layers import PointwiseConv2d, _is_faster_by_rows
from torch_retinanet.losses.in_parts import FocalLosses, parts

LOSSES_OF_HALF = ("variations", "losses")
ONE_VALUE, IN_TRAINING = ("variations", "one picture, one pixel"), ("forward", "training")


def in_its_own_precision(make: Any) -> Any:
    """A loss in the precision of the logits."""
    return lambda self, logits, classes: make(self, logits, classes).to(logits.dtype)


def rounded_to_half(make: Any) -> Any:
    """A box loss that is rounded to bfloat16, in all precisions but float64."""

    def forward(self: Any, deltas: Tensor, *others: Tensor) -> Tensor:
        made: Tensor = make(self, deltas, *others)
        return made if made.dtype is torch.float64 else made.bfloat16().to(made)

    return forward


def at_tap(room: str, change: Any) -> Fault:
    """What a tap holds, changed by its name: in `fpn` or in `heads`."""
    return patch(f"torch_retinanet.{room}.tap", lambda make: lambda taps, name, x: make(taps, name, change(name, x)))


def without_bias_by_rows(make: Any) -> Any:
    """A convolution without its bias where it takes rows of pixels for pictures."""

    def forward(self: PointwiseConv2d, images: Tensor) -> Tensor:
        made: Tensor = make(self, images)
        return made if self.bias is None or not _is_faster_by_rows(images) else made - self.bias[:, None, None]

    return forward


def larger_in_half(name: str, x: Tensor) -> Tensor:
    """Values of one tap that are 3 % larger in bfloat16."""
    return x * 1.03 if name in ("p4", "cls.p4.2") and x.dtype is torch.bfloat16 else x


def framed(change: Any) -> Fault:
    """Pictures that are put into their frame by other margins: left, top, right and bottom."""
    return patch(
        "torch_retinanet.data.transforms.F.pad",
        lambda make: lambda inpt, padding, fill: make(inpt, padding=change(padding), fill=fill),
    )


def drawn(choose: Any) -> Fault:
    """Another short side for a step."""

    class Draws:
        def __init__(self, seeds: Any) -> None:
            self.seeds = seeds

        def choice(self, sides: Any) -> Any:
            return choose(self.seeds, sides)

    numpy = SimpleNamespace(random=SimpleNamespace(default_rng=Draws))
    return lambda monkeypatch: monkeypatch.setattr("torch_retinanet.train.train_step.np", numpy)


def unbiased(self: Any, input: Tensor) -> Tensor:
    """BatchNorm whose running variance is that of the batch divided by n - 1, which one value has not."""
    if not self.training:
        return torch.nn.BatchNorm2d.forward(self, input)
    mean, variance = input.mean((0, 2, 3)), input.var((0, 2, 3), unbiased=False)
    with torch.no_grad():
        self.running_mean.lerp_(mean, self.momentum)
        count = input.numel() // input.shape[1]
        self.running_var.lerp_(variance if count > 1 else torch.ones_like(variance), self.momentum)
    made: Tensor = torch.batch_norm(input, self.weight, self.bias, None, None, True, 0.0, self.eps, False)
    return made


def kept(key: Any) -> Any:
    """A function whose results are kept, and given again where the key is the same."""

    def make(function: Any) -> Any:
        known: dict[Any, Any] = {}
        return lambda *given, **more: known.setdefault(key(*given), function(*given, **more))

    return make


def by_the_first(ctx: Any, grad: Tensor) -> Any:
    """The focal loss's way back, where each part of the logits gets the gradients of the first one."""
    [slopes] = ctx.saved_tensors
    found = torch.empty_like(slopes, dtype=ctx.dtype)
    for part in parts(slopes):
        found[part] = slopes[part] * grad[: len(slopes[part]), None]
    return found, None, None


def dropped(make: Any) -> Any:
    """Dropout in a head, in training."""

    def forward(self: Any, input: Tensor, *given: Any, **more: Any) -> Any:
        hooks = [layer.register_forward_hook(lambda m, i, o: F.dropout(o, 0.1, m.training)) for layer in self]
        try:
            return make(self, input, *given, **more)
        finally:
            for hook in hooks:
                hook.remove()

    return forward


def read_from_the_first(make: Any) -> Any:
    """Batches from the first step on, whatever step a run has come to."""

    def batches(self: Any, dataset: Any) -> Any:
        self.progress.step = 0
        return make(self, dataset)

    return batches


def boxes_alone(make: Any) -> Any:
    """Objects of which nothing is looked at but what is said of all: the area is that of the box."""
    return lambda objects, names: make({name: value for name, value in objects.items() if name != "area"}, names)


def of_sum_one(make: Any) -> Any:
    """A focal loss of predictions that are made to add up to one."""
    return lambda predictions, *given, **more: make(predictions / predictions.sum(-1, keepdim=True), *given, **more)


UNSEEN_FAULTS: dict[str, tuple[str, str, Fault, str]] = {
    "scaled pictures at the other side of their frame": (
        *MIRRORED,
        framed(lambda padding: [*padding[2:], *padding[:2]]),
        "padded.picture",
    ),
    "scaled pictures with height for width in their frame": (
        *MIRRORED,
        framed(lambda padding: [padding[1], padding[0], padding[3], padding[2]]),
        "padded.picture",
    ),
    "scaled pictures in a frame that is too small": (
        *MIRRORED,
        framed(lambda padding: [*padding[:2], padding[0], padding[1]]),
        "padded.picture",
    ),
    "pictures scaled in one direction alone": (
        *MIRRORED,
        patch(
            "torch_retinanet.data.transforms.ScaleAbout.make_params",
            lambda make: lambda self, inputs: (p := make(self, inputs)) | {"size": [p["size"][0], p["seen"][1]]},
        ),
        "padded.drawn",
    ),
    "training boxes that reach over the border": (
        *MIRRORED,
        lambda monkeypatch: monkeypatch.setattr("torch_retinanet.data.transforms.v2.ClampBoundingBoxes", v2.Identity),
        "trained.boxes",
    ),
    "a gradient of later logits by the first anchors": (
        *("losses", "128x128"),
        lambda monkeypatch: monkeypatch.setattr(FocalLosses, "backward", staticmethod(by_the_first)),
        "loss.gradient",
    ),
    "regions to ignore that are background": (
        *("targets", "96x160"),
        patch(
            "torch_retinanet.targets.LabelEncoder.ignore", lambda make: lambda self, targets, anchors, regions: targets
        ),
        "targets.ignored",
    ),
    "regions to ignore from more than half of an anchor on": (
        *("targets", "128x128"),
        lambda monkeypatch: monkeypatch.setattr("torch_retinanet.targets.WITHIN", math.nextafter(0.5, 1)),
        "targets.ignored",
    ),
    "regions to ignore that take boxes away": (
        *("targets", "128x128"),
        patch(
            "torch_retinanet.targets.LabelEncoder.ignore",
            lambda make: (
                lambda self, targets, anchors, regions: make(
                    self, targets._replace(classes=targets.classes.clamp(max=-1)), anchors, regions
                )
            ),
        ),
        "targets.ignored",
    ),
    "a prediction without its last batch": (
        *WHOLE,
        patch("torch_retinanet.RetinaNetDetector._in_batches", lambda make: lambda *given: list(make(*given))[:3]),
        "det.set",
    ),
    "one short side for all steps": ("training", GIVEN, drawn(lambda seeds, sides: sides[0]), "short_sides"),
    "short sides in turn": ("training", GIVEN, drawn(lambda seeds, sides: sides[seeds[1] % len(sides)]), "short_sides"),
    "short sides that do not depend on the seed": (
        *("training", GIVEN),
        drawn(lambda seeds, sides: np.random.Generator(np.random.PCG64(seeds[1])).choice(sides)),
        "short_sides",
    ),
    "no short side drawn": ("training", GIVEN, method("_drawn_side", lambda self: nullcontext()), "short_sides"),
    "a variance of one for one value": (
        *ONE_VALUE,
        lambda monkeypatch: monkeypatch.setattr("torch_retinanet.layers.PopulationBatchNorm2d.forward", unbiased),
        "fpn/backbone/conv5_block1_1_bn/moving_variance",
    ),
    "anchors kept by their number": (
        *WHOLE,
        patch(
            "torch_retinanet.RetinaNetDetector._anchors",
            kept(lambda self, images: (images.shape[-2] * images.shape[-1], images.dtype)),
        ),
        "det.set",
    ),
    "prepared pictures kept by their sizes": (
        *WHOLE,
        patch("torch_retinanet.detector.prepare", kept(lambda images, config: tuple(image.shape for image in images))),
        "det.set",
    ),
    "a batch padded to the size of its first picture": (
        *STEPS,
        patch("torch_retinanet.preprocess.padded_size", lambda make: lambda sizes, config: make(sizes[:1], config)),
        "together",
    ),
    "dropout in the heads": (*IN_TRAINING, patch("torch_retinanet.heads.Head.forward", dropped), "cls.p3.0"),
    "dropout in a head, in evaluation too": (
        *("forward", "32x64"),
        at_tap("heads", lambda name, x: F.dropout(x, 0.1) if name.startswith("cls") else x),
        "cls.p3.0",
    ),
    "padding that follows the sides once they are cut": (
        *STEPS,
        patch(
            "torch_retinanet.preprocess.padded_size",
            lambda make: lambda sizes, config: make([s._replace(followed=s.pixels) for s in sizes], config),
        ),
        "sizes",
    ),
    "boxes of the example that stay where its picture is mirrored": (
        *MIRRORED,
        patch(
            "torch_retinanet.preprocess.random_flip_horizontal",
            lambda make: lambda image, boxes, generator: (make(image, boxes, generator)[0], boxes),
        ),
        "drawn tall.boxes",
    ),
    "short sides of the example up to another bound": (
        *MIRRORED,
        lambda monkeypatch: monkeypatch.setattr("torch_retinanet.preprocess.JITTER", (640, 800)),
        "drawn tall.picture",
    ),
    "pictures from the first on where a run is gone on from": (
        *("training", GIVEN),
        patch("torch_retinanet.train.train_step.TrainStep.batches", read_from_the_first),
        "draws",
    ),
    "crowds that are to be found": (
        *("metric", ""),
        patch("torch_retinanet.evaluate.coco.ignored_of", result(torch.zeros_like)),
        "map",
    ),
    "areas of boxes in place of those of objects": (
        *("metric", ""),
        patch("torch_retinanet.evaluate.coco._plain", boxes_alone),
        "map_small",
    ),
    "probabilities of the notebook that are made to add up to one": (
        *("losses", "notebook"),
        patch("torch_retinanet.losses.focal.sparse_categorical_focal_loss", of_sum_one),
        "focal.probabilities",
    ),
    "a prediction in training mode": (
        *WHOLE,
        patch("torch_retinanet.RetinaNetDetector.eval", lambda make: lambda self: self),
        "det.set",
    ),
}
"""Faults by what they are: rung, case, how they are planted, and the name where they show."""

HALF_FAULTS: dict[str, tuple[str, str, Fault, str]] = {
    "a loss of logits in bfloat16 that is in bfloat16": (
        *LOSSES_OF_HALF,
        patch("torch_retinanet.losses.detection.RetinaNetClassificationLoss.forward", in_its_own_precision),
        "loss.classification",
    ),
    "a box loss that is rounded to bfloat16": (
        *LOSSES_OF_HALF,
        patch("torch_retinanet.losses.detection.RetinaNetBoxLoss.forward", rounded_to_half),
        "loss.box",
    ),
    "anchors in the precision of the network as it trains": (
        *("variations", "detector"),
        patch(
            "torch_retinanet.RetinaNetDetector._anchors",
            lambda make: lambda self, images: make(self, images.to(self._dtype) if self.training else images),
        ),
        "loss.classification",
    ),
    "anchors in the precision of the network as it detects": (
        *("variations", "detector"),
        patch(
            "torch_retinanet.RetinaNetDetector._anchors",
            lambda make: lambda self, images: make(self, images if self.training else images.to(self._dtype)),
        ),
        "det.boxes",
    ),
    "a bias forgotten where convolutions go by rows": (
        *("variations", "channels last"),
        patch("torch_retinanet.layers.PointwiseConv2d.forward", without_bias_by_rows),
        "conv2_block1",
    ),
    "a level 3 % too large in bfloat16": ("variations", "isolated", at_tap("fpn", larger_in_half), "p4"),
    "a layer of a head 3 % too large in bfloat16": (
        *("variations", "isolated"),
        at_tap("heads", larger_in_half),
        "cls.p4.2",
    ),
}
"""Likewise, in networks of which each precision is built."""
