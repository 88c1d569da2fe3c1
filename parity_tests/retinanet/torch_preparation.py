"""How the port brings pictures before its network: the functions behind `RetinaNetDetector`, and itself."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from parity_tests.retinanet.inputs import Scene, Size
from parity_tests.retinanet.matching import Detections
from parity_tests.retinanet.picture_files import as_given
from parity_tests.retinanet.preparation import APART, FRAME, PictureSides
from parity_tests.retinanet.torch_surroundings import in_numpy
from parity_tests.rule.record import Array
from torch_retinanet import RetinaNet, RetinaNetConfig, RetinaNetDetector, pictures, preprocess
from torch_retinanet.data.transforms import ScaleAbout, training_transforms

OTHER: Mapping[str, Any] = {
    **{"anchor_scale": 1.5, "match_iou": 0.9, "focal_gamma": 1.0, "score_threshold": 1.0, "nms_iou": 0.9},
    **{"detections_per_picture": 1, "pixel_mean": (0.0, 0.0, 0.0)},
}
"""Settings of a detector, one of each of its parts, before it is given its own."""

LOSSES = {"loss.classification": "classification", "loss.box": "bbox_regression"}
"""What a detector calls its losses."""

FORMATS = tv_tensors.BoundingBoxFormat.XYXY, tv_tensors.BoundingBoxFormat.XYWH, tv_tensors.BoundingBoxFormat.CXCYWH
"""In which the boxes of pictures are given, one after the other."""


class TorchPreparation:
    """The steps of a config, with other sides where they are given, around a network."""

    def __init__(self, config: RetinaNetConfig, network: RetinaNet, sides: PictureSides | None) -> None:
        self.config = config if sides is None else replace(config, min_side=sides.least, max_side=sides.most)
        self.network = network

    def read(self, file: Path) -> NDArray[Any]:
        return _channels_last(pictures.read_picture(as_given(file)))

    def fitted(self, size: Size) -> Array:
        new = preprocess.resized_size(size, self.config)
        padded = preprocess.padded_size([new], self.config)
        return np.array([*new.pixels, *padded, new.ratio])

    def resized(self, picture: Array) -> Array:
        size = preprocess.resized_size(picture.shape[:2], self.config).pixels
        return _channels_last(preprocess.resize(_channels_first(picture), size, self.config))

    def normalised(self, picture: Array) -> Array:
        return _channels_last(preprocess.normalise(_channels_first(picture), self.config))

    def padded(self, resized: Array, size: Size) -> Array:
        new = preprocess.padded_size([preprocess.resized_size(size, self.config)], self.config)
        return _channels_last(preprocess.normalise_and_pad(_channels_first(resized), new, self.config))

    def prepared(self, picture: Array) -> Array:
        return _channels_last(preprocess.prepare([_channels_first(picture) / 255], self.config).images[0])

    def together(self, pictures: Sequence[Array]) -> Array:
        given = [_channels_first(picture) / 255 for picture in pictures]
        return np.stack([_channels_last(image) for image in preprocess.prepare(given, self.config).images])

    def trained(self, picture: Array) -> Array:
        image = tv_tensors.Image(_channels_first(picture) / 255)
        nothing = tv_tensors.BoundingBoxes(torch.zeros(0, 4), format="XYXY", canvas_size=image.shape[-2:])
        changed, _ = training_transforms(self.config, flip=0.0)(image, {"boxes": nothing, "labels": torch.zeros(0)})
        return _channels_last(changed.as_subclass(Tensor)) * 255

    def changed(self, picture: Array, boxes: Array, drawn: Sequence[float]) -> Mapping[str, Array]:
        given = _channels_first(picture), torch.from_numpy(boxes), self.config
        with mock.patch.object(torch, "rand", side_effect=map(torch.tensor, drawn)):
            image, corners = preprocess.preprocess_data(*given, torch.Generator())
        sides = np.array(image.shape[1:], float)
        return {"picture": _channels_last(image[:, ::APART, ::APART]), "sides": sides, "boxes": corners.numpy()}

    def mirrored(self, picture: Array, boxes: Array) -> Mapping[str, Array]:
        flipped, corners = preprocess.flip_horizontal(_channels_first(picture), torch.from_numpy(boxes))
        trained, target = self._as_trained(picture, boxes, flip=1.0)
        turned, upside_down = self._as_trained(picture, boxes, flip=0.0, vertical_flip=1.0)
        return {
            "mirrored.picture": _channels_last(flipped),
            "mirrored.boxes": corners.numpy(),
            "trained.picture": _channels_last(trained).astype(np.float64),
            "trained.boxes": target.numpy(),
            "upside_down.picture": _channels_last(turned).astype(np.float64),
            "upside_down.boxes": upside_down.numpy(),
        }

    def _as_trained(
        self, picture: Array, boxes: Array, *, flip: float, vertical_flip: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Mirrored by what changes training pictures, which keeps their size here."""
        height, width = picture.shape[:2]
        config = replace(self.config, min_side=min(height, width), max_side=max(height, width))
        target = {
            "boxes": tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(height, width)),
            "labels": torch.arange(len(boxes)),
        }
        image = tv_tensors.Image(torch.from_numpy(picture.astype(np.uint8)).permute(2, 0, 1))
        changed, found = training_transforms(config, flip=flip, vertical_flip=vertical_flip)(image, target)
        return changed.as_subclass(Tensor), found["boxes"].as_subclass(Tensor)

    def placed(self, picture: Array, boxes: Array, seen: Size, at: tuple[int, int]) -> Mapping[str, Array]:
        size = picture.shape[0], picture.shape[1]
        image = tv_tensors.Image(torch.from_numpy(picture.astype(np.uint8)).permute(2, 0, 1))
        corners = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=size, clamping_mode=None)
        params = {"size": [*size], "seen": seen, "top": at[0], "left": at[1]}
        as_it_is = ScaleAbout((1.0, 1.0), fill=[*FRAME])
        scaled = [ScaleAbout((share, share), fill=[*FRAME]).make_params([image]) for share in (0.5, 2.0)]
        return {
            "picture": _channels_last(as_it_is.transform(image, params).as_subclass(Tensor)).astype(np.float64),
            "boxes": as_it_is.transform(corners, params).as_subclass(Tensor).numpy(),
            "drawn": np.array([_drawn(params) for params in scaled]),
        }

    @torch.no_grad()
    def losses(
        self, pictures: Sequence[Scene], regions: Sequence[Array], outputs: Array | None = None
    ) -> dict[str, Array]:
        detector = self._detector(self.network if outputs is None else self._saying(outputs)).train()
        detector.model.eval()
        images = [_channels_first(picture.images[0]) / 255 for picture in pictures]
        targets = [
            {
                "boxes": _in_format(p, FORMATS[i % len(FORMATS)]),
                "labels": torch.from_numpy(p.labels[0]),
                "ignored": torch.from_numpy(r),
            }
            for i, (p, r) in enumerate(zip(pictures, regions, strict=True))
        ]
        found = detector(images, targets)
        return {name: found[own].numpy()[None] for name, own in LOSSES.items()}

    @torch.no_grad()
    def decoded(self, outputs: Array, size: Size) -> list[Detections]:
        shown = TorchPreparation(self.config, self._saying(outputs), PictureSides(min(size), max(size)))
        detector = shown._detector(shown.network).eval()
        black = torch.zeros(len(outputs), self.config.in_channels, *size)
        return in_numpy(detector(list(black)))

    def _saying(self, outputs: Array) -> RetinaNet:
        """What says these outputs in the precision of the network."""
        return cast("RetinaNet", Says(torch.from_numpy(outputs).to(next(self.network.parameters()).dtype)))

    def _detector(self, network: RetinaNet) -> RetinaNetDetector:
        """A detector around a network that there is, set to its config once it is built; its own has no memory."""
        with torch.device("meta"):
            detector = RetinaNetDetector(replace(self.config, **OTHER))
        detector.model = network
        detector.config = self.config
        return detector

    def detections(self, pictures: Sequence[Array]) -> list[Detections]:
        """By `predict`, in batches of three, of a detector that is in training.

        It has seen two others before in other settings, the second one with height for width, and with other pixels:
        what it keeps of those is not what it is asked for. Nor are the options that it was given for one of them.
        Its settings are those of the config but for the one that it is given as an option.
        """
        detector = self._detector(self.network).train()
        given = [torch.from_numpy(picture.astype(np.uint8)).permute(2, 0, 1) for picture in pictures]
        others = [given[1].transpose(1, 2), 255 - given[1]]
        with _bytes_become(next(self.network.parameters()).dtype):
            detector.config = replace(self.config, **OTHER)
            detector.predict(others, batch_size=3)
            detector.config = replace(self.config, nms_iou=OTHER["nms_iou"])
            detector.predict(others[:1], score_threshold=1.0)
            found = detector.predict(given, batch_size=3, nms_iou=self.config.nms_iou)
        return in_numpy(found)


