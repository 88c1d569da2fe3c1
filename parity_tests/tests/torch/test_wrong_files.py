"""Files that are damaged, of another model or of another program: one sentence each, and nothing half written."""

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from torch_retinanet import (
    InputError,
    cli,
    load_model,
    read_backbone,
)
from torch_retinanet.weights import read_weights
from torch_retinanet.weights.safetensors_file import write_safetensors
from torch_retinanet.weights.weights_file import WeightsFile

FIZYR = r"holds a model of keras-retinanet \(fizyr\)"


def of_keras_2(layers: dict[str, tuple[int, ...]], *, whole: bool = False) -> Callable[[Path, Path], None]:
    """A file as Keras 2 writes it: a group for each layer, within `model_weights` where it is a whole model."""

    def write(source: Path, target: Path) -> None:
        with h5py.File(target, "w") as file:
            group = file.create_group("model_weights") if whole else file
            group.attrs["layer_names"] = [name.encode() for name in layers]
            for name, shape in layers.items():
                group.create_group(name).attrs["weight_names"] = [f"{name}/kernel:0".encode()]
                group[name][f"{name}/kernel:0"] = np.zeros(shape, "f4")

    return write


def truncate(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes()[: source.stat().st_size // 2])


def without(name: str) -> Callable[[Path, Path], None]:
    def damage(source: Path, target: Path) -> None:
        shutil.copy(source, target)
        with h5py.File(target, "a") as file:
            del file[name]

    return damage


def with_dataset(name: str, shape: tuple[int, ...]) -> Callable[[Path, Path], None]:
    def damage(source: Path, target: Path) -> None:
        shutil.copy(source, target)
        with h5py.File(target, "a") as file:
            if name in file:
                del file[name]
            file[name] = np.zeros(shape)

    return damage


def with_dtype(dtype: str) -> Callable[[Path, Path], None]:
    def damage(source: Path, target: Path) -> None:
        shutil.copy(source, target)
        with h5py.File(target, "a") as file:
            values = file["fpn/conv_c7_3x3/vars/1"][()]
            del file["fpn/conv_c7_3x3/vars/1"]
            file["fpn/conv_c7_3x3/vars/1"] = values.astype(dtype)

    return damage


def with_values_elsewhere(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    with h5py.File(target, "a") as file:
        del file["fpn/conv_c7_3x3/vars/1"]
        file.create_dataset("fpn/conv_c7_3x3/vars/1", (256,), "f4", external=[(__file__, 0, 1024)])


def with_an_empty_bias(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    with h5py.File(target, "a") as file:
        del file["cls_head/layers/conv2d_4/vars/1"]
        file["cls_head/layers/conv2d_4/vars/1"] = h5py.Empty("f4")


def with_layers_exchanged(source: Path, target: Path) -> None:
    shutil.copy(source, target)
    with h5py.File(target, "a") as file:
        layers = file["fpn/backbone/layers"]
        layers.move("conv2d_2", "aside")
        layers.move("conv2d_6", "conv2d_2")
        layers.move("aside", "conv2d_6")


def empty(source: Path, target: Path) -> None:
    target.touch()


def foreign(source: Path, target: Path) -> None:
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    dense.save_weights(target) if target.suffix == ".h5" else dense.save(target)


def foreign_h5(source: Path, target: Path) -> None:
    with h5py.File(target, "w") as file:
        file["weight"] = np.zeros(3)


def without_member(source: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("config.json", "{}")


def with_flipped_bytes(source: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", np.random.default_rng(0).bytes(10_000))
    content = bytearray(target.read_bytes())
    content[2000:2100] = bytes(100)
    target.write_bytes(content)


def with_bomb(source: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(10_000_000))


def safetensors_of_another_program(source: Path, target: Path) -> None:
    save_file({"weight": torch.zeros(3)}, target)


def safetensors_of_another_version(source: Path, target: Path) -> None:
    save_file({"weight": torch.zeros(3)}, target, {"format": "torch_retinanet 1", "part": "model"})


def safetensors_without_config(source: Path, target: Path) -> None:
    save_file({"weight": torch.zeros(3)}, target, {"format": "torch_retinanet 2", "part": "model", "config": "[]"})


def safetensors_of_too_many_classes(source: Path, target: Path) -> None:
    contents = read_weights(source)
    write_safetensors(target, WeightsFile(replace(contents.config, num_classes=10**30), contents.tensors))


def safetensors_of_whole_numbers(source: Path, target: Path) -> None:
    contents = read_weights(source)
    bias = contents.tensors["cls_head.4.bias"].long()
    write_safetensors(target, WeightsFile(contents.config, {**contents.tensors, "cls_head.4.bias": bias}))


def safetensors_missing_a_tensor(source: Path, target: Path) -> None:
    contents = read_weights(source)
    tensors = {name: value for name, value in contents.tensors.items() if name != "cls_head.4.bias"}
    write_safetensors(target, WeightsFile(contents.config, tensors))


DAMAGES: dict[str, tuple[str, Callable[[Path, Path], None], str]] = {
    "half an h5": (".weights.h5", truncate, "not a whole HDF5 file"),
    "an empty h5": (".weights.h5", empty, "not a whole HDF5 file"),
    "an h5 of another model": (".weights.h5", foreign, "holds another model, weights saved by Keras 3"),
    "an h5 without a tensor": (".weights.h5", without("fpn/conv_c7_3x3/vars/1"), "fpn/conv_c7_3x3/vars/1 is missing"),
    "an h5 with one too many": (
        ".weights.h5",
        with_dataset("fpn/conv_c8_3x3/vars/0", (3,)),
        "conv_c8_3x3/vars/0 is none",
    ),
    "an h5 with another shape": (".weights.h5", with_dataset("fpn/conv_c7_3x3/vars/1", (7,)), r"has shape \(7,\), and"),
    "an h5 with layers exchanged": (".weights.h5", with_layers_exchanged, "is layer conv2_block2_2_conv, and conv2_"),
    "an h5 with half a class": (".weights.h5", with_dataset("cls_head/layers/conv2d_4/vars/1", (5,)), "holds no class"),
    "an h5 of whole numbers": (".weights.h5", with_dtype("int64"), "has dtype int64, and must be floating"),
    "an h5 of complex numbers": (".weights.h5", with_dtype("complex64"), "has dtype complex64, and must be floating"),
    "an h5 of texts": (".weights.h5", with_dtype("S8"), "must be floating"),
    "an h5 with an empty bias": (".weights.h5", with_an_empty_bias, "holds no class head"),
    "an h5 with values in another file": (".weights.h5", with_values_elsewhere, "keeps its values in another file"),
    "an archive with flipped bytes": (".keras", with_flipped_bytes, "not a whole .keras archive"),
    "half an archive": (".keras", truncate, "not a whole .keras archive"),
    "an archive of another model": (".keras", foreign, "holds another model, weights saved by Keras 3"),
    "an archive without weights": (".keras", without_member, "the archive has no model.weights.h5"),
    "an archive that swells": (".keras", with_bomb, "model.weights.h5 claims 10000000 bytes"),
    "half a safetensors": (".safetensors", truncate, "not a whole safetensors file"),
    "an empty safetensors": (".safetensors", empty, "not a whole safetensors file"),
    "safetensors of another program": (
        ".safetensors",
        safetensors_of_another_program,
        "is of no RetinaNet that is",
    ),
    "safetensors of another version": (
        ".safetensors",
        safetensors_of_another_version,
        "format 'torch_retinanet 1' must",
    ),
    "safetensors without config": (".safetensors", safetensors_without_config, "hold no readable config"),
    "safetensors of too many classes": (".safetensors", safetensors_of_too_many_classes, "too many to build"),
    "safetensors of whole numbers": (".safetensors", safetensors_of_whole_numbers, "has dtype torch.int64, and must"),
    "safetensors without a tensor": (".safetensors", safetensors_missing_a_tensor, "cls_head.4.bias is missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_wrong_file_is_named_in_one_sentence_and_nothing_is_written(
    damage: str, files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suffix, make, sentence = DAMAGES[damage]
    source, target = tmp_path / f"source{suffix}", tmp_path / "target.safetensors"
    make(files / f"model{suffix}", source)
    assert cli.main(["convert", str(source), str(target)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith(f"retinanet: {source}: ")
    with pytest.raises(InputError, match=sentence):
        load_model(source)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (truncate, "not a whole HDF5 file"),
        (without("conv1_bn/conv1_bn/gamma:0"), "gamma:0"),
        (with_dataset("conv1_conv/conv1_conv/bias:0", (3,)), r"has shape \(3,\), and the model has \(64,\)"),
        (foreign_h5, "holds no model of Keras, and no ImageNet weights of keras.applications"),
        (of_keras_2({"P3": (3, 3), "classification_submodel": (3,)}, whole=True), FIZYR + ".*, saved whole by Keras 2"),
        (of_keras_2({"P3": (3, 3), "classification_submodel": (3,)}), FIZYR + ".*, weights saved by Keras 2"),
        (
            of_keras_2({"conv1_conv": (3,), "predictions": (3,)}),
            "holds a classifier of keras.applications with its top",
        ),
    ],
)
def test_a_wrong_imagenet_file_is_named(
    imagenet_file: Path, tmp_path: Path, make: Callable[[Path, Path], None], sentence: str
) -> None:
    make(imagenet_file, tmp_path / "wrong.h5")
    with pytest.raises(InputError, match=sentence):
        read_backbone(tmp_path / "wrong.h5")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        *(
            (f"model{suffix}", "is a packed file; unpack it, and name the weights in it")
            for suffix in (".pth.gz", ".tar")
        ),
        ("model.onnx", "is an exported model; name the weights that it was exported from"),
        ("model.safetensors.index.json", "is the index of weights in several files; save them as one, as save_file"),
        ("model.txt", "suffix must be one of .safetensors, .h5, "),
    ],
)
def test_what_to_do_with_a_file_that_is_not_read_is_said(name: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=f"{name}: {sentence}"):
        load_model(tmp_path / name)


def test_a_folder_of_weights_in_several_files_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").touch()
    with pytest.raises(
        FileNotFoundError, match=f"{tmp_path}: is a folder of weights in several files; save them as one"
    ):
        load_model(tmp_path)


def test_a_device_is_not_said_to_be_absent() -> None:
    with pytest.raises(FileNotFoundError, match="/dev/null: is neither a file nor a folder"):
        load_model("/dev/null")


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    for suffix in (".pt", ".pth", ".pkl", ""):
        (tmp_path / f"model{suffix}").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
        with pytest.raises(InputError, match=r"suffix must be one of|holds more than tensors|names os\.system"):
            load_model(tmp_path / f"model{suffix}")
