"""The feature pyramid for inference: each level as rows of pixels, and where each pixel lies in them."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torch_retinanet.fpn import FeaturePyramidNetwork
from torch_retinanet.inference.cells import as_map, as_rows, map_addresses, tile_addresses
from torch_retinanet.inference.folding import folded
from torch_retinanet.inference.packed import PackedConv
from torch_retinanet.inference.plain import is_plain, is_untouched
from torch_retinanet.inference.resnet import packed_backbone
from torch_retinanet.inference.way import InferenceWay, tables
from torch_retinanet.inference.winograd import WinogradConv
from torch_retinanet.other_backbones import C5


class RowLayout(NamedTuple):
    """How the pixels of a level lie in its rows: in tiles of `tile` x `tile`, or as in the map where that is 0."""

    batch: int
    height: int
    width: int
    tile: int = 0

    @property
    def addresses(self) -> Tensor:
        """The row of each pixel (B,h,w)."""
        sides = self.batch, self.height, self.width
        return tile_addresses(*sides, self.tile) if self.tile else map_addresses(*sides)


class Level(NamedTuple):
    """A level of the pyramid: rows (R,C), and how its pixels lie in them."""

    rows: Tensor
    place: RowLayout

    @classmethod
    def of_map(cls, x: Tensor) -> "Level":
        """The level that a map (B,C,h,w) in channels last is."""
        return cls(as_rows(x), RowLayout(x.shape[0], x.shape[2], x.shape[3]))

    @property
    def map(self) -> Tensor:
        """The level as a map (B,C,h,w) in channels last."""
        if self.place.tile:
            return as_map(self.rows, self.place.addresses.to(self.rows.device))
        batch, height, width, _ = self.place
        return self.rows.view(batch, height, width, -1).permute(0, 3, 1, 2)


class LevelConv:
    """A 3x3 convolution of the pyramid from a map to a level."""

    def __init__(self, conv: nn.Module, way: InferenceWay) -> None:
        parts = folded(conv)
        self.conv: WinogradConv | PackedConv
        if way.by_winograd(parts):
            self.conv = WinogradConv(parts, way.tile, way.dtype, relu=False)
        else:
            self.conv = PackedConv(parts, way.dtype, way.device)

    def __call__(self, x: Tensor) -> Level:
        if isinstance(self.conv, PackedConv):
            return Level.of_map(self.conv(x))
        batch, _, height, width = x.shape
        reads, _ = tables(batch, height, width, self.conv.m)
        return Level(self.conv(as_rows(x), reads), RowLayout(batch, height, width, self.conv.m))


class PackedPyramid:
    """Images (B,C,H,W) in channels last to the levels of a `FeaturePyramidNetwork`, in its own order of steps."""

    def __init__(self, fpn: FeaturePyramidNetwork, way: InferenceWay) -> None:
        self.backbone = packed_backbone(fpn.backbone, way)
        self.lateral, self.smooth = {}, {}
        for i in range(fpn.min_level, C5 + 1):
            self.lateral[i] = PackedConv(folded(fpn.get_submodule(f"conv_c{i}_1x1")), way.dtype, way.device)
            if hasattr(fpn, f"conv_c{i}_3x3"):
                self.smooth[i] = LevelConv(fpn.get_submodule(f"conv_c{i}_3x3"), way)
        self.max_level, self.p6_from_c5, self.p7_relu = fpn.max_level, fpn.p6_from_c5, fpn.p7_relu
        self.top_down, self.upsample = fpn.top_down, fpn.upsample_2x
        self.p6 = fpn.every_second if fpn.p6_is_pooled else self._stride2(fpn, 6, way)
        self.p7 = self._stride2(fpn, 7, way)

    @staticmethod
    def _stride2(fpn: FeaturePyramidNetwork, level: int, way: InferenceWay) -> Callable[[Tensor], Tensor] | None:
        if fpn.max_level < level:
            return None
        return PackedConv(folded(fpn.get_submodule(f"conv_c{level}_3x3")), way.dtype, way.device)

    def __call__(self, images: Tensor) -> list[Level]:
        features = dict(zip(self.lateral, self.backbone(images), strict=True))
        levels = self._merged_first(features) if self.top_down == "merged" else self._output_first(features)
        if self.max_level >= 6:
            assert self.p6 is not None
            levels.append(Level.of_map(self.p6(features[C5] if self.p6_from_c5 else levels[-1].map)))
        if self.max_level == 7:
            assert self.p7 is not None
            p6 = levels[-1].map
            p7 = self.p7(F.relu(p6) if self.p7_relu == "before" else p6)
            levels.append(Level.of_map(F.relu(p7) if self.p7_relu == "after" else p7))
        return levels

    def _merged_first(self, features: dict[int, Tensor]) -> list[Level]:
        merged = {C5: self.lateral[C5](features[C5])}
        for i in list(features)[-2::-1]:
            merged[i] = self._merge(i, features[i], merged[i + 1])
        return [self.smooth[i](merged[i]) for i in features]

    def _output_first(self, features: dict[int, Tensor]) -> list[Level]:
        levels = {C5: Level.of_map(self.lateral[C5](features[C5]))}
        for i in list(features)[-2::-1]:
            levels[i] = self.smooth[i](self._merge(i, features[i], levels[i + 1].map))
        return [levels[i] for i in features]

    def _merge(self, level: int, feature: Tensor, above: Tensor) -> Tensor:
        larger = self.upsample(above, feature).contiguous(memory_format=torch.channels_last)
        return self.lateral[level].added_to(feature, larger)


class CopiedPyramid:
    """The same by a copy of the network, for one with a BatchNorm behind its levels or parts of the user's own."""

    def __init__(self, fpn: FeaturePyramidNetwork, way: InferenceWay) -> None:
        self.fpn = way.copied(fpn)

    def __call__(self, images: Tensor) -> list[Level]:
        return [Level.of_map(x.contiguous(memory_format=torch.channels_last)) for x in self.fpn(images)]


def build_pyramid(fpn: FeaturePyramidNetwork, way: InferenceWay) -> Callable[[Tensor], list[Level]]:
    """A pyramid for inference."""
    layers = [layer for name, layer in fpn.named_children() if name != "backbone"]
    known = type(fpn) is FeaturePyramidNetwork and is_untouched(fpn) and is_plain(*layers)
    return PackedPyramid(fpn, way) if known and fpn.norms is None else CopiedPyramid(fpn, way)
