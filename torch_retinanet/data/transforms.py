"""How training pictures are changed, by torchvision's transforms v2: every picture ends in the size the network sees.

A picture and its boxes are mirrored, cut, coloured, resized by the short side with a limit for the long one, and scaled
about within that size. What is drawn at random depends on the generator of torch at the time of the call.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.preprocess import resize, resized_size

LEAST_CROP = 0.5
"""The share of each side that a part of a picture has at least."""

LEAST_SIDE = 1.0
"""Pixels of a side below which a box that is left of an object is no object."""


def training_transforms(
    config: RetinaNetConfig,
    *,
    flip: float = 0.5,
    vertical_flip: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    crop: float = 0.0,
    colour: float = 0.0,
) -> nn.Module:
    """What is done to a `tv_tensors.Image` (3,H,W) and a target with `boxes` and `labels`.

    Args:
        config: the sides of the pictures.
        flip: how often a picture is mirrored left to right.
        vertical_flip: how often it is mirrored top to bottom.
        scale: between which factors it is scaled about.
        crop: how often a part is cut out that keeps enough of some box (Liu et al. 2016, SSD).
        colour: how far brightness, contrast and saturation are drawn from 1.
    """
    steps: list[nn.Module] = []
    if crop:
        steps.append(v2.RandomApply([CropAroundBoxes(min_scale=LEAST_CROP)], p=crop))
    if flip:
        steps.append(v2.RandomHorizontalFlip(flip))
    if vertical_flip:
        steps.append(v2.RandomVerticalFlip(vertical_flip))
    if colour:
        steps.append(v2.ColorJitter(brightness=colour, contrast=colour, saturation=colour))
    steps.append(ResizeShortSide(config))
    if scale != (1.0, 1.0):
        steps.append(ScaleAbout(scale, fill=[round(value) for value in config.pixel_mean]))
    composed: nn.Module = v2.Compose([*steps, v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes(min_size=LEAST_SIDE)])
    return composed


class CropAroundBoxes(v2.RandomIoUCrop):
    """torchvision's, for pictures of a single pixel too, of which no part can be cut."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What is cut out, if anything."""
        params: dict[str, Any] = super().make_params(flat_inputs) if min(v2.query_size(flat_inputs)) > 1 else {}
        return params


class ResizeShortSide(v2.Transform):
    """Resizes a picture to the size in which `RetinaNetDetector` shows it to the network."""

    def __init__(self, config: RetinaNetConfig) -> None:
        super().__init__()
        self.config = config

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The size (H,W) that the picture among the inputs gets, and how many times larger it is."""
        height, width = v2.query_size(flat_inputs)
        new = resized_size((height, width), self.config)
        return {"size": list(new.pixels), "ratio": new.ratio}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The picture, or its boxes, in the new size; a picture as the config resizes."""
        config = self.config
        if isinstance(inpt, tv_tensors.Image) and not _as_torchvision_does(config):
            resized = resize(inpt.as_subclass(Tensor).float(), tuple(params["size"]), config, ratio=params["ratio"])
            return tv_tensors.wrap(resized.round().clamp(0, 255).to(inpt.dtype), like=inpt)
        return F.resize(inpt, size=params["size"], antialias=config.resize_antialias)


def _as_torchvision_does(config: RetinaNetConfig) -> bool:
    """Whether torchvision resizes pictures of bytes alike, which is faster; TensorFlow differs by rounding alone."""
    own = config.resize_library in ("pil", "cv2") or config.resize_edges == "mirror"
    return not own and config.resized_to == "real"


class ScaleAbout(v2.Transform):
    """Scales a picture by a random factor, then cuts or pads it to its size again at a random place.

    Large scale jittering (Ghiasi et al. 2021, arXiv 2012.07177), within the size of each picture.

    Args:
        scale: between which factors.
        fill: red, green and blue around a picture that has become smaller.
    """

    def __init__(self, scale: tuple[float, float], *, fill: list[int]) -> None:
        super().__init__()
        self.scale, self.fill = scale, fill

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The factor as a size, and where the picture lies in what is seen, or what is seen in the picture."""
        height, width = v2.query_size(flat_inputs)
        factor = torch.empty(()).uniform_(*self.scale).item()
        size = [max(1, round(height * factor)), max(1, round(width * factor))]
        places = torch.rand(2)
        top, left = (round(float(p) * (old - new)) for p, old, new in zip(places, (height, width), size, strict=True))
        return {"size": size, "seen": (height, width), "top": top, "left": left}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """The picture, or its boxes, scaled and in its old size."""
        scaled = F.resize(inpt, size=params["size"], antialias=True)
        (height, width), top, left = params["seen"], params["top"], params["left"]
        if top >= 0 and left >= 0:
            below, beside = height - params["size"][0] - top, width - params["size"][1] - left
            return F.pad(scaled, padding=[left, top, beside, below], fill=self.fill)
        return F.crop(scaled, top=-top, left=-left, height=height, width=width)
