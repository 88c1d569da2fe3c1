"""RetinaNet in the conventions of a config; mirrors `keras_reference/model.py`.

Lin et al., Focal Loss for Dense Object Detection (2017), section 4.
"""

from typing import Literal, overload

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from torch_retinanet.backbone import BackboneWeights, get_backbone
from torch_retinanet.config import RetinaNetConfig, check_config
from torch_retinanet.errors import InputError
from torch_retinanet.fpn import FeaturePyramidNetwork
from torch_retinanet.heads import FLATTENERS, PRIOR_PROBABILITY, build_head, init_head
from torch_retinanet.taps import Taps, tap


class RetinaNet(nn.Module):
    """Images (B,3,H,W) to boxes and class scores (B,N,4+K) on N = A x (cells of P3 to P7) anchors.

    The last axis holds four box values, then K class scores without activation. Anchors run over the levels from fine
    to coarse, within a level as `config.output_order` says. `config.levels` can be others than P3 to P7, and
    `config.in_channels` other than 3.

    Args:
        config: the conventions and K.
        backbone_weights: torchvision's weights, or those that `read_backbone` read, for a config in whose conventions
            they were trained; by default fresh values.
        backbone: what gives C3, C4 and C5 in its place: any module with `widths`, their channels, in the conventions
            of `config`. To save a model with it, `register_backbone`.

    Raises:
        InputError: for weights that need other conventions or stand beside a backbone, images that are not floating
            (B,3,H,W), and sides that do not divide by 32 where the config upsamples times 2.
        ConnectionError: where torchvision's weights cannot be downloaded.
    """

    def __init__(
        self,
        config: RetinaNetConfig,
        *,
        backbone_weights: WeightsEnum | BackboneWeights | None = None,
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__()
        check_config(config)
        if backbone is not None and backbone_weights is not None:
            raise InputError("backbone_weights: they are given beside a backbone, which has its own; leave one out")
        self.config = config
        self.fpn = FeaturePyramidNetwork(
            config, backbone=get_backbone(config, backbone_weights) if backbone is None else backbone
        )
        self.cls_head = build_head(config.anchors_per_cell * config.num_classes, config)
        self.box_head = build_head(config.anchors_per_cell * 4, config)
        self.flatten_output = FLATTENERS[config.output_order]
        init_head(self.cls_head, config, prior=PRIOR_PROBABILITY)
        init_head(self.box_head, config)

    @overload
    def forward(self, images: Tensor, taps: Taps | None = None, *, apart: Literal[False] = False) -> Tensor: ...

    @overload
    def forward(self, images: Tensor, taps: Taps | None = None, *, apart: Literal[True]) -> tuple[Tensor, Tensor]: ...

    def forward(self, images: Tensor, taps: Taps | None = None, apart: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Boxes and scores on one axis, or `apart`: deltas (B,N,4), and logits (B,N,K)."""
        check_images(images, self.config.in_channels)
        levels = self.fpn(images, taps)
        cls_outputs, box_outputs = [], []
        for place, (i, level) in enumerate(zip(self.config.levels, levels, strict=True)):
            scores = self.cls_head(level, f"cls.p{i}", taps, place=place)
            boxes = self.box_head(level, f"box.p{i}", taps, place=place)
            cls_outputs.append(self.flatten_output(scores, self.config.num_classes))
            box_outputs.append(self.flatten_output(boxes, 4))
        logits = tap(taps, "logits", torch.cat(cls_outputs, dim=1))
        deltas = tap(taps, "deltas", torch.cat(box_outputs, dim=1))
        if apart:
            return deltas, logits
        return tap(taps, "outputs", torch.cat([deltas, logits], dim=-1))


def check_images(images: Tensor, channels: int) -> None:
    """Refuse what is not a batch of floating images (B,C,H,W); their values are checked where they come in."""
    if isinstance(images, torch.fx.Proxy):
        what = "torch.fx.symbolic_trace: it has no sizes of images, by which the network goes its way"
        raise InputError(f"{what}; torch.export.export gives a graph of torch.fx for images of a size")
    if images.ndim != 4 or images.shape[1] != channels or 0 in images.shape[2:]:
        shape = tuple(images.shape)
        raise InputError(f"images: shape {shape} must be (B,{channels},H,W), with sides of a pixel or more")
    if not images.is_floating_point():
        raise InputError(f"images: dtype {images.dtype} must be a floating type")
