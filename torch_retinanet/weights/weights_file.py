"""What a weights file holds, checked name by name and shape by shape against the model it is for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.model import RetinaNet
from torch_retinanet.weights.keras_names import COUNTER
from torch_retinanet.weights.trained_on import UNKNOWN, TrainedOn

Part = Literal["model", "backbone"]

BACKBONE = "fpn.backbone."
"""How the names of backbone tensors begin in the state dict of the whole model."""


class TensorNames(NamedTuple):
    """How the names in a file of another program and ours go together.

    Attributes:
        renamed: the file's name of a tensor by ours, where it is another.
        new: tensors of ours that the file does not have; they count batches, and nothing reads them.
        unused: what in the file the network has no place for.
    """

    renamed: Mapping[str, str] = {}
    new: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


NO_NAMES = TensorNames()
"""Of a file whose tensors have our names."""


@dataclass(frozen=True)
class WeightsFile:
    """The tensors of a whole model or of its backbone alone, by state dict name, and the config they hold for.

    `class_names` are those of the K classes, or none; `origin` says whose file it was, where another program wrote it,
    `assumed` which fields of the config it does not say, and `names` what its tensors are called there; `trained_on`
    says how the pictures were read that they learnt from.
    """

    config: RetinaNetConfig
    tensors: Mapping[str, Tensor]
    part: Part = "model"
    class_names: tuple[str, ...] = ()
    origin: str = ""
    assumed: tuple[str, ...] = ()
    trained_on: TrainedOn = UNKNOWN
    names: TensorNames = NO_NAMES

    @property
    def dtype(self) -> torch.dtype:
        """The least precision that holds every weight: of float32 norms beside float16 kernels it is float32."""
        return reduce(torch.promote_types, {t.dtype for t in self.tensors.values() if t.is_floating_point()})

    def stated(self, changes: Mapping[str, Any]) -> "WeightsFile":
        """With those of the fields of the config that its file does not say; the others are left aside.

        Raises:
            InputError: for a value that its field does not know, and anchors that the weights are not for.
        """
        said = {name: value for name, value in changes.items() if name in self.assumed}
        if not said:
            return self
        config, words = self.config.changed(**said), ", ".join(f"{name}={value}" for name, value in said.items())
        if config.anchors_per_cell != (count := self.config.anchors_per_cell):
            raise InputError(f"{words}: a cell has {config.anchors_per_cell} anchors, and the weights are for {count}")
        return replace(self, config=config, origin=f"{self.origin}; stated: {words}")

    def stated_in(self, assignments: Iterable[str]) -> "WeightsFile":
        """The same of conventions that are written as on a command line: `bn_eps=0`."""
        stated, config = [text for text in assignments if text.partition("=")[0] in self.assumed], self.config
        for text in stated:
            config = config.with_convention(text)
        return self.stated({(name := text.partition("=")[0]): getattr(config, name) for text in stated})


WRAPPERS = ("_orig_mod", "module", "_checkpoint_wrapped_module")
"""What torch.compile, DataParallel and activation checkpointing put into the names of a state dict."""


PARAMETRIZED = ".parametrizations."
"""What is in the names of tensors of which others are computed."""


def plain_name(name: str) -> str:
    """The name of a tensor before the part that it is in was wrapped."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def plain_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of a network by the names that it has before parts of it are wrapped.

    A frozen BatchNorm has no counter of batches: it gets one of zero, which serves a cumulative average alone. Of a
    tensor that is computed of others, as with weight normalisation, it has what is computed.
    """
    state = {name: tensor for name, tensor in model.state_dict().items() if PARAMETRIZED not in name}
    tensors = {plain_name(name): tensor for name, tensor in (state | _computed(model)).items()}
    norms = [name.removesuffix("running_var") for name in tensors if name.endswith("running_var")]
    return {f"{norm}{COUNTER}": torch.zeros((), dtype=torch.int64) for norm in norms} | tensors


def _computed(model: nn.Module) -> dict[str, Tensor]:
    """Tensors that `torch.nn.utils.parametrize` computes of others, by the names that they had before."""
    return {
        f"{path}.{name}": getattr(module, name).detach()
        for path, module in model.named_modules()
        if is_parametrized(module)
        for name in cast("nn.ModuleDict", module.parametrizations)
    }


def expected_shapes(config: RetinaNetConfig, part: Part = "model") -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor in the state dict of a model, or of its backbone alone; `()` for a counter."""
    start = BACKBONE if part == "backbone" else ""
    return {name.removeprefix(start): shape for name, shape in _shapes(config).items() if name.startswith(start)}


@lru_cache(maxsize=128)
def _shapes(config: RetinaNetConfig) -> Mapping[str, tuple[int, ...]]:
    """Of the whole model: to build one takes a while even without values, and conventions are asked for by dozens."""
    with torch.device("meta"):
        return {name: tuple(value.shape) for name, value in RetinaNet(config).state_dict().items()}


def check_contents(contents: WeightsFile) -> None:
    """Refuse tensors that are not those of the config.

    Raises:
        InputError: naming the first tensor that is wrong.
    """
    found = {name: tuple(tensor.shape) for name, tensor in contents.tensors.items()}
    check_shapes("contents", found, expected_shapes(contents.config, contents.part))


def check_floating(source: str, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are no floating numbers, or of 8 bits, with which torch has no convolution; not counters.

    Raises:
        InputError: naming the first tensor that is wrong.
    """
    for name, tensor in tensors.items():
        if not (tensor.is_floating_point() and tensor.itemsize > 1) and not name.endswith(COUNTER):
            raise InputError(
                f"{source}: tensor {name} has dtype {tensor.dtype}, and must be floating of 16 bits or more"
            )


def check_finite(source: str, contents: WeightsFile) -> None:
    """Refuse weights with NaN or infinity, which no picture shows where they are.

    Raises:
        InputError: naming the first tensor that has one, as the file does.
    """
    for name, tensor in contents.tensors.items():
        if tensor.is_floating_point() and not (finite := torch.isfinite(tensor)).all():
            called, found = contents.names.renamed.get(name, name), tensor[~finite]
            said = f"tensor {called} has {len(found)} values that are not finite, as {found[0].item()}"
            raise InputError(f"{source}: {said}; take weights from before the training that diverged")


def check_numpy(source: str, tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors in a precision that numpy, hence Keras, does not have.

    Raises:
        InputError: naming the first tensor that is wrong.
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in (torch.float16, torch.float32, torch.float64):
            raise InputError(
                f"{source}: tensor {name} has dtype {tensor.dtype}, and must be float16, float32 or float64"
            )


def check_shapes(source: str, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse what lacks a tensor, has one too many, or one in another shape.

    Raises:
        InputError: naming the first tensor that is wrong.
    """
    for name, shape in expected.items():
        if name not in found:
            raise InputError(f"{source}: tensor {name} is missing, of {len(expected)} that the model has")
        if found[name] != shape:
            raise InputError(f"{source}: tensor {name} has shape {found[name]}, and the model has {shape}")
    for name in found:
        if name not in expected:
            raise InputError(f"{source}: tensor {name} is none of the {len(expected)} that the model has")
