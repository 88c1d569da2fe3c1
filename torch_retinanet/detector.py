"""A detector that is used as torchvision's are: pictures in, losses or detections out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import WeightsEnum

from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.backbone import BackboneWeights
from torch_retinanet.checks import check_pictures, check_targets
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.losses import RetinaNetLoss
from torch_retinanet.model import RetinaNet
from torch_retinanet.pictures import read_picture
from torch_retinanet.postprocess import DecodePredictions
from torch_retinanet.preprocess import padded_size, prepare, resized_size
from torch_retinanet.targets import LabelEncoder
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.weights_file import WeightsFile

Picture = str | Path | Image.Image | np.ndarray | Tensor
"""What `RetinaNetDetector.predict` reads."""


class RetinaNetDetector(nn.Module):
    """RetinaNet from pictures to detections, a drop-in for `torchvision.models.detection.retinanet_resnet50_fpn`.

    In training `detector(images, targets)` returns the losses `classification` and `bbox_regression`; in evaluation
    `detector(images)` returns for each picture `boxes` (M,4) xyxy in its own pixels, `labels` (M,) and `scores` (M,),
    best first. Pictures are resized, normalised and padded within.

    In evaluation pictures of one padded size go through the network together and others by themselves, so that a
    picture's detections do not depend on the pictures beside it.

    Args:
        config: the conventions and K. Labels are 0 to K - 1; there is no class for the background.
        backbone_weights: as for `RetinaNet`.
        class_names: of the K labels, for people; they are kept in the file of the detector.

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
        super().__init__()
        if len(class_names) not in (0, config.num_classes):
            raise InputError(
                f"class_names: {len(class_names)} names must be as many as the {config.num_classes} classes"
            )
        self.config, self.class_names = config, tuple(class_names)
        self.model = RetinaNet(config, backbone_weights=backbone_weights)
        self.anchors = AnchorGenerator(config)
        self.label_encoder = LabelEncoder(config)
        self.loss = RetinaNetLoss(config)
        self.decode_predictions = DecodePredictions(config)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> "RetinaNetDetector":
        """The detector that `save` or a training run wrote, or around the weights of a Keras file, in evaluation mode.

        Raises:
            InputError: for a file that is not whole, or of a backbone alone.
            FileNotFoundError: where there is no file.
        """
        contents = read_weights(path)
        if contents.part != "model":
            raise InputError(f"{path}: holds a {contents.part} alone, and a whole model is needed")
        detector = cls(contents.config, class_names=contents.class_names)
        detector.model.load_state_dict(contents.tensors)
        return detector.eval()

    def save(self, path: str | Path) -> None:
        """Write weights, conventions and class names to a `.safetensors`; or the weights to a file of Keras.

        Errors are those of `write_weights`.
        """
        write_weights(path, WeightsFile(self.config, self.model.state_dict(), class_names=self.class_names))

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
        images = check_pictures(images)
        if not self.training:
            return self._detect(images)
        if targets is None:
            raise InputError("targets: None must be a list with one dict a picture in training")
        check_targets(targets, images, self.config.num_classes)
        return self._losses(images, targets)

    @torch.no_grad()
    def predict(self, pictures: Picture | Sequence[Picture], *, batch_size: int = 8) -> list[dict[str, Tensor]]:
        """Detections of pictures: paths, PIL pictures, arrays (H,W,C) or tensors (C,H,W), one or many.

        Runs in evaluation mode, whatever mode the detector is in, `batch_size` pictures at a time.

        Raises:
            InputError: for a picture that cannot be read, as `read_picture` does.
            FileNotFoundError: where there is no file.
        """
        if batch_size < 1:
            raise InputError(f"batch_size: {batch_size!r} must be at least 1")
        sources = cast("list[Picture]", list(pictures) if isinstance(pictures, (list, tuple)) else [pictures])
        device, modes = next(self.parameters()).device, {module: module.training for module in self.modules()}
        self.eval()
        try:
            starts = range(0, len(sources), batch_size)
            batches = ([_read(sources, j).to(device) for j in range(len(sources))[i : i + batch_size]] for i in starts)
            return [detections for batch in batches for detections in self(batch)]
        finally:
            for module, training in modes.items():
                module.training = training

    def _losses(self, images: Sequence[Tensor], targets: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        batch = prepare(images, self.config)
        outputs = self.model(batch.images.to(self._dtype))
        anchors = self._anchors(batch.images)
        boxes = [_scaled(target["boxes"], *scale, anchors) for target, scale in zip(targets, batch.scales, strict=True)]
        labels = [target["labels"].as_subclass(Tensor).to(anchors.device) for target in targets]
        assigned = self.label_encoder.encode_batch(anchors, boxes, labels)
        nowhere = anchors.new_zeros(0, 4)
        regions = [_scaled(t.get("ignored", nowhere), *s, anchors) for t, s in zip(targets, batch.scales, strict=True)]
        assigned = self.label_encoder.ignore(assigned, anchors, regions)
        deltas, logits = outputs.split([4, self.config.num_classes], dim=-1)
        losses: dict[str, Tensor] = self.loss(logits, deltas, assigned, anchors)
        return losses

    def _detect(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """Detections of each picture; those of one padded size go through the network together."""
        groups: dict[tuple[int, int], list[int]] = {}
        for i, image in enumerate(images):
            size = resized_size((image.shape[-2], image.shape[-1]), self.config)
            groups.setdefault(padded_size([size], self.config.pad_multiple), []).append(i)
        detections: dict[int, dict[str, Tensor]] = {}
        for group in groups.values():
            detections |= zip(group, self._detect_batch([images[i] for i in group]), strict=True)
        return [detections[i] for i in range(len(images))]

    def _detect_batch(self, images: Sequence[Tensor]) -> list[dict[str, Tensor]]:
        batch = prepare(images, self.config)
        outputs = self.model(batch.images.to(self._dtype)).to(batch.images.dtype)
        deltas, logits = outputs.split([4, self.config.num_classes], dim=-1)
        per_level = self.anchors.anchors_per_level(*batch.images.shape[-2:])
        found = self.decode_predictions(logits, deltas, self._anchors(batch.images), per_level, batch.sizes)
        for detections, (h, w) in zip(found, batch.returns, strict=True):
            detections["boxes"] = detections["boxes"] / detections["boxes"].new_tensor([w, h, w, h])
        return found

    def _anchors(self, images: Tensor) -> Tensor:
        return self.anchors.get_anchors(*images.shape[-2:], dtype=images.dtype, device=images.device)

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype


def _scaled(boxes: Tensor, height: float, width: float, anchors: Tensor) -> Tensor:
    """Boxes (G,4) in a picture that has become so many times higher and wider, in the type of the anchors."""
    return boxes.as_subclass(Tensor).to(anchors) * anchors.new_tensor([width, height, width, height])


def _read(pictures: Sequence[Picture], index: int) -> Tensor:
    try:
        return read_picture(pictures[index])
    except InputError as error:
        raise InputError(f"pictures[{index}]: {error}") from None
