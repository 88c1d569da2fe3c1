"""yhenon's pytorch-retinanet: the state dict of its `ResNet`.

Source: yhenon/pytorch-retinanet 0348a9d (2021-08-20), retinanet/model.py.
"""

import re

from torch_retinanet.weights.published.published import Published

HEADS = {"cls_head": "classificationModel", "box_head": "regressionModel"}
"""Its names of the heads."""

PYRAMID = {"conv_c6_3x3": "P6", "conv_c7_3x3": "P7_2"}
PYRAMID |= {f"conv_c{level}_{size}": f"P{level}_{n}" for level in (3, 4, 5) for n, size in ((1, "1x1"), (2, "3x3"))}
"""Its names of the pyramid's convolutions."""


def yhenon_name(name: str) -> str:
    """The name in its state dict of a tensor of ours."""
    if name.startswith("fpn.backbone."):
        return name.removeprefix("fpn.backbone.")
    if level := re.fullmatch(r"fpn\.(conv_c\d_\dx\d)\.(weight|bias)", name):
        return f"fpn.{PYRAMID.get(level[1], level[1])}.{level[2]}"
    if head := re.fullmatch(r"(cls_head|box_head)\.(\d+)\.(0\.)?(weight|bias)", name):
        return f"{HEADS[head[1]]}.{f'conv{int(head[2]) + 1}' if head[3] else 'output'}.{head[4]}"
    return name


YHENON = Published(
    preset="yhenon", title="yhenon's pytorch-retinanet", their_name=yhenon_name, suffixes=(".pt", ".pth")
)
