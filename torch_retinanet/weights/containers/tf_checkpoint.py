"""TensorFlow checkpoints: `PREFIX.index` lists tensors, `PREFIX.data-00000-of-00001` and so on hold them.

They are read and written with tensorflow, which is imported where there is one and not before. Names are the places of
variables in the tree of objects that was saved. Source: tensorflow/core/util/tensor_bundle, python/checkpoint.
"""

import glob
import importlib
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.keras_names import to_keras, to_torch

INDEX, SHARD = ".index", re.compile(r"\.data-\d{5}-of-\d{5}$")
"""How the names of its files end."""

LATEST = "checkpoint"
"""The file in a folder that names the latest checkpoint in it."""

WRITTEN = "weights"
"""The prefix of what is written into a folder."""

VALUE, GRAPH = "/.ATTRIBUTES/VARIABLE_VALUE", "_CHECKPOINTABLE_OBJECT_GRAPH"
"""What follows the place of a variable, and the tree of objects itself."""

BESIDE = re.compile(rf"{GRAPH}|(.*/)?(\.OPTIMIZER_SLOT|optimizer)/.*|(.*/)?(save_counter|global_step){VALUE}")
"""What is in a checkpoint beside weights."""

NUMBERED = "layer_with_weights-"
"""What Keras 2 calls the layers of a functional or sequential model that have weights, by their number."""

OPERATION = re.compile(r"(.*/)_operations/(\d+)/")
"""A layer of a model as Keras 3 numbers it."""

LARGEST_LATEST = 2**20
"""Bytes of a file that names the latest checkpoint; some 100 are used."""


def is_tf_checkpoint(path: Path) -> bool:
    """Whether a path is a checkpoint's prefix, one of its files, or a folder with one."""
    return (path / LATEST).is_file() or _index(path) is not None


def read_tf_checkpoint(path: Path) -> TensorFile:
    """All weights of a checkpoint; settings are the `full_names` of variables, where their layers have names.

    Raises:
        InputError: where tensorflow is not installed, and for a checkpoint that is not whole.
    """
    index = _index(path)
    if index is None:
        raise InputError(f"{path}: the checkpoint that its folder names is not in it")
    tensorflow, prefix = _tensorflow(path), index.with_suffix("")
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        names = {key: key.removesuffix(VALUE) for key in sorted(shapes) if not BESIDE.fullmatch(key)}
        _check_size(path, prefix, sum(math.prod(shapes[key]) * max(1, types[key].size) for key in names))
        found = {name: _tensor(path, name, reader.get_tensor(key)) for key, name in names.items()}
        full_names = _full_names(tensorflow, reader.get_tensor(GRAPH)) if GRAPH in shapes else {}
    except InputError:
        raise
    except Exception as error:  # whatever the reader raises of a damaged file
        raise InputError(f"{path}: not a whole TensorFlow checkpoint ({type(error).__name__})") from None
    ranked = _ranked(names.values())
    tensors = {ranked[name]: tensor for name, tensor in found.items()}
    full_names = {ranked[name]: full for name, full in full_names.items() if name in ranked}
    return TensorFile(str(path), tensors, path, settings={"full_names": full_names})


def write_tf_checkpoint(folder: Path, tensors: Mapping[str, Tensor], full_names: Mapping[str, str]) -> None:
    """A checkpoint in a folder, with the file that names it the latest; variables by their places in the tree.

    Raises:
        InputError: where tensorflow is not installed.
    """
    tensorflow = _tensorflow(folder)
    root = tensorflow.Module()
    for name, tensor in tensors.items():
        *parents, last = name.split("/")
        owner = root
        for parent in parents:
            if not hasattr(owner, parent):
                setattr(owner, parent, tensorflow.Module())
            owner = getattr(owner, parent)
        setattr(owner, last, tensorflow.Variable(to_keras(tensor).numpy(), name=full_names[name]))
    with ExitStack() as index_last:
        index = index_last.enter_context(atomic_write(folder / f"{WRITTEN}{INDEX}"))
        tensorflow.train.Checkpoint(root).write(str(index.with_suffix("")))
        for shard in index.parent.glob(f"{WRITTEN}.data-*"):
            with atomic_write(folder / shard.name) as beside:
                shard.replace(beside)
    with atomic_write(folder / LATEST) as beside:
        beside.write_text(f'model_checkpoint_path: "{WRITTEN}"\nall_model_checkpoint_paths: "{WRITTEN}"\n')


