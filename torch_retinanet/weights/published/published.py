"""What is known of the files of a published RetinaNet: whose conventions they hold for, and its names."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.config.backbones import RESNETS
from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.weights.containers.state_dict import write_torch
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.dialect import as_dialect
from torch_retinanet.weights.keras_names import COUNTER
from torch_retinanet.weights.weights_file import (
    TensorNames,
    WeightsFile,
    check_floating,
    check_shapes,
    expected_shapes,
)

Write = Callable[[Path, Any], None]
"""Writes tensors by the names of a published RetinaNet, or a table that holds them, in its own container."""

PROBES = (
    *("fpn.backbone.conv1.weight", "fpn.backbone.layer1.0.conv1.weight", "fpn.backbone.layer2.0.downsample.0.weight"),
    *("fpn.conv_c3_1x1.weight", "fpn.conv_c5_1x1.bias", "fpn.conv_c3_3x3.weight", "fpn.conv_c6_3x3.weight"),
    *("cls_head.0.0.weight", "box_head.3.0.weight", "cls_head.4.bias", "box_head.4.weight"),
)
"""Tensors that every RetinaNet has, by our names: by how many of them a file has, it is told whose it is."""

NORM = "cls_head.0.1.weight"
"""A tensor of the normalisation in heads, which some have."""

BACKBONES: dict[tuple[int, tuple[int, ...] | None], str] = {
    **{(2, None): "resnet18", (6, None): "resnet34"},
    **{(6, (64, 64)): "resnet50", (23, (64, 64)): "resnet101", (36, (64, 64)): "resnet152"},
    **{(6, (128, 4)): "resnext50_32x4d", (23, (256, 8)): "resnext101_32x8d", (23, (256, 4)): "resnext101_64x4d"},
    **{(6, (128, 128)): "wide_resnet50_2", (23, (128, 128)): "wide_resnet101_2"},
}
"""A ResNet by the blocks of its third stage, and the channels of a 3x3 kernel where blocks have three convolutions."""


DEEP = ("resnet50", "resnet101", "resnet152")
"""The residual networks whose blocks have three convolutions, which some programs have alone."""


ANCHORS = ("anchor_scale", "anchor_sizes", "anchor_scales", "anchor_ratios")
"""The fields of a config that say how large anchors are."""


class Assumption(NamedTuple):
    """What is assumed of a file that does not say it.

    Attributes:
        fields: those of the config that are assumed, which whoever knows better may state.
        words: what to say of it, in the sentence that says whose the file is.
    """

    fields: tuple[str, ...]
    words: str


def no_change(name: str) -> str:
    """Names that are today what they always were."""
    return name


def names_in_file(found: TensorFile) -> Sequence[str]:
    """The names of classes, where the container has a place for them."""
    return found.class_names


def tensors_alone(tensors: Mapping[str, Tensor], contents: WeightsFile) -> Any:
    """A file that holds tensors and nothing beside them."""
    return dict(tensors)


def unmarked(found: TensorFile) -> bool:
    """A file that says of nothing but its tensors whose it is."""
    return False


def as_it_is(name: str, tensor: Tensor) -> Tensor:
    """A tensor whose numbers stand in their order as in ours."""
    return tensor


def nothing_told(found: TensorFile, config: RetinaNetConfig) -> dict[str, Any]:
    """Fields that a file does not tell."""
    return {}


def nothing_assumed(found: TensorFile, config: RetinaNetConfig) -> tuple[Assumption, ...]:
    """Files that say all that the config has."""
    return ()


def nothing_else(found: TensorFile) -> str:
    """A file in which all that is said is done so."""
    return ""


def nothing_said(config: RetinaNetConfig) -> dict[str, Any]:
    """Fields that a file has no place for."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Published:
    """The files of one published RetinaNet.

    Attributes:
        preset: the conventions that its files hold for, by the name of their preset.
        title: whose it is, for sentences.
        their_name: its name of a tensor of ours.
        reordered: the numbers of a tensor of ours in their order, and theirs in ours.
        today: the name that a tensor of an older version has today.
        tell: fields of the config that a file tells, other than sizes.
        class_names: the names of classes that a file says.
        is_marked: whether what a file says beside its tensors shows that it is one of these, of several with the same
            names of tensors.
        assumed: what a file does not say, once its config is known.
        differs: what a file says and is done otherwise here, as the end of the sentence that says whose it is.
        ignored: names, as a regular expression, of what is in a file beside weights.
        has_counters: whether its files count the batches of BatchNorm.
        suffixes: of its files, the usual one first.
        backbones: that its program has.
        is_folder: whether they are folders with several files.
        holds_names: whether what is written has a place for the names of classes.
        says: fields of a config that its files say otherwise than the preset has them.
        held: what its files hold: tensors by its names, or a table in which they lie.
        write: writes that.
    """

    preset: str
    title: str
    their_name: Callable[[str], str]
    reordered: Callable[[str, Tensor], Tensor] = as_it_is
    today: Callable[[str], str] = no_change
    tell: Callable[[TensorFile, RetinaNetConfig], dict[str, Any]] = nothing_told
    class_names: Callable[[TensorFile], Sequence[str]] = names_in_file
    is_marked: Callable[[TensorFile], bool] = unmarked
    assumed: Callable[[TensorFile, RetinaNetConfig], tuple[Assumption, ...]] = nothing_assumed
    differs: Callable[[TensorFile], str] = nothing_else
    ignored: str = r"(?!)"
    has_counters: bool = True
    suffixes: tuple[str, ...] = (".pth", ".pt", ".bin")
    backbones: tuple[str, ...] = RESNETS
    is_folder: bool = False
    holds_names: bool = False
    says: Callable[[RetinaNetConfig], dict[str, Any]] = nothing_said
    held: Callable[[Mapping[str, Tensor], WeightsFile], Any] = tensors_alone
    write: Write = write_torch

    def likeness(self, found: TensorFile) -> int:
        """How many of the tensors that tell RetinaNets apart are in a file; one more where it says whose it is."""
        return self.names_alike(found) + self.is_marked(found)

    def names_alike(self, found: TensorFile) -> int:
        """How many of these tensors are in a file."""
        today = {self.today(name) for name in found.tensors}
        has_norm = RetinaNetConfig.preset(self.preset).head_norm != "none"
        return sum(self.their_name(probe) in today for probe in PROBES) + ((self.their_name(NORM) in today) == has_norm)

    def read(self, found: TensorFile) -> WeightsFile:
        """The weights by our names, with the config that they hold for.

        Raises:
            InputError: naming the first tensor that does not fit.
        """
        named = {self.today(name): tensor for name, tensor in found.tensors.items()}
        named = {name: tensor for name, tensor in named.items() if self._is_weight(name)}
        config = self._config(found, named)
        expected = expected_shapes(config)
        shapes = {self.their_name(name): shape for name, shape in expected.items() if not name.endswith(COUNTER)}
        looks = f"{found.source}: looks like {self.title}"
        check_shapes(looks, {name: tuple(tensor.shape) for name, tensor in named.items()}, shapes)
        check_floating(found.source, named)
        counted = {n: _no_count() for n in expected if n.endswith(COUNTER)}
        tensors = {n: counted[n] if n in counted else self.reordered(n, named[self.their_name(n)]) for n in expected}
        classes = tuple(self.class_names(found))
        classes = classes if len(classes) == config.num_classes else ()
        names = self._names(found, expected)
        assumed = self.assumed(found, config)
        return WeightsFile(
            config,
            tensors,
            class_names=classes,
            origin=self._origin(found, config, assumed),
            assumed=tuple(field for assumption in assumed for field in assumption.fields),
            names=names,
        )

    def _names(self, found: TensorFile, expected: Collection[str]) -> TensorNames:
        """How the names in a file and ours go together."""
        in_file = {self.today(name): found.wrapped.get(name, name) for name in found.tensors}
        read = [name for name in expected if not name.endswith(COUNTER)]
        there = {name: in_file.pop(self.their_name(name)) for name in read}
        renamed = {name: theirs for name, theirs in there.items() if name != theirs}
        unused = (*in_file.values(), *found.beside)
        return TensorNames(renamed, tuple(n for n in expected if n.endswith(COUNTER)), unused)

    def _config(self, found: TensorFile, named: Mapping[str, Tensor]) -> RetinaNetConfig:
        """The conventions and sizes of a file; a refusal names the file."""
        config = RetinaNetConfig.preset(self.preset)
        told = self.tell(found, config)
        try:
            config = config.changed(**told)
            return config.changed(**self._sizes(found.source, named, config))
        except InputError as error:
            said = str(error)
            raise InputError(said if said.startswith(found.source) else f"{found.source}: {said}") from None

    def write_file(self, path: Path, contents: WeightsFile) -> WeightsFile:
        """Write a file as the published program does, which then reads it as its own; gives what was written.

        Weights in other conventions are brought into those of the program, where the function can be kept.

        Raises:
            InputError: for a backbone alone, another suffix, a backbone that the program does not have, and for the
                conventions that stand in the way.
        """
        if contents.part != "model":
            raise InputError(f"{path}: a file of {self.title} holds a whole model, and the source a {contents.part}")
        if contents.config.backbone not in self.backbones:
            has = ", ".join(self.backbones)
            raise InputError(f"{path}: {self.title} has no backbone {contents.config.backbone!r}; it has {has}")
        if not self.is_folder and not path.name.endswith(self.suffixes):
            raise InputError(f"{path}: suffix must be {' or '.join(self.suffixes)} for a file of {self.title}")
        contents = as_dialect(contents, RetinaNetConfig.preset(self.preset, **self.says(contents.config)))
        kept = {n: tensor for n, tensor in contents.tensors.items() if self.has_counters or not n.endswith(COUNTER)}
        reordered = {name: self.reordered(name, tensor.detach().cpu()) for name, tensor in kept.items()}
        theirs = {self.their_name(name): tensor.contiguous() for name, tensor in reordered.items()}
        if self.is_folder:
            self._write_folder(path, theirs)
            return contents
        with atomic_write(path) as beside:
            self.write(beside, self.held(theirs, contents))
        return contents

    def _write_folder(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        if path.exists() and not path.is_dir():
            raise InputError(f"{path}: is a file, and {self.title} is written to a folder")
        path.mkdir(parents=True, exist_ok=True)
        self.write(path, tensors)

    def first_foreign(self, found: TensorFile) -> str:
        """The first name in a file that is none of its RetinaNet's; empty where all are."""
        ours = [n for n in expected_shapes(RetinaNetConfig.preset(self.preset)) if not n.endswith(COUNTER)]
        known = {self.their_name(name) for name in ours}
        weights = (name for name in found.tensors if self._is_weight(self.today(name)))
        return next((name for name in weights if self.today(name) not in known), "")

    def _is_weight(self, name: str) -> bool:
        """Whether a tensor is neither a counter nor what a file has beside weights."""
        return not name.endswith(COUNTER) and not re.fullmatch(self.ignored, name)

    def _origin(self, found: TensorFile, config: RetinaNetConfig, assumed: Sequence[Assumption]) -> str:
        said = "".join(f"; {assumption.words}" for assumption in assumed)
        return f"holds {self.title}, taken for preset {config.name}{said}{self.differs(found)}{_left_aside(found)}"

    def _sizes(self, source: str, named: Mapping[str, Tensor], config: RetinaNetConfig) -> dict[str, Any]:
        """The sizes of a network by the shapes of its tensors."""

        def shape(name: str) -> tuple[int, ...]:
            theirs = self.their_name(name)
            if theirs not in named:
                raise InputError(f"{source}: looks like {self.title}, and has no tensor {theirs}")
            return tuple(named[theirs].shape) or (1,)  # of a single number, which is then refused by its shape

        depth = self._count(named, "cls_head.{}.0.weight")
        return {
            "num_classes": max(1, shape(f"cls_head.{depth}.weight")[0] // config.anchors_per_cell),
            "width": shape("fpn.conv_c3_1x1.weight")[0],
            "head_depth": depth,
            "backbone": self._backbone(source, named, shape("fpn.backbone.layer1.0.conv2.weight")),
        }

    def _backbone(self, source: str, named: Mapping[str, Tensor], conv2: tuple[int, ...]) -> str:
        has_three = self.their_name("fpn.backbone.layer1.0.conv3.weight") in named
        key = self._count(named, "fpn.backbone.layer3.{}.conv1.weight"), conv2[:2] if has_three else None
        if key not in BACKBONES:
            raise InputError(f"{source}: its backbone is none of {', '.join(BACKBONES.values())}")
        return BACKBONES[key]

    def _count(self, named: Mapping[str, Tensor], name: str) -> int:
        """How many tensors of numbered names there are, from 0 on."""
        i = 0
        while self.their_name(name.format(i)) in named:
            i += 1
        return i


def _left_aside(found: TensorFile) -> str:
    """What was read of a file that holds more, what was not, and how other tables of it can be."""
    said = ""
    if found.beside:
        count, first = len(found.beside), found.beside[0]
        said += f"; what lies in {found.module[:-1]} was read, and {count} other tensors were not, such as {first}"
    if found.other:
        others = ", ".join(".".join(place) for place in found.other)
        keys = "".join(f"[{name!r}]" for name in found.other[0])
        said += (
            f"; {'.'.join(found.table)} in it was read, and {others} was left aside; "
            f"torch.save(torch.load(FILE){keys}, OTHER) makes a file of that"
        )
    return said


def _no_count() -> Tensor:
    """The counter of a BatchNorm, which nothing reads; each its own, as files of safetensors want it."""
    return torch.zeros((), dtype=torch.int64)
