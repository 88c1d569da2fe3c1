"""Presets whose originals are no package that could be run: what their sources say, as figures of our network.

Sources: the keras.io example "Object Detection with RetinaNet" (examples/vision/retinanet.py of 2021-09-30), and the
teaching notebook that has its network. The tests hold each figure, and the page of peers lists them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from torch_retinanet.anchors import AnchorGenerator, half_sides
from torch_retinanet.boxes import decode
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.heads import PRIOR_PROBABILITY, build_head, init_head
from torch_retinanet.losses.detection import RetinaNetLoss
from torch_retinanet.model import RetinaNet
from torch_retinanet.postprocess import FACTORS
from torch_retinanet.preprocess import prepare
from torch_retinanet.targets import BACKGROUND, IGNORED, LabelEncoder, Targets


@dataclass(frozen=True, kw_only=True)
class NotRun:
    """A preset that is not run against its original.

    Attributes:
        preset: its name.
        original: what it is.
        why: it cannot be run.
        held: how it is held instead, beside the figures.
    """

    preset: str
    original: str
    why: str
    held: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure that an original's source gives, and what gives ours.

    Attributes:
        says: the sentence.
        figure: as the source has it.
        source: where it says so.
        measure: gives ours in a preset's conventions.
    """

    says: str
    figure: str
    source: str
    measure: Callable[[RetinaNetConfig], str]


def cell_order(config: RetinaNetConfig) -> str:
    """Where each anchor of a cell in fizyr's order, h/w outer and scale inner, stands in that of a config."""
    theirs, ours = half_sides(RetinaNetConfig.fizyr(), 32.0), half_sides(config, 32.0)
    return " ".join(str(int((ours - sides).abs().sum(1).argmin())) for sides in theirs)


def anchor_count(config: RetinaNetConfig, height: int, width: int) -> str:
    """The size that a picture is fed in, and its anchors."""
    fed = prepare([torch.zeros(3, height, width, dtype=torch.uint8)], config).images.shape[-2:]
    return f"{fed[0]}x{fed[1]}, {len(AnchorGenerator(config).get_anchors(*fed)):,}"


def first_centre(config: RetinaNetConfig) -> str:
    """The centre of the first anchor, in pixels."""
    x1, y1, x2, y2 = AnchorGenerator(config).get_anchors(128, 128)[0].tolist()
    return f"{(x1 + x2) / 2:g}, {(y1 + y2) / 2:g}"


def network_shape(config: RetinaNetConfig) -> str:
    """Where a block strides, whether a convolution has a bias, the eps of BatchNorm, and what P6 is made from."""
    with torch.device("meta"):
        fpn = RetinaNet(config).fpn
    block: Any = fpn.backbone.get_submodule("layer2.0")
    strides = {kernel: conv.stride[0] for kernel, conv in (("1x1", block.conv1), ("3x3", block.conv2))}
    bias = "no bias" if block.conv1.bias is None else "bias"
    return (
        f"stride {strides['1x1']} in 1x1, {bias}, eps {block.bn1.eps:g}, P6 from {fpn.conv_c6_3x3.in_channels} channels"
    )


def padded_corners(config: RetinaNetConfig) -> str:
    """A 4x4 level of ones under the kernel of P7, of ones: what its first and last cell have summed."""
    with torch.device("meta"):
        conv: Any = RetinaNet(config.changed(width=1)).fpn.conv_c7_3x3
    conv.to_empty(device="cpu")
    with torch.no_grad():
        conv.weight.fill_(1.0)
        conv.bias.zero_()
        summed = conv(torch.ones(1, 1, 4, 4))[0, 0]
    return f"first {summed[0, 0]:.0f}, last {summed[-1, -1]:.0f}"


def decoded_side(config: RetinaNetConfig) -> str:
    """How many times as wide as its anchor a box is at a delta of 1, and at one of 50, where others have a limit."""
    deltas = torch.zeros(2, 4, dtype=torch.float64)
    deltas[:, 2] = torch.tensor([1.0, 50.0])
    anchors = torch.tensor([[0.0, 0.0, 1.0, 1.0]], dtype=torch.float64).expand(2, 4)
    limits: dict[str, Any] = dict(FACTORS[config.box_clamp])
    found = decode(deltas, anchors, config.box_variance, **limits)
    return ", ".join(f"{width:.5g}" for width in (found[:, 2] - found[:, 0]).tolist())


def labelled(config: RetinaNetConfig) -> str:
    """What anchors are whose IoU with a box is 0.5, 0.4 and less, of which none is taken for being the best."""
    anchors = torch.tensor([[0.0, 0.0, 10.0, 5.0], [0.0, 0.0, 10.0, 4.0], [0.0, 0.0, 10.0, 3.0]], dtype=torch.float64)
    box = [torch.tensor([[0.0, 0.0, 10.0, 10.0]], dtype=torch.float64)]
    encoder, words = LabelEncoder(config), {BACKGROUND: "background", IGNORED: "ignored"}
    found = [encoder.encode_batch(part, box, [torch.tensor([3])]).classes for part in (anchors, anchors[1:])]
    return "; ".join(", ".join(words.get(label, "positive") for label in part[0].tolist()) for part in found)


