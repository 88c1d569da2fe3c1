"""Weights in files: the project's own safetensors, those of the Keras reference and of published RetinaNets.

What a file is, is told by what is in it; what is written, by its suffix or by the format that is asked for.

No file can run code: `.pth` files are read with `weights_only=True`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from torch_retinanet.backbone import BackboneWeights
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.errors import InputError
from torch_retinanet.model import RetinaNet
from torch_retinanet.unfilled import unfilled
from torch_retinanet.weights.containers.keras_cv_files import is_keras_cv, read_keras_cv
from torch_retinanet.weights.containers.keras_hub_files import is_keras_hub, read_keras_hub
from torch_retinanet.weights.containers.keras_layers import layer_names, read_layers
from torch_retinanet.weights.containers.kind import IN_PARTS, INDEX, kind_of, why_unknown
from torch_retinanet.weights.containers.numpy_pickle import read_numpy_pickle
from torch_retinanet.weights.containers.state_dict import read_foreign_safetensors, read_torch
from torch_retinanet.weights.containers.tf_checkpoint import is_tf_checkpoint, read_tf_checkpoint
from torch_retinanet.weights.dialect import as_dialect
from torch_retinanet.weights.hub import check_described, download
from torch_retinanet.weights.keras_applications import read_keras_applications
from torch_retinanet.weights.keras_file import KERAS_PRESETS, is_keras_reference, read_keras, write_keras
from torch_retinanet.weights.published import names, published_of, read_published
from torch_retinanet.weights.published.fizyr import LAYERS
from torch_retinanet.weights.published.torchvision import COCO_NAMES, download_coco
from torch_retinanet.weights.safetensors_file import is_ours, read_safetensors, write_safetensors
from torch_retinanet.weights.weights_file import (
    WeightsFile,
    check_contents,
    check_finite,
    plain_name,
    plain_tensors,
)

RUN_FILE = "model.safetensors"
"""The weights within the folder of a training run."""

WRITERS: dict[str, Callable[[Path, WeightsFile], None]] = {
    ".safetensors": write_safetensors,
    ".keras": write_keras,
    ".weights.h5": write_keras,
}
"""What writes a file with each suffix."""


def read_weights(path: str | Path, *, preset: str | None = None) -> WeightsFile:
    """What a weights file holds.

    Args:
        path: `.safetensors`; of Keras `.keras`, `.weights.h5`, or an ImageNet `.h5` of `keras.applications`; a file
            of another published RetinaNet, which its names tell; the folder of a training run, or of a preset of
            KerasHub or KerasCV; a TensorFlow checkpoint by its prefix, its index or its folder.
        preset: the preset that it must hold. A `.weights.h5` does not say its own, and is by default taken for
            `notebook`.

    Raises:
        InputError: for another suffix or preset, a file that is not whole or of another model, and weights that are
            not finite.
        FileNotFoundError: where there is no file.
    """
    contents = _found(Path(path), preset)
    check_finite(str(path), contents)
    return contents


def _found(folder: Path, preset: str | None) -> WeightsFile:
    """What a file or folder holds, whatever the values."""
    if folder.is_dir() and not (folder / RUN_FILE).is_file() and is_keras_cv(folder):
        return read_published(read_keras_cv(folder), preset=preset)
    if folder.is_dir() and not (folder / RUN_FILE).is_file() and is_keras_hub(folder):
        return read_published(read_keras_hub(folder), preset=preset)
    if not (folder / RUN_FILE).is_file() and is_tf_checkpoint(folder):
        return read_published(read_tf_checkpoint(folder), preset=preset)
    path = folder / RUN_FILE if folder.is_dir() else folder
    wanted = None if preset is None else RetinaNetConfig.preset(preset)
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: {_absent(folder)}")
    contents = _read(path, preset)
    if contents.origin:  # whose preset its names say
        return contents
    if folder.is_dir():
        check_described(folder, contents)
    if wanted is not None and contents.config.differences(wanted, acts_on="result"):
        raise InputError(f"{path}: holds preset {contents.config.name}, not {preset}")
    return contents


def find_weights(
    name: str | Path,
    *,
    preset: str | None = None,
    **hub: Any,
) -> WeightsFile:
    """What `read_weights` reads, a repository `owner/name` of the Hugging Face Hub, or `COCO_V1` of torchvision.

    Args:
        name: of them.
        preset: as for `read_weights`.
        hub: what `download` takes of a repository.

    Errors are those of `read_weights`, of `download`, and of `download_coco`.
    """
    if str(name) not in COCO_NAMES:
        return read_weights(download(name, **hub), preset=preset)
    if preset not in (None, "torchvision"):
        raise InputError(f"{name}: holds preset torchvision, not {preset}")
    return download_coco(str(name))


def _absent(path: Path) -> str:
    """What to say of a path where no weights are."""
    if path.is_dir() and any(path.glob(f"*{INDEX}")):
        return f"is a folder of {IN_PARTS}"
    if path.is_dir():
        return f"is a folder without {RUN_FILE}, a preset of KerasHub or KerasCV, or a checkpoint; name a file in it"
    return "is neither a file nor a folder" if path.exists() else "there is no such file"


def _read(path: Path, preset: str | None) -> WeightsFile:
    kind = kind_of(path)
    if kind == "safetensors":
        return (
            read_safetensors(path) if is_ours(path) else read_published(read_foreign_safetensors(path), preset=preset)
        )
    if kind == "hdf5":
        return _read_hdf5(path, preset)
    if kind == "keras":
        return _read_archive(path, preset)
    if kind == "torch":
        return read_published(read_torch(path), preset=preset)
    if kind == "pickle":
        return read_published(read_numpy_pickle(path), preset=preset)
    raise InputError(f"{path}: {why_unknown(path)}")


def _read_archive(path: Path, preset: str | None) -> WeightsFile:
    """A model that Keras 3 saved whole: whose it is, its config says."""
    for is_its, read in ((is_keras_cv, read_keras_cv), (is_keras_hub, read_keras_hub)):
        if is_its(path):
            return read_published(read(path), preset=preset)
    return read_keras(path, preset)


def _read_hdf5(path: Path, preset: str | None) -> WeightsFile:
    """A file of Keras: whose it is, its layers say."""
    if set(layer_names(path)) >= LAYERS:
        return read_published(read_layers(path), preset=preset)
    if is_keras_cv(path):
        return read_published(read_keras_cv(path), preset=preset)
    if is_keras_hub(path):
        return read_published(read_keras_hub(path), preset=preset)
    if is_keras_reference(path) or (path.name.endswith(".weights.h5") and not layer_names(path)):
        return read_keras(path, preset)
    backbone = read_keras_applications(path)
    return WeightsFile(backbone.config, backbone.tensors, "backbone")


def write_weights(path: str | Path, contents: WeightsFile, *, to: str | None = None) -> WeightsFile:
    """A weights file in the format that its suffix names, written beside and renamed; gives what was written.

    Args:
        path: the file.
        contents: its weights.
        to: the preset of a published RetinaNet, in whose conventions and own format it is written; of a Keras
            reference, in the format of the suffix.

    Raises:
        InputError: for another suffix, or contents that the format cannot hold.
    """
    path = Path(path)
    check_contents(contents)
    if to in KERAS_PRESETS and (to not in names() or path.name.endswith(tuple(WRITERS))):
        contents = as_dialect(contents, RetinaNetConfig.preset(to))
    elif to is not None:
        return published_of(to).write_file(path, contents)
    for suffix, write in WRITERS.items():
        if path.name.endswith(suffix):
            write(path, contents)
            return contents
    raise InputError(f"{path}: suffix must be one of {', '.join(WRITERS)}, or the format of a preset be named")


def load_model(path: str | Path, *, preset: str | None = None) -> RetinaNet:
    """The model that a weights file holds, in its precision and in evaluation mode.

    Arguments and errors are those of `read_weights`.
    """
    contents = read_weights(path, preset=preset)
    with unfilled(contents.config):
        model = RetinaNet(contents.config).to(contents.dtype)
    _load(model, path, contents)
    return model.eval()


class LoadedWeights(NamedTuple):
    """What of a file a model took over, by state dict names.

    Attributes:
        loaded: tensors that the model now has.
        missing: those of the model that the file lacks, or has in another shape; they stay as they were.
        unused: those of the file that the model has no place for.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]


