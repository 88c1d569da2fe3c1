"""A detector that is used as torchvision's are: pictures in, losses or detections out."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.models import WeightsEnum

from torch_retinanet.backbone import BackboneWeights, Frozen, parts_to_freeze
from torch_retinanet.boxes import scaled
from torch_retinanet.checks import check_kernels, check_pictures, check_targets
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.model import RetinaNet
from torch_retinanet.pictures import read_picture
from torch_retinanet.postprocess import clipped_detections
from torch_retinanet.preprocess import padded_size, prepare, resized_size
from torch_retinanet.pretrained import PretrainedModule
from torch_retinanet.surroundings import SURROUNDINGS
from torch_retinanet.tiles import Tiling, merged
from torch_retinanet.traced.program import detect_each, is_traced

Picture = str | Path | Image.Image | np.ndarray | Tensor
"""What `RetinaNetDetector.predict` reads."""


class RetinaNetDetector(PretrainedModule):
    """RetinaNet from pictures to detections, a drop-in for `torchvision.models.detection.retinanet_resnet50_fpn`.

    In training `detector(images, targets)` returns the losses `classification` and `bbox_regression`; in evaluation
    `detector(images)` returns for each picture `boxes` (M,4) xyxy in its own pixels, `labels` (M,) and `scores` (M,),
    best first. Pictures are resized, normalised and padded within.

    In evaluation pictures of one padded size go through the network together and others by themselves, so that a
    picture's detections do not depend on the pictures beside it.

    Values of pictures are looked at in the first batch alone, and so are those of targets on a device: to look at them
    costs a pass and a synchronisation. `predict` and the loaders of this package check each.

    Args:
        config: the conventions and K. Labels are 0 to K - 1; there is no class for the background.
        backbone_weights: as for `RetinaNet`.
        class_names: of the K labels, for people; they are kept in the file of the detector.

    Attributes:
        loss: what training minimises, `RetinaNetLoss`; a module of one's own with the same call can take its place.
        score_threshold, nms_iou, min_side: like every field of `config`, they act from the next picture on; what is
            built into the network is refused as it is set.

        trained_on: how the pictures were read that it learnt from, which is kept in its file; `predict` takes white in
            gray of 16 bits from it.

    Raises:
        InputError: for names that are not K; for pictures that are not (3,H,W) and finite, floating (from 0 to 1) or
            of 8 bits; in training, for targets that are missing, or that hold a box without extent or a label outside
            0 to K - 1. The sentence names the picture's index in the batch and the value.
    """

    def __init__(
        self,
        config: RetinaNetConfig,
        *,
        backbone_weights: WeightsEnum | BackboneWeights | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        super().__init__(config, class_names=class_names)
        # Channels last is faster on CPUs, and on GPUs in half precision; what comes out is the same but for rounding.
        self.model = RetinaNet(config, backbone_weights=backbone_weights).to(memory_format=torch.channels_last)
        self._frozen = Frozen()
        self._surround(config)
        self._unchecked = {True, False}  # modes whose first batch has not been seen

    def freeze(self, *, stages: int = 0, norm: bool = False) -> None:
        """Keep parts of the backbone as they are, in training too; it stays so when `train()` is called.

        What an earlier call kept is trained again. BatchNorm with a `bn_eps` of 0 is always kept: it cannot train.

        Args:
            stages: how many of its 5 parts get no gradients, nor new statistics: the stem, then `layer1` to `layer4`.
            norm: whether all its BatchNorm keep statistics, scales and offsets.

        Raises:
            InputError: for more stages than there are, and for an optimised detector.
        """
        if self.network is not None:
            raise InputError("freeze: an optimised detector cannot be trained; freeze the one that it was made of")
        frozen = Frozen(stages, norm or self.config.bn_eps == 0)
        for kept, requires_grad in ((self._frozen, True), (frozen, False)):
            for module in parts_to_freeze(self.model.fpn.backbone, kept):
                module.requires_grad_(requires_grad)
        self._frozen = frozen
        self.train(self.training)

    def train(self, mode: bool = True) -> "RetinaNetDetector":
        """Training mode, for all but what `freeze` keeps; or evaluation mode."""
        super().train(mode)
        if any(self._frozen):
            for module in parts_to_freeze(self.model.fpn.backbone, self._frozen):
                module.eval()
        return self

    @overload
    def forward(self, images: Sequence[Tensor], targets: Sequence[dict[str, Any]]) -> dict[str, Tensor]: ...

    @overload
    def forward(self, images: Sequence[Tensor], targets: None = None) -> list[dict[str, Tensor]]: ...

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[dict[str, Any]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Losses of pictures with targets, or detections of pictures.

        A target has `boxes` (G,4) xyxy in pixels and `labels` (G,); it may have `ignored` (I,4), regions in which
        whatever is found is neither right nor wrong.
        """
        first = self.training in self._unchecked and not torch.compiler.is_compiling() and not is_traced()
        given, images = images, check_pictures(images, self.config.in_channels, values=first)
        if not self.training:
            if any(image.is_floating_point() for image in given):  # bytes need no check, and spend none
                self._unchecked.discard(False)
            return self._detect(images)
        if targets is None:
            raise InputError("targets: None must be a list with one dict a picture in training")
        targets = check_targets(targets, images, self.config.num_classes, values=first)
        self._unchecked.discard(True)
        return self._losses(images, targets)

    @torch.no_grad()
    def predict(
        self,
        pictures: Picture | Sequence[Picture],
        *,
        batch_size: int = 8,
        tiling: Tiling | None = None,
        **changes: Any,
    ) -> list[dict[str, Tensor]]:
        """Detections of pictures: paths, PIL pictures, arrays (H,W,C) or tensors (C,H,W), one or many.

        In gray of 16 bits, of a file or a picture of Pillow, white is what it was in training, as `trained_on.white`
        says, or else 65535. Pictures are cut into tiles where `tiling` is given, and not by themselves.

        A tensor (T,C,H,W), as a `tv_tensors.Video` is, is its T frames, and so is an array (T,H,W,C).

        Runs in evaluation mode, whatever mode the detector is in, `batch_size` pictures at a time. A detector in
        evaluation mode can be used by several threads at once.

        Args:
            pictures: what is looked at.
            batch_size: pictures that go through the network together, or tiles of one.
            tiling: cuts each picture into tiles that are detected by themselves, for objects that are small in it.
            changes: fields of the config for these pictures alone, as `score_threshold=0.3`.

        Raises:
            InputError: for a picture that cannot be read, as `read_picture` does, and a field that cannot be changed.
            FileNotFoundError: where there is no file.
        """
        if batch_size < 1:
            raise InputError(f"batch_size: {batch_size!r} must be at least 1")
        several = isinstance(pictures, (list, tuple)) or getattr(pictures, "ndim", 0) == 4
        sources = cast("list[Picture]", list(cast("Any", pictures)) if several else [pictures])
        detector = self._changed(self.config.changed(**changes)) if changes else self
        modes = {module: module.training for module in self.modules() if module.training}
        try:
            if modes or detector.training:
                detector.eval()
            read = (self._read(sources, i) for i in range(len(sources)))
            if tiling is not None:
                return [detector._detect_tiles(picture, tiling, batch_size) for picture in read]
            return list(detector._in_batches(read, batch_size))
        finally:
            for module, training in modes.items():
                module.training = training

    def _in_batches(self, pictures: Iterable[Tensor], batch_size: int) -> Iterator[dict[str, Tensor]]:
        """Detections of pictures (3,H,W) on any device, `batch_size` of them at a time."""
        device, rest = next(self.parameters()).device, iter(pictures)
        while batch := [picture.to(device) for picture in islice(rest, batch_size)]:
            yield from self(batch)

    def _detect_tiles(self, picture: Tensor, tiling: Tiling, batch_size: int) -> dict[str, Tensor]:
        windows = tiling.windows(picture.shape[-2], picture.shape[-1])
        found = list(self._in_batches((window.cut(picture) for window in windows), batch_size))
        return merged(found, windows, self.config)

    def _losses(self, images: Sequence[Tensor], targets: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        batch = prepare(images, self.config)
        check_kernels(batch.images, self._dtype)
        deltas, logits = self.model(batch.images.to(self._dtype), apart=True)
        anchors = self._anchors(batch.images)
        boxes = batch.shifted([scaled(t["boxes"], *s, anchors) for t, s in zip(targets, batch.scales, strict=True)])
        labels = [target["labels"].as_subclass(Tensor).to(anchors.device) for target in targets]
        per_level = self.anchors.anchors_per_level(*batch.images.shape[-2:])
        assigned = self.label_encoder.encode_batch(anchors, boxes, labels, per_level)
        assigned = self.label_encoder.ignore_outside(assigned, anchors, batch.sizes)
        nowhere = anchors.new_zeros(0, 4)
        regions = [scaled(t.get("ignored", nowhere), *s, anchors) for t, s in zip(targets, batch.scales, strict=True)]
        assigned = self.label_encoder.ignore(assigned, anchors, batch.shifted(regions))
        losses: dict[str, Tensor] = self.loss(logits, deltas, assigned, anchors)
        return losses

    def _detect(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """Detections of each picture; those of one padded size go through the network together."""
        if is_traced():
            return detect_each(self.model, self._traceable_config(), images)
        groups: dict[tuple[int, int], list[int]] = {}
        for i, image in enumerate(images):
            size = resized_size((image.shape[-2], image.shape[-1]), self.config)
            groups.setdefault(padded_size([size], self.config), []).append(i)
        detections: dict[int, dict[str, Tensor]] = {}
        for group in groups.values():
            detections |= zip(group, self._detect_batch([images[i] for i in group]), strict=True)
        return [detections[i] for i in range(len(images))]

    def _traceable_config(self) -> RetinaNetConfig:
        for name in ("anchors", "decode_predictions"):
            if type(getattr(self, name)) is not SURROUNDINGS[name][0]:
                raise InputError(f"{name}: a part of your own cannot be traced; export detector.model, the network")
        return self.config

    def __prepare_scriptable__(self) -> "RetinaNetDetector":
        raise InputError("torch.jit.script: a detector cannot be scripted; use torch.export, or `retinanet export`")

    def _detect_batch(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        batch = prepare(images, self.config)
        deltas, logits = (output.to(batch.images.dtype) for output in self._outputs(batch.images))
        per_level, borders = self.anchors.anchors_per_level(*batch.images.shape[-2:]), batch.sizes
        if self.config.clip_at == "padded":
            borders = [(batch.images.shape[-2], batch.images.shape[-1])] * len(images)
        found = self.decode_predictions(logits, deltas, self._anchors(batch.images), per_level, borders)
        resized = batch.shifted([detections["boxes"] for detections in found], back=True)
        for detections, boxes, (h, w) in zip(found, resized, batch.returns, strict=True):
            detections["boxes"] = boxes / boxes.new_tensor([w, h, w, h])
        if not self.config.clip_detections:
            return found
        return [clipped_detections(one, *image.shape[-2:]) for one, image in zip(found, images, strict=True)]

    def _anchors(self, images: Tensor) -> Tensor:
        return self.anchors.kept_anchors(*images.shape[-2:], dtype=images.dtype, device=images.device)

    def _read(self, pictures: Sequence[Picture], index: int) -> Tensor:
        try:
            return read_picture(pictures[index], channels=self.config.in_channels, white=self.trained_on.white)
        except InputError as error:
            raise InputError(f"pictures[{index}]: {error}") from None

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype
