"""Transforms of albumentations in a run: a stand-in with the same calls, as the package is no dependency."""

from typing import Any

import numpy as np
import torch
from torchvision import tv_tensors

from torch_retinanet.data.albumentations_transform import FromAlbumentations


class Flip:
    """A transform that mirrors by its own random numbers, as `albumentations.Compose` and its parts are called."""

    def __init__(self, *transforms: "Flip") -> None:
        self.transforms = list(transforms)
        self.random = np.random.default_rng()

    def set_random_seed(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def __call__(self, *, image: Any, bboxes: Any, labels: Any) -> dict[str, Any]:
        if self.random.random() < 0.5:
            image = image[:, ::-1]
            bboxes = np.stack([60 - bboxes[:, 2], bboxes[:, 1], 60 - bboxes[:, 0], bboxes[:, 3]], axis=1)
        for part in self.transforms:
            image, bboxes, labels = part(image=image, bboxes=bboxes, labels=labels).values()
        return {"image": image, "bboxes": bboxes, "labels": list(labels)}


def changed(seed: int) -> tuple[torch.Tensor, dict[str, Any]]:
    """A picture of 60x40 with one bright object, and its target, as a seed changes them."""
    image = torch.zeros(3, 40, 60, dtype=torch.uint8)
    image[:, 4:20, 3:23] = 255
    boxes = tv_tensors.BoundingBoxes(torch.tensor([[3.0, 4, 23, 20]]), format="XYXY", canvas_size=(40, 60))
    torch.manual_seed(seed)
    target = {"boxes": boxes, "labels": torch.tensor([2]), "image_id": 5}
    return FromAlbumentations(Flip(Flip())).forward(tv_tensors.Image(image), target)


def test_pictures_boxes_and_labels_are_changed_together() -> None:
    for seed in range(8):
        image, target = changed(seed)
        [[left, top, right, bottom]] = target["boxes"].int().tolist()
        assert isinstance(image, tv_tensors.Image)
        assert image.shape == (3, 40, 60)
        assert (image[:, top:bottom, left:right] == 255).all()
        assert (target["labels"].tolist(), target["image_id"]) == ([2], 5)


def test_the_seed_of_a_draw_decides_and_parts_draw_by_themselves() -> None:
    places = [changed(seed)[1]["boxes"].tolist() for seed in range(40)]
    assert places == [changed(seed)[1]["boxes"].tolist() for seed in range(40)]
    mirrored = sum(place == [[37, 4, 57, 20]] for place in places)
    assert 10 < mirrored < 30  # two flips of one seed would undo each other