def load_weights(model: nn.Module, path: str | Path, *, strict: bool = True) -> LoadedWeights:
    """Load a weights file into `model`, and say what was taken over.

    Args:
        model: a `RetinaNet`, or a detector for that in it; it must have the file's conventions but those that act on
            training alone.
        path: the file.
        strict: whether every tensor must fit. Otherwise those that fit are loaded, whatever the conventions of the
            file, as for another number of classes.

    Raises:
        InputError: for a file of another preset or number of classes where `strict`, and as `read_weights` does.
    """
    contents, model = read_weights(path), network_of(model)
    if strict:
        _load(model, path, contents)
        return LoadedWeights(tuple(contents.tensors), (), ())
    own = {plain_name(name): (name, tensor.shape) for name, tensor in model.state_dict().items()}
    fit = [name for name, tensor in contents.tensors.items() if name in own and own[name][1] == tensor.shape]
    model.load_state_dict({own[name][0]: contents.tensors[name] for name in fit}, strict=False)
    left = tuple(name for name in contents.tensors if name not in fit)
    return LoadedWeights(tuple(fit), tuple(name for name in own if name not in fit), left)


def save_weights(model: nn.Module, path: str | Path) -> None:
    """Write the weights of `model`, compiled, wrapped or with frozen BatchNorm, in the format that `path` names.

    Errors are those of `write_weights`.
    """
    original = network_of(model)
    write_weights(path, WeightsFile(original.config, plain_tensors(original)))