def check_layers(found: TensorFile, owner: str, layers: Sequence[str]) -> None:
    """Refuse a checkpoint in which layers of a model, where they have names, are not in their order.

    Args:
        found: what `read_tf_checkpoint` found.
        owner: the place of the model in the tree of objects, as a regular expression.
        layers: what its layers that have weights are called, by their numbers.

    Raises:
        InputError: naming the first layer that is another: positions alone could mix up two of one shape.
    """
    for name, full_name in found.settings.get("full_names", {}).items():
        place = re.fullmatch(rf"{owner}/{NUMBERED}(?P<number>\d+)/\w+", name)
        layer = full_name.rpartition("/")[0].rpartition("/")[2]
        if place and layer in layers and layer != layers[int(place["number"])]:
            raise InputError(
                f"{found.source}: {name} is of layer {layer}, and {layers[int(place['number'])]} must be there"
            )


def _index(path: Path) -> Path | None:
    """The index file of a checkpoint; where a folder has several, of the one that it names the latest."""
    if path.is_dir():
        return _index_in(path)
    if path.is_file() and path.suffix == INDEX:
        return path
    prefix = path.with_name(SHARD.sub("", path.name)) if path.is_file() else path
    index = prefix.with_name(prefix.name + INDEX)
    return index if index.is_file() and (prefix != path or not path.exists()) else None


def _index_in(folder: Path) -> Path | None:
    latest, present = folder / LATEST, sorted(folder.glob(f"*{INDEX}"))
    if not latest.is_file() or latest.stat().st_size > LARGEST_LATEST:
        return present[0] if len(present) == 1 else None
    said = re.search(r'^model_checkpoint_path:\s*"([^"]+)"', latest.read_text(errors="replace"), re.MULTILINE)
    named = folder / f"{PurePosixPath(said[1]).name}{INDEX}" if said else None  # where it was saved may be elsewhere
    return named if named in present else None


def _tensorflow(path: Path) -> Any:
    try:
        with _quietly():
            return importlib.import_module("tensorflow")
    except ImportError:
        said = "is a TensorFlow checkpoint, which needs tensorflow; install it with: pip install tensorflow"
        raise InputError(f"{path}: {said}") from None


@contextmanager
def _quietly() -> Iterator[None]:
    """Nothing on standard error for a while: libraries of TensorFlow write there as they load."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_size(path: Path, prefix: Path, claimed: int) -> None:
    """Refuse an index that claims more than its shards can hold, before memory is taken for it."""
    held = sum(shard.stat().st_size for shard in prefix.parent.glob(f"{glob.escape(prefix.name)}.data-*"))
    if claimed > held:
        raise InputError(f"{path}: its index lists {claimed} bytes of tensors, and its shards have {held}")


def _tensor(path: Path, name: str, value: Any) -> Tensor:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise InputError(f"{path}: {name} has dtype {array.dtype}, and must be floating")
    return to_torch(torch.from_numpy(np.array(array)))


def _full_names(tensorflow: Any, graph: bytes) -> dict[str, str]:
    """By the place of a variable the name that its layer gave it: `conv1_conv/kernel`."""
    room = importlib.import_module(f"{tensorflow.__name__}.core.protobuf.trackable_object_graph_pb2")
    values = [value for node in room.TrackableObjectGraph.FromString(graph).nodes for value in node.attributes]
    return {value.checkpoint_key.removesuffix(VALUE): value.full_name for value in values}


def _ranked(names: Iterable[str]) -> dict[str, str]:
    """Names as Keras 2 has them, which numbers the layers that have weights; Keras 3 numbers all layers of a model."""
    plain = {name: re.sub(r"(?<=/)_(functional/|(?=kernel$))", "", name) for name in names}
    found = {match for name in plain.values() if (match := OPERATION.match(name))}
    owners = {match[1]: sorted({int(other[2]) for other in found if other[1] == match[1]}) for match in found}

    def placed(match: re.Match[str]) -> str:
        return f"{match[1]}{NUMBERED}{owners[match[1]].index(int(match[2]))}/"

    return {name: OPERATION.sub(placed, changed) for name, changed in plain.items()}
