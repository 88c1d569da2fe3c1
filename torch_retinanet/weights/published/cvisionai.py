"""cvisionai's keras_retinanet, fizyr's of 2018: whole models and their weights in HDF5 files.

Its layers are fizyr's, but for P5: its 1x1 convolution is called `P5`, and there is no 3x3 one. Source:
cvisionai/keras_retinanet c28d3ef (2025-01-09), models/retinanet.py.
"""

from functools import partial

from torch_retinanet.weights.published.fizyr import fizyr_name, numbered, write
from torch_retinanet.weights.published.fizyr_config import assumed, told
from torch_retinanet.weights.published.published import DEEP, Published

ANCHORS = r"(anchors_\d/)?Variable(_\d+)?:0"
"""The anchors of a cell, which Keras since 2.3 keeps in a file with the weights."""

PYRAMID = (
    *("P5", "P5_upsampled", "C4_reduced", "P4_merged", "P4", "P4_upsampled", "C3_reduced", "P6", "P3_merged"),
    *("C6_relu", "P3", "P7"),
)
"""The layers of its pyramid, in the model's order."""


def cvisionai_name(name: str) -> str:
    """The name in its files of a tensor of ours, with numbered blocks."""
    return fizyr_name(name).replace("C5_reduced/", "P5/")


CVISIONAI = Published(
    preset="cvisionai",
    title="cvisionai's keras_retinanet",
    their_name=cvisionai_name,
    today=numbered,
    tell=told,
    assumed=assumed,
    ignored=ANCHORS,
    has_counters=False,
    suffixes=(".h5",),
    backbones=DEEP,
    write=partial(write, pyramid=PYRAMID),
)