def _in_format(picture: Scene, form: tv_tensors.BoundingBoxFormat) -> tv_tensors.BoundingBoxes:
    """The boxes of a picture as torchvision has them."""
    boxes = tv_tensors.BoundingBoxes(picture.boxes[0], format="XYXY", canvas_size=picture.size)
    return v2.functional.convert_bounding_box_format(boxes, new_format=form)


class Says(nn.Module):
    """In place of a network: deltas and logits that are given to it as it is made, in one tensor (B,N,4+K)."""

    def __init__(self, outputs: Tensor) -> None:
        super().__init__()
        self.outputs = nn.Parameter(outputs, requires_grad=False)

    def forward(self, images: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
        return self.outputs[..., :4], self.outputs[..., 4:]


@contextmanager
def _bytes_become(dtype: torch.dtype) -> Iterator[None]:
    """Have torch make real numbers of bytes in a precision, for a while."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _drawn(params: Mapping[str, Any]) -> list[float]:
    """The size of a picture and of its frame, and whether its place is between both of their corners."""
    sides, seen = params["size"], params["seen"]
    places = zip((params["top"], params["left"]), sides, seen, strict=True)
    return [*sides, *seen, *(float(min(0, of - side) <= at <= max(0, of - side)) for at, side, of in places)]


def _channels_first(picture: Array) -> Tensor:
    """A picture (3,H,W) from 0 to 255."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def _channels_last(picture: Tensor) -> Array:
    array: Array = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    return array
