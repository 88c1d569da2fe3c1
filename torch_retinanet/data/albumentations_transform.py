"""Transforms of albumentations in place of torchvision's, for `Trainer(transform=...)`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision import tv_tensors

SEEDS = 2**31
"""How many seeds there are."""


def _set_seeds(part: Any) -> None:
    """Give each transform within a seed of its own: albumentations gives all the same, and they would act together."""
    part.set_random_seed(int(torch.randint(SEEDS, ())))
    for within in getattr(part, "transforms", ()):
        _set_seeds(within)


class FromAlbumentations(nn.Module):
    """A `Compose` of albumentations as a transform of a `tv_tensors.Image` (3,H,W) of bytes and a target.

    Its random numbers follow from the generator of torch at the time of the call, so that a run resumed draws the same.

    Args:
        compose: `albumentations.Compose(..., bbox_params=BboxParams(format="pascal_voc", label_fields=["labels"]))`,
            which leaves a picture of bytes (H,W,3).
    """

    def __init__(self, compose: Callable[..., dict[str, Any]]) -> None:
        super().__init__()
        self.compose = compose

    def forward(self, image: Tensor, target: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
        """The picture and its target, changed."""
        _set_seeds(self.compose)
        pixels = image.permute(1, 2, 0).contiguous().numpy()
        found = self.compose(image=pixels, bboxes=target["boxes"].numpy(), labels=target["labels"].numpy())
        changed = torch.from_numpy(np.ascontiguousarray(found["image"])).permute(2, 0, 1).contiguous()
        boxes = torch.as_tensor(np.asarray(found["bboxes"], dtype=np.float32)).reshape(-1, 4)
        size = changed.shape[-2], changed.shape[-1]
        labels = torch.as_tensor(np.asarray(found["labels"]), dtype=torch.int64)
        boxes = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=size)
        return tv_tensors.Image(changed), target | {"boxes": boxes, "labels": labels}
