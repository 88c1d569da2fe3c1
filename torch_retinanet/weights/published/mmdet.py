"""MMDetection's RetinaNet in PyTorch and in Caffe style, whose files have the same names of tensors.

Source: mmdet 3.3.0, configs/retinanet, models/dense_heads/retina_head.py and models/necks/fpn.py.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.published.published import Assumption, Published
from torch_retinanet.weights.weights_file import WeightsFile

HEADS = {"cls_head": ("bbox_head.cls_convs", "bbox_head.retina_cls")}
HEADS |= {"box_head": ("bbox_head.reg_convs", "bbox_head.retina_reg")}
"""Its names of a head, and of its last convolution."""

CAFFE = re.compile(r"style\s*[=:]\s*['\"]caffe")
"""What a config in Caffe style says."""


def mmdet_name(name: str) -> str:
    """The name in its state dict of a tensor of ours."""
    if name.startswith("fpn.backbone."):
        return name.removeprefix("fpn.")
    if level := re.fullmatch(r"fpn\.conv_c(\d)_(\dx\d)\.(weight|bias)", name):
        convs = "lateral_convs" if level[2] == "1x1" else "fpn_convs"
        return f"neck.{convs}.{int(level[1]) - 3}.conv.{level[3]}"
    if head := re.fullmatch(r"(cls_head|box_head)\.(\d+)\.(0\.)?(weight|bias)", name):
        tower, last = HEADS[head[1]]
        return f"{f'{tower}.{head[2]}.conv' if head[3] else last}.{head[4]}"
    return name


def class_names(found: TensorFile) -> Sequence[str]:
    """The names of classes in the `meta` of a checkpoint, today's or that of version 2."""
    meta = found.settings.get("meta")
    if not isinstance(meta, Mapping):
        return ()
    of_data = meta.get("dataset_meta")
    of_data = of_data if isinstance(of_data, Mapping) else {}
    names = of_data.get("classes") or of_data.get("CLASSES") or meta.get("CLASSES") or ()
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else ()


def is_caffe(found: TensorFile) -> bool:
    """Whether the config in a checkpoint, where there is one, is in Caffe style."""
    meta = found.settings.get("meta")
    texts = meta.values() if isinstance(meta, Mapping) else ()
    return any(CAFFE.search(text) is not None for text in texts if isinstance(text, str))


def _assumed(found: TensorFile, config: RetinaNetConfig) -> tuple[Assumption, ...]:
    words = "its file does not say Caffe style, for which preset mmdet_caffe can be asked for"
    return (Assumption(("stride_in",), words),)


def _checkpoint(tensors: Mapping[str, Tensor], contents: WeightsFile) -> dict[str, Any]:
    names = contents.class_names
    return {"meta": {"dataset_meta": {"classes": list(names)}} if names else {}, "state_dict": dict(tensors)}


MMDET = Published(
    preset="mmdet",
    title="MMDetection's RetinaNet",
    their_name=mmdet_name,
    class_names=class_names,
    held=_checkpoint,
    holds_names=True,
    assumed=_assumed,
)

MMDET_CAFFE = Published(
    preset="mmdet_caffe",
    title="MMDetection's RetinaNet in Caffe style",
    their_name=mmdet_name,
    class_names=class_names,
    is_marked=is_caffe,
    held=_checkpoint,
    holds_names=True,
)
