"""detectron2's RetinaNet: checkpoints of its trainer (`.pth`), and of its model zoo (`.pkl`).

Source: detectron2 02b5c4e (2026-06-06), modeling/meta_arch/retinanet.py, backbone/resnet.py and backbone/fpn.py.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from torch_retinanet.weights.containers.numpy_pickle import write_by_suffix
from torch_retinanet.weights.published.detectron2_buffers import IGNORED, assumed, told
from torch_retinanet.weights.published.published import Published
from torch_retinanet.weights.weights_file import WeightsFile

HEADS = {"cls_head": ("head.cls_subnet", "head.cls_score"), "box_head": ("head.bbox_subnet", "head.bbox_pred")}
"""Its names of a head, whose ReLUs are numbered too, and of its last convolution."""


def detectron2_name(name: str) -> str:
    """The name in its model of a tensor of ours."""
    if name.startswith("fpn.backbone."):
        return f"backbone.bottom_up.{_body_name(name.removeprefix('fpn.backbone.'))}"
    name = re.sub(r"fpn\.conv_c([2-5])_1x1", r"backbone.fpn_lateral\1", name)
    name = re.sub(r"fpn\.conv_c([2-5])_3x3", r"backbone.fpn_output\1", name)
    name = re.sub(r"fpn\.conv_c([67])_3x3", r"backbone.top_block.p\1", name)
    if head := re.fullmatch(r"(cls_head|box_head)\.(\d+)\.(0\.)?(weight|bias)", name):
        tower, last = HEADS[head[1]]
        return f"{f'{tower}.{2 * int(head[2])}' if head[3] else last}.{head[4]}"
    return name


def _body_name(name: str) -> str:
    name = re.sub(r"^(conv1|bn1)\.", r"stem.\1.", name)
    name = re.sub(r"^layer(\d)", lambda stage: f"res{int(stage[1]) + 1}", name)
    name = name.replace("downsample.0.", "shortcut.").replace("downsample.1.", "shortcut.norm.")
    return re.sub(r"\bbn(\d)\.", r"conv\1.norm.", name)


def _checkpoint(tensors: Mapping[str, Tensor], contents: WeightsFile) -> dict[str, Any]:
    return {"model": dict(tensors)}


DETECTRON2 = Published(
    preset="detectron2",
    title="detectron2's RetinaNet",
    their_name=detectron2_name,
    tell=told,
    assumed=assumed,
    ignored=IGNORED,
    has_counters=False,
    suffixes=(".pth", ".pkl"),
    held=_checkpoint,
    write=write_by_suffix,
)