def network_of(model: nn.Module) -> RetinaNet:
    """The network in a detector, or in what `torch.compile` wraps; or `model` itself.

    Raises:
        InputError: for what holds no RetinaNet.
    """
    original = getattr(model, "_orig_mod", model)
    network = original if isinstance(original, RetinaNet) else getattr(original, "model", None)
    network = getattr(network, "_orig_mod", network)
    if not isinstance(network, RetinaNet):
        raise InputError(f"model: {type(model).__name__} must be a RetinaNet or a detector")
    return network


def read_backbone(path: str | Path) -> BackboneWeights:
    """Backbone weights for `RetinaNet(config, backbone_weights=...)`.

    Args:
        path: an ImageNet `.h5` of `keras.applications`, or the `.safetensors` it was converted to.

    Raises:
        InputError: for a file that holds a whole model, and as `read_weights` does.
    """
    contents = read_weights(path)
    if contents.part != "backbone":
        raise InputError(f"{path}: holds a whole model, and load_model reads it")
    return BackboneWeights(str(path), contents.config, contents.tensors)


def _load(model: RetinaNet, path: str | Path, contents: WeightsFile) -> None:
    if contents.part != "model":
        raise InputError(f"{path}: holds a backbone alone, and RetinaNet(config, backbone_weights=...) takes it")
    if contents.config.differences(model.config, acts_on="result"):
        raise InputError(f"{path}: holds preset {contents.config.name}, and the model is preset {model.config.name}")
    if contents.config.num_classes != model.config.num_classes:
        have, need = contents.config.num_classes, model.config.num_classes
        raise InputError(f"{path}: holds {have} classes, and the model has num_classes={need}")
    own = {plain_name(name): name for name in model.state_dict()}
    model.load_state_dict({own[name]: tensor for name, tensor in contents.tensors.items() if name in own})
