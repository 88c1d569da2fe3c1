"""What was found in the originals, each shown by a command: `python -m parity_tests.peers.findings NAME`.

Runs in the package's own environment, which `make peers` sets up, or reads what the package answered where that was
recorded: `.peers/keras_hub/bin/python -m parity_tests.peers.findings keras_hub_padding`. Prints the figure; without a
name it lists all.
"""

import argparse
import inspect
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from parity_tests.peers import keras_cv_findings
from parity_tests.peers.finding import Finding, recorded
from parity_tests.peers.keras_findings import OF_KERAS
from parity_tests.peers.torch_findings import OF_TORCH


def keras_hub_padding() -> str:
    """A level of ones under a kernel of ones: what its first and last cell have summed."""
    keras, retinanet = _keras_hub()
    pyramid = retinanet("feature_pyramid").FeaturePyramid(min_level=3, max_level=7, num_filters=1, use_p5=False)
    levels = {f"P{level}": np.ones((1, side, side, 1), np.float32) for level, side in ((3, 16), (4, 8), (5, 4))}
    pyramid(levels)
    coarser = next(layer for layer in pyramid._flatten_layers() if layer.name.endswith("coarser_P6"))
    coarser.set_weights([np.ones_like(coarser.get_weights()[0]), np.zeros_like(coarser.get_weights()[1])])
    summed = np.asarray(coarser(keras.ops.ones((1, 4, 4, 1))))[0, ..., 0]
    return f"first {summed[0, 0]:.0f}, last {summed[-1, -1]:.0f}"


def keras_hub_group_norm() -> str:
    """What GroupNorm of the heads adds to the variance."""
    _, retinanet = _keras_hub()
    head = retinanet("prediction_head").PredictionHead(
        output_filters=4, num_conv_layers=1, num_filters=32, use_group_norm=True
    )
    head.build((None, None, None, 32))
    return f"{head.group_norm_layers[0].epsilon:g}"


def keras_hub_prior() -> str:
    """The last biases of fresh heads of the detector."""
    _, retinanet = _keras_hub()
    source = inspect.getsource(retinanet("retinanet_object_detector").RetinaNetObjectDetector.__init__)
    box, classes = source.partition("classification_head = PredictionHead(")[::2]
    has = {"box head": "use_prior_probability=True" in box, "class head": "use_prior_probability=True" in classes}
    head = retinanet("prediction_head").PredictionHead(
        output_filters=4, num_conv_layers=1, num_filters=32, use_prior_probability=True
    )
    head.build((None, None, None, 32))
    with_prior = float(np.asarray(head.prediction_layer.bias)[0])
    return ", ".join(f"{name} {with_prior if prior else 0:.3g}" for name, prior in has.items())


def _keras_hub() -> tuple[Any, Callable[[str], Any]]:
    """Keras on TensorFlow, and what gives a module of KerasHub's RetinaNet."""
    from importlib import import_module

    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    return import_module("keras"), lambda name: import_module(f"keras_hub.src.models.retinanet.{name}")


def keras_hub_ignored() -> str:
    """What anchors are whose IoU with a box is 0.4."""
    from torch_retinanet import RetinaNetConfig
    from torch_retinanet.anchors import AnchorGenerator

    answers = recorded("keras_hub")
    truth = answers["edges/overlap_two_fifths/truths"][0]
    anchors = AnchorGenerator(RetinaNetConfig.keras_hub()).get_anchors(128, 128).double().numpy()
    low, high = np.maximum(anchors[:, :2], truth[:2]), np.minimum(anchors[:, 2:], truth[2:])
    shared = (high - low).clip(0).prod(1)
    iou = shared / ((anchors[:, 2:] - anchors[:, :2]).prod(1) + (truth[2:] - truth[:2]).prod() - shared)
    labels = answers["edges/overlap_two_fifths/label"][0][np.abs(iou - 0.4) < 1e-9]
    return f"ignored {(labels == IGNORED).sum()}, background {(labels == BACKGROUND).sum()}"


IGNORED, BACKGROUND = -2, -1
"""Labels of KerasHub's anchors."""


def fizyr_border() -> str:
    """How many anchors are ignored of those whose centre is at the border up to rounding."""
    from parity_tests.peers.border import at_border
    from torch_retinanet import RetinaNetConfig
    from torch_retinanet.anchors import AnchorGenerator

    answers, size = recorded("fizyr"), (256, 192)
    there = at_border(AnchorGenerator(RetinaNetConfig.fizyr()).get_anchors(*size), size)
    states = {dtype: answers[f"256x192/{dtype}/targets/state"][0][there] for dtype in ("float64", "float32")}
    ignored = ", ".join(f"{(found < 0).sum()} in {dtype}" for dtype, found in states.items())
    return f"of {there.sum()} on the border {ignored}"


def fizyr_focal() -> str:
    """How far the gradient of P7's bias in float32 is from that in float64."""
    answers = recorded("fizyr")
    single, double = (answers[f"128x128/{dtype}/grad_sum/P7/bias:0"][0] for dtype in ("float32", "float64"))
    return f"{abs(single - double) / double:.1e}"


def detectron2_normaliser() -> str:
    """The divisor of the losses after one step and after two of the same batch."""
    answers = recorded("detectron2")
    first, second = (answers[f"160x224/float64/{name}normaliser"][0] for name in ("", "second/"))
    return f"first step {first:.2f}, second step {second:.2f}"


