"""More of what was found in the originals in torch, measured; `parity_tests/peers/findings.py` has the command."""

import importlib
import sys
from typing import Any
from unittest import mock

import numpy as np

from parity_tests.peers.environments import SOURCES
from parity_tests.peers.finding import Finding, recorded


def detectron2_float32() -> str:
    """The precision of decoded boxes and of the focal loss, both of float64."""
    import torch

    sys.path.insert(0, str(SOURCES / "detectron2"))
    coder = importlib.import_module("detectron2.modeling.box_regression").Box2BoxTransform((1.0, 1.0, 1.0, 1.0))
    focal = importlib.import_module("fvcore.nn").sigmoid_focal_loss_jit
    boxes = coder.apply_deltas(torch.zeros(1, 4).double(), torch.tensor([[0.0, 0.0, 9.0, 9.0]]).double())
    return f"boxes {_name(boxes)}, focal loss {_name(focal(torch.zeros(1, 1).double(), torch.ones(1, 1).double()))}"


def mmdet_p7() -> str:
    """Whether the pyramid of the published config has a ReLU before P7."""
    from parity_tests.peers import mmdet

    mmdet.stand_in()
    return str(mmdet.build("pytorch")[0].neck.relu_before_extra_convs)


def mmdet_best() -> str:
    """Of two boxes with one anchor between them, the IoU of the box that gets it, and of the other."""
    import torch

    from parity_tests.peers import mmdet

    mmdet.stand_in()
    data = importlib.import_module("mmengine.structures").InstanceData
    assigner = mmdet.build("pytorch")[0].bbox_head.assigner
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 20.0, 20.0]])
    truth = data(bboxes=boxes, labels=torch.zeros(2, dtype=torch.long))
    taken = int(assigner.assign(data(priors=boxes[:1]), truth).gt_inds[0]) - 1
    ious = assigner.iou_calculator(boxes, boxes[:1])[:, 0].tolist()
    return f"{ious[taken]:.2f}, and not that of {ious[1 - taken]:.2f}"


def monai_anchors() -> str:
    """Centres of the first anchor of a 64x64 picture with a level of 8x8, and of torchvision's."""
    import torch

    ours = importlib.import_module("monai.apps.detection.utils.anchor_utils").AnchorGenerator
    theirs = importlib.import_module("torchvision.models.detection.anchor_utils").AnchorGenerator
    images, level = torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 8, 8)
    listed = importlib.import_module("torchvision.models.detection.image_list").ImageList(images, [(64, 64)])
    of_monai = ours(sizes=((32,),), aspect_ratios=((1.0,),))(images, [level])[0][0]
    of_torchvision = theirs(sizes=((32,),), aspect_ratios=((1.0,),))(listed, [level])[0][0]
    return ", ".join(
        f"{name} {(float(box[0]) + float(box[2])) / 2:g}"
        for name, box in (("MONAI", of_monai), ("torchvision", of_torchvision))
    )


def monai_candidates() -> str:
    """How many anchors ATSS looks at of a level of 2x2 cells with nine each, where those of four are asked for."""
    import torch

    matcher = importlib.import_module("monai.apps.detection.utils.ATSS_matcher").ATSSMatcher(num_candidates=4)
    anchors, asked, topk = torch.arange(36.0)[:, None] + torch.tensor([0.0, 0.0, 9.0, 9.0]), list[int](), torch.topk

    def counted(distances: Any, k: int, **given: Any) -> Any:
        asked.append(k)
        return topk(distances, k, **given)

    with mock.patch.object(torch.Tensor, "topk", counted):
        matcher.compute_matches(anchors[:1], anchors, num_anchors_per_level=[4], num_anchors_per_loc=9)
    return f"{asked[0]} of {len(anchors)}"


def monai_float32() -> str:
    """Which of its parts answer float64 with numbers that float32 holds."""
    import torch

    drawn = torch.Generator().manual_seed(0)
    sides = torch.rand(20, 4, generator=drawn, dtype=torch.float64)
    boxes = torch.cat([sides[:, :2], sides[:, :2] + sides[:, 2:]], dim=1)
    utilities = importlib.import_module("monai.data.box_utils")
    focal = importlib.import_module("monai.losses.focal_loss").FocalLoss(reduction="none")
    found = {
        "IoU": utilities.box_iou(boxes, boxes),
        "GIoU": utilities.box_giou(boxes, boxes),
        "focal loss": focal(sides, sides.round()),
    }
    return ", ".join(name for name, value in found.items() if torch.equal(value.float().double(), value.double()))


def yhenon_order() -> str:
    """How often a detection has a lower label than the one before it, and how often a higher score."""
    answers = recorded("yhenon")
    scores, labels = (answers[f"160x224/float64/detections/0/{name}"] for name in ("scores", "labels"))
    return f"labels that fall {(np.diff(labels) < 0).sum()}, scores that rise {(np.diff(scores) > 0).sum()}"


def _name(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


OF_TORCH = (
    Finding(
        name="detectron2_float32",
        package="detectron2",
        says="Decoding and the focal loss are float32 in a model of any precision. Of float64 they make",
        figure="boxes float32, focal loss float32",
        measure=detectron2_float32,
    ),
    Finding(
        name="mmdet_p7",
        package="mmdet",
        says="There is no ReLU before P7, unless a config asks for it. The published one has "
        "relu_before_extra_convs as",
        figure="False",
        measure=mmdet_p7,
    ),
    Finding(
        name="mmdet_best",
        package="mmdet",
        says="A box that fits no anchor well takes its best anchor from another box. Of two boxes the one anchor "
        "goes to that with an IoU of",
        figure="0.08, and not that of 1.00",
        measure=mmdet_best,
    ),
    Finding(
        name="monai_anchors",
        package="monai",
        says="Its anchors lie half a stride beside torchvision's, though its docstring says that they are "
        "equivalent. On a level of stride 8 the first centre is",
        figure="MONAI 4, torchvision 0",
        measure=monai_anchors,
    ),
    Finding(
        name="monai_candidates",
        package="monai",
        says="ATSS looks at no more anchors of a level than it has cells, where nine stand in each. Of 2x2 cells, "
        "where those of four are asked for",
        figure="4 of 36",
        measure=monai_candidates,
    ),
    Finding(
        name="monai_float32",
        package="monai",
        says="Some parts compute in float32, and give float64 where that is asked for. All digits are those of "
        "float32 in",
        figure="IoU, GIoU, focal loss",
        measure=monai_float32,
    ),
    Finding(
        name="yhenon_order",
        package="yhenon",
        says="Detections come by class and not by score. In a recorded picture of 1318 there are",
        figure="labels that fall 0, scores that rise 6",
        measure=yhenon_order,
        recorded=True,
    ),
)