def losses(config: RetinaNetConfig) -> str:
    """The losses of one positive anchor with a logit of 0 and deltas that are 2 off, and of a picture without one."""
    one, anchors = config.changed(num_classes=1), torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    of_one = []
    for label in (0, BACKGROUND):
        targets = Targets(torch.tensor([[label]]), torch.zeros(1, 1, 4))
        found = RetinaNetLoss(one)(torch.zeros(1, 1, 1), torch.full((1, 1, 4), 2.0), targets, anchors)
        of_one.append(f"{found['classification']:.4f} and {found['bbox_regression']:g}")
    return "; ".join(of_one)


def fed_black(config: RetinaNetConfig) -> str:
    """What the network is fed beside a picture."""
    fed = prepare([torch.zeros(3, 100, 200, dtype=torch.uint8)], config).images
    return ", ".join(f"{value:g}" for value in fed[0, :, -1, -1].tolist())


def prior_bias(config: RetinaNetConfig) -> str:
    """The last bias of a fresh class head."""
    head = build_head(9, small := config.changed(width=1, head_depth=1))
    init_head(head, small, prior=PRIOR_PROBABILITY)
    return f"{head.get_parameter('1.bias')[0].item():.4f}"


def kept(config: RetinaNetConfig) -> str:
    """Which detections are kept."""
    clipped = "clipped" if config.clip_boxes else "not clipped"
    rules = f"score {config.score_threshold:g}, IoU {config.nms_iou:g}, at most {config.detections_per_picture}"
    return f"{rules}, {config.topk_per_level} of a level first, {clipped}"


IN_KERAS = "`retinanet-parity` holds it against a reference of our own in Keras, in float64 and float32: see parity.md"

NOT_RUN = (
    NotRun(
        preset="keras_io",
        original="keras.io example of 2021-09-30",
        why="it is a script for Keras 2 and no package; its checkpoints are read and written, and Keras writes and "
        "reads those of the tests",
        held=IN_KERAS,
    ),
    NotRun(
        preset="notebook",
        original="teaching notebook",
        why="it is a notebook and no package; its network is that of the example, but for P7's ReLU and fresh heads",
        held=IN_KERAS,
    ),
)

HELD = "keras_io"
"""The preset whose figures these are."""

FIGURES = (
    Figure(
        says="The anchors of a cell, by their places in fizyr's order",
        figure="6 7 8 3 4 5 0 1 2",
        source="lines 217 to 289",
        measure=cell_order,
    ),
    Figure(
        says="A picture of 800x1333, as it is fed, and its anchors",
        figure="896x1408, 236,313",
        source="lines 217 to 371",
        measure=lambda config: anchor_count(config, 800, 1333),
    ),
    Figure(says="The centre of the first anchor", figure="4, 4", source="lines 217 to 289", measure=first_centre),
    Figure(
        says="A block with a stride, its BatchNorm, and P6",
        figure="stride 2 in 1x1, bias, eps 1.001e-05, P6 from 2048 channels",
        source="lines 539 to 590, and keras.applications.resnet",
        measure=network_shape,
    ),
    Figure(
        says="Where P7 is padded: of a 4x4 level of ones a kernel of ones sums",
        figure="first 9, last 4",
        source="lines 568 to 590",
        measure=padded_corners,
    ),
    Figure(
        says="Widths of boxes, in those of their anchors, at deltas of 1 and 50",
        figure="1.2214, 22026",
        source="lines 436 to 494 and 709 to 714",
        measure=decoded_side,
    ),
    Figure(
        says="Anchors at an IoU of 0.5, 0.4 and 0.3; and without the first",
        figure="positive, ignored, background; ignored, background",
        source="lines 440 to 483",
        measure=labelled,
    ),
    Figure(
        says="Losses of a positive anchor at a logit of 0 and deltas 2 off; and of a picture without one",
        figure="0.0433 and 6; 0.0000 and 0",
        source="lines 745 to 820",
        measure=losses,
    ),
    Figure(
        says="What is fed beside a picture: blue, green, red",
        figure="-103.939, -116.779, -123.68",
        source="lines 340 to 371 and 891",
        measure=fed_black,
    ),
    Figure(says="The last bias of a fresh class head", figure="-4.5951", source="lines 601 to 675", measure=prior_bias),
    Figure(
        says="Detections that are kept",
        figure="score 0.05, IoU 0.5, at most 100, 0 of a level first, not clipped",
        source="lines 680 to 739",
        measure=kept,
    ),
)