def yhenon_clipping() -> str:
    """Boxes that are inverted once they are clipped."""
    boxes = recorded("yhenon")["coder/clipped"]
    return f"{(boxes[:, 2:] < boxes[:, :2]).any(1).sum()} of {len(boxes)} boxes"


def torchvision_eps() -> str:
    """The eps that torchvision puts into BatchNorm once it has loaded its first COCO weights."""
    from torchvision.models.detection import retinanet_resnet50_fpn

    found = re.search(r"overwrite_eps\(model, ([\d.]+)\)", inspect.getsource(inspect.unwrap(retinanet_resnet50_fpn)))
    return found[1] if found else "it is left as it is"


OTHERS = (
    Finding(
        name="keras_hub_padding",
        package="keras_hub",
        says="P6 and P7 are padded as Keras' `same`, at the bottom and right of even sides, though the weights of the "
        "presets are torchvision's, trained with a pixel on each side. Of a 4x4 level of ones a kernel of ones sums",
        figure="first 9, last 4",
        measure=keras_hub_padding,
    ),
    Finding(
        name="keras_hub_group_norm",
        package="keras_hub",
        says="GroupNorm of the heads has Keras' eps, where torchvision's weights were trained with 1e-05. It is",
        figure="0.001",
        measure=keras_hub_group_norm,
    ),
    Finding(
        name="keras_hub_prior",
        package="keras_hub",
        says="The prior probability of 0.01 is in the bias of the box head, and not in that of the class head. The "
        "last biases start at",
        figure="box head -4.6, class head 0",
        measure=keras_hub_prior,
    ),
    Finding(
        name="keras_hub_ignored",
        package="keras_hub",
        says="An anchor whose IoU is exactly 0.4 is ignored; elsewhere it is background. In the recording",
        figure="ignored 2, background 0",
        measure=keras_hub_ignored,
        recorded=True,
    ),
    Finding(
        name="fizyr_border",
        package="fizyr",
        says="Anchors are ignored whose centre is outside the picture. A centre on its border is outside or not by how "
        "the edges of the anchor round. Anchors that are ignored in a picture of 256x192",
        figure="of 18 on the border 16 in float64, 14 in float32",
        measure=fizyr_border,
        recorded=True,
    ),
    Finding(
        name="fizyr_focal",
        package="fizyr",
        says="The focal loss takes the logarithm of 1 - p, of which float32 has few digits where p is small. The "
        "gradient of P7's bias differs between float32 and float64 by a share of",
        figure="1.3e-04",
        measure=fizyr_focal,
        recorded=True,
    ),
    Finding(
        name="keras_cv_anchors",
        package="keras_cv",
        says="Anchors are cut off at the picture's border, and deltas are those of what is left. On one of 128x128",
        figure="2013 of 3069",
        measure=keras_cv_findings.border_of_anchors,
    ),
    Finding(
        name="keras_cv_variance",
        package="keras_cv",
        says="A label encoder with a `box_variance` of its own trains for other boxes than are decoded, which is done "
        "by (0.1, 0.1, 0.2, 0.2) in any case. With 1, a delta of 1 should make a box 2.72 times as high as its anchor, "
        "and makes it",
        figure="1.22",
        measure=keras_cv_findings.variance_of_decoding,
    ),
    Finding(
        name="keras_cv_decoder",
        package="keras_cv",
        says="An object has one label: the docstring names MultiClassNonMaxSuppression as the default decoder. It is",
        figure="NonMaxSuppression",
        measure=keras_cv_findings.decoder_by_default,
    ),
    Finding(
        name="keras_cv_stem",
        package="keras_cv",
        says='The ResNet, by its docstring "based on the original keras.applications ResNet", pads its stem as Keras\' '
        "`same`, and not by 3 on each side. Of a 64x64 picture of ones a kernel of ones sums",
        figure="first 25, last 16",
        measure=keras_cv_findings.stem_padding,
    ),
    Finding(
        name="keras_cv_smooth_l1",
        package="keras_cv",
        says="SmoothL1Loss has a step at any cutoff but 1. With `l1_cutoff=2` it is",
        figure="below 2.00, at it 1.50",
        measure=keras_cv_findings.step_of_smooth_l1,
    ),
    Finding(
        name="detectron2_normaliser",
        package="detectron2",
        says="The divisor of the losses is a moving average, which begins with 100. With one batch given twice",
        figure="first step 97.80, second step 95.82",
        measure=detectron2_normaliser,
        recorded=True,
    ),
    Finding(
        name="yhenon_clipping",
        package="yhenon",
        says="Clipping leaves x1 and y1 without a limit above, and x2 and y2 without one below. Inverted by that",
        figure="8 of 64 boxes",
        measure=yhenon_clipping,
        recorded=True,
    ),
    Finding(
        name="torchvision_eps",
        package="torchvision",
        says="The first COCO weights were trained with another eps in BatchNorm, and no file says which",
        figure="0.0",
        measure=torchvision_eps,
    ),
)

FINDINGS = tuple(sorted((*OTHERS, *OF_KERAS, *OF_TORCH), key=lambda finding: finding.package))
"""All of them, those of a package together."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figure of a finding, or list all; 1 where the figure is not that of the page."""
    known = {finding.name: finding for finding in FINDINGS}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=known, help="the finding; by default all are listed")
    name = parser.parse_args(arguments).name
    if name is None:
        print("\n".join(f"{finding.command}: {finding.figure}" for finding in FINDINGS))
        return 0
    figure = known[name].measure()
    print(figure)
    return 0 if figure == known[name].figure else 1


if __name__ == "__main__":
    sys.exit(main())
