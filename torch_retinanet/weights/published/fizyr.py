"""fizyr's keras-retinanet: models before and after `convert_model`, snapshots of training, and `save_weights`.

Source: keras-retinanet 1.0.0 models/retinanet.py and models/resnet.py, keras-resnet 0.2.0 blocks/_2d.py.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from torch_retinanet.weights.containers.keras_layers import write_layers
from torch_retinanet.weights.keras_names import NORM_VARIABLES, place_in_block
from torch_retinanet.weights.published.fizyr_config import assumed, told
from torch_retinanet.weights.published.published import DEEP, Published
from torch_retinanet.weights.weights_file import check_numpy

SUBMODEL = "classification_submodel"
LAYERS = {"conv1", "P7", SUBMODEL}
"""The layers by which a file is known."""

BRANCHES = {"1": "2a", "2": "2b", "3": "2c", "0": "1"}
"""keras-resnet's name of a block's first, second and third convolution, and of its shortcut."""

HEADS = {"cls_head": "pyramid_classification", "box_head": "pyramid_regression"}

LETTERS = 6
"""Blocks of the third stage of ResNet-50, the one of which all blocks have letters."""

LETTERED = r"(res|bn)[25]"
"""The stages of which deeper networks have letters, too; those between have numbers (`numerical_names`)."""

STAGES = (2, 3, 4, 5)


def fizyr_name(name: str) -> str:
    """The name in fizyr's files of a tensor of ours, with numbered blocks: `res3b1_branch2a/kernel:0`."""
    layer, _, variable = name.rpartition(".")
    if layer.startswith("fpn.backbone."):
        theirs = _backbone_layer(layer.removeprefix("fpn.backbone."))
        return f"{theirs}/{NORM_VARIABLES[variable] if theirs.startswith('bn') else 'kernel'}:0"
    kind = {"weight": "kernel"}.get(variable, variable)
    if head := re.fullmatch(r"(cls_head|box_head)\.(\d+)(\.0)?", layer):
        return f"{HEADS[head[1]]}{f'_{head[2]}' if head[3] else ''}/{kind}:0"
    if lateral := re.fullmatch(r"fpn\.conv_c(\d)_1x1", layer):
        return f"C{lateral[1]}_reduced/{kind}:0"
    return re.sub(r"fpn\.conv_c(\d)_3x3", r"P\1", layer) + f"/{kind}:0"


def numbered(name: str) -> str:
    """A name of fizyr's with numbered blocks, which deeper networks have: `res3d_` becomes `res3b3_`."""
    return re.sub(r"^(res|bn)(\d)([b-z])_", lambda m: f"{m[1]}{m[2]}b{ord(m[3]) - ord('a')}_", name)


def lettered(name: str) -> str:
    """The other way round: `res3b3_` becomes `res3d_`."""
    return re.sub(r"^(res|bn)(\d)b(\d+)_", lambda m: f"{m[1]}{m[2]}{chr(ord('a') + int(m[3]))}_", name)


def write(path: Path, tensors: Mapping[str, Tensor], *, pyramid: Sequence[str] = ()) -> None:
    """Weights as `model.save_weights` of fizyr's training model writes them, for its `load_weights`.

    `pyramid` are the layers of the pyramid, where they are others.
    """
    check_numpy(str(path), tensors)
    deep = f"res4b{LETTERS}_branch2a/kernel:0" in tensors
    named = {(name if deep and not re.match(LETTERED, name) else lettered(name)): t for name, t in tensors.items()}
    write_layers(path, dict(_layers(named, pyramid or _pyramid())), named)


def _backbone_layer(layer: str) -> str:
    if layer in ("conv1", "bn1"):
        return {"conv1": "conv1", "bn1": "bn_conv1"}[layer]
    stage, block, number, kind = place_in_block(layer)
    letter = f"b{block}" if block else "a"
    return f"{'bn' if kind == 'bn' else 'res'}{stage + 1}{letter}_branch{BRANCHES[number]}"


def _layers(tensors: Mapping[str, Tensor], pyramid: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Every layer of the training model with its weights, in the model's order."""
    for layer in ("input_1", *_stem_and_stages(tensors), *pyramid):
        owned = [f"{layer}/{variable}:0" for variable in ("kernel", "bias", *NORM_VARIABLES.values())]
        yield layer, [name for name in owned if name in tensors]
    for submodel, head in (("regression_submodel", HEADS["box_head"]), (SUBMODEL, HEADS["cls_head"])):
        convolutions = [name.removesuffix("/kernel:0") for name in tensors if re.match(rf"{head}\w*/kernel", name)]
        convolutions.sort(key=lambda name: (name == head, name))
        yield submodel, [f"{name}/{variable}:0" for name in convolutions for variable in ("kernel", "bias")]
    yield from ((output, []) for output in ("regression", "classification"))


def _stem_and_stages(tensors: Mapping[str, Tensor]) -> Iterator[str]:
    yield from ("conv1", "bn_conv1", "conv1_relu", "pool1")
    firsts = [name for name in tensors if name.endswith("_branch2a/kernel:0")]
    for stage in STAGES:
        blocks = [m[1] for name in firsts if (m := re.match(rf"res({stage}\w+)_branch", name))]
        for block in sorted(blocks, key=_place):
            yield from _block(block)


def _place(block: str) -> tuple[int, int]:
    """`4a` before `4b`, and `4b2` before `4b10`."""
    return ord(block[1]), int(block[2:] or 0)


def _block(block: str) -> Iterator[str]:
    for branch in ("2a", "2b"):
        yield from (f"res{block}_branch{branch}", f"bn{block}_branch{branch}", f"res{block}_branch{branch}_relu")
        if branch == "2a":
            yield f"padding{block}_branch2b"
    first = block.endswith("a")
    yield from (f"res{block}_branch2c", *([f"res{block}_branch1"] if first else []))
    yield from (f"bn{block}_branch2c", *([f"bn{block}_branch1"] if first else []))
    yield from (f"res{block}", f"res{block}_relu")


def _pyramid() -> tuple[str, ...]:
    merged = ("C5_reduced", "P5_upsampled", "C4_reduced", "P4_merged", "P4_upsampled", "C3_reduced", "P6", "P3_merged")
    return (*merged, "C6_relu", "P3", "P4", "P5", "P7")


FIZYR = Published(
    preset="fizyr",
    title="keras-retinanet's RetinaNet (fizyr)",
    their_name=fizyr_name,
    today=numbered,
    tell=told,
    assumed=assumed,
    has_counters=False,
    suffixes=(".h5",),
    backbones=DEEP,
    write=write,
)
