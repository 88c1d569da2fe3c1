"""Annotated pictures of a user as both sides are fed, each as `RetinaNetDetector` shows it to its network."""

from pathlib import Path

import numpy as np

from parity_tests.retinanet.inputs import Scene
from parity_tests.retinanet.torch_surroundings import Config
from parity_tests.rule.errors import UsageError
from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.formats import list_splits, read_annotations
from torch_retinanet.data.screening import screen
from torch_retinanet.pictures import read_picture
from torch_retinanet.preprocess import prepare
from torch_retinanet.weights import read_weights
from torch_retinanet.weights.weights_file import WeightsFile

PICTURES = 8
"""Pictures that are taken, those that come first."""


def annotated_scenes(data: Path, weights: Path, config: Config) -> list[Scene]:
    """The first pictures of annotations in any format (of their split `test`, if they have one), one in each scene.

    Args:
        data: the annotations.
        weights: the file that names the classes.
        config: conventions by which pictures are resized, normalised and padded.

    Raises:
        UsageError: for annotations that cannot be read, or that have other classes than the weights.
        FileNotFoundError: where there is no file.
    """
    annotations = annotations_for(read_weights(weights), data, weights)
    return [_scene(annotations, i, config) for i in range(min(PICTURES, len(annotations.pictures)))]


def annotations_for(
    contents: WeightsFile,
    data: Path,
    weights: Path,
    split: str | None = None,
    images: Path | None = None,
    classes: Path | None = None,
) -> Annotations:
    """Annotations of pictures in the labels of weights; of their split `test`, if they have one and no other is asked.

    Raises:
        UsageError: for annotations of other classes than the weights, or without an object of them.
    """
    split = split or ("test" if "test" in list_splits(data) else None)
    names = contents.class_names or None
    read = read_annotations(data, split=split, images=images, classes=classes, class_names=names)
    annotations = screen(read, decode=False)
    if len(annotations.classes) != contents.config.num_classes:
        count = contents.config.num_classes
        raise UsageError(f"--data: {data} has {len(annotations.classes)} classes, and {weights} has {count}")
    if not len(annotations.boxes):
        raise UsageError(f"--data: {data} has no object of the classes of {weights}")
    return annotations


def _scene(annotations: Annotations, index: int, config: Config) -> Scene:
    picture = read_picture(annotations.pictures[index], upright=not annotations.as_stored[index])
    prepared = prepare([picture], config)
    objects, (height, width) = annotations.objects(index), prepared.scales[0]
    boxes = objects.boxes[~objects.ignored] * np.array([width, height, width, height])
    return Scene(prepared.images.permute(0, 2, 3, 1).numpy(), [boxes], [objects.labels[~objects.ignored]])
