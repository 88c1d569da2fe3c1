"""Weights, both ways: Keras' own files are read and written with h5py alone, bit for bit."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from parity_tests.retinanet.keras_side import KerasDetectorSide
from parity_tests.rule.budgets import CASCADED, rounding_budget
from parity_tests.tests.support.keras_values import CLASSES
from parity_tests.tests.support.planted import taps_made_by
from torch_retinanet import (
    InputError,
    RetinaNet,
    RetinaNetConfig,
    RetinaNetDetector,
    cli,
    load_model,
    load_weights,
    save_weights,
)
from torch_retinanet.unfilled import unfilled
from torch_retinanet.weights import read_weights
from torch_retinanet.weights.keras_names import keras_variables

SUFFIXES = (".keras", ".weights.h5")
IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 64, 96, 3)).astype("float32")


def state_of(path: Path) -> dict[str, Tensor]:
    return load_model(path).state_dict()


def assert_same_bits(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert value.dtype == right[name].dtype
        assert value.numpy().tobytes() == right[name].numpy().tobytes(), name


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_keras_wrote_is_read_with_every_variable_in_its_place(
    files: Path, keras_side: KerasDetectorSide, suffix: str
) -> None:
    model = load_model(files / f"model{suffix}")
    read, written = keras_variables(model.state_dict()), keras_side.parameters()
    assert read.keys() == written.keys()
    for name, values in written.items():
        assert read[name].numpy().tobytes() == values.tobytes(), name
    expected = taps_made_by(keras_side, IMAGES)["outputs"]
    with torch.no_grad():
        outputs = model(torch.from_numpy(IMAGES).permute(0, 3, 1, 2)).numpy()
    assert np.isfinite(expected).all()
    assert np.abs(outputs - expected).max() <= rounding_budget(expected, CASCADED)


@pytest.fixture(scope="module")
def loaded(files: Path, tmp_path_factory: pytest.TempPathFactory) -> keras.Model:
    """What Keras loads from an archive of torch."""
    path = tmp_path_factory.mktemp("there") / "model.keras"
    save_weights(load_model(files / "model.safetensors"), path)
    return keras.saving.load_model(path, safe_mode=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_torch_wrote_keras_loads_as_its_own(
    files: Path, keras_side: KerasDetectorSide, loaded: keras.Model, suffix: str, tmp_path: Path
) -> None:
    if suffix == ".weights.h5":
        for variable in loaded.variables:
            variable.assign(variable * 0)
        save_weights(load_model(files / "model.safetensors"), tmp_path / "back.weights.h5")
        loaded.load_weights(tmp_path / "back.weights.h5")
    outputs = np.asarray(loaded(IMAGES))
    assert np.isfinite(outputs).all()
    assert np.array_equal(outputs, keras_side.model(IMAGES))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_there_and_back_is_the_same_bit_for_bit(files: Path, suffix: str, tmp_path: Path) -> None:
    original = state_of(files / "model.safetensors")
    save_weights(load_model(files / "model.safetensors"), tmp_path / f"there{suffix}")
    assert_same_bits(state_of(tmp_path / f"there{suffix}"), original)


def test_keras_there_and_back_is_the_same_bit_for_bit(files: Path, tmp_path: Path) -> None:
    save_weights(load_model(files / "model.weights.h5"), tmp_path / "back.weights.h5")
    with h5py.File(files / "model.weights.h5") as before, h5py.File(tmp_path / "back.weights.h5") as after:
        compared: list[str] = []

        def compare(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                assert item.dtype == after[name].dtype
                assert item[()].tobytes() == after[name][()].tobytes(), name
                compared.append(name)

        before.visititems(compare)
    assert len(compared) == 2 * 54 + 4 * 53 + 2 * 18 - 2, "kernels and biases, norms, pyramid and heads"


def test_nothing_is_drawn_for_a_model_whose_weights_are_loaded(files: Path) -> None:
    """A ResNet's; another backbone may need the values with which it is built."""
    before = torch.get_rng_state()
    load_model(files / "model.safetensors")
    RetinaNetDetector.from_pretrained(files / "model.safetensors")
    assert torch.equal(torch.get_rng_state(), before)
    with unfilled(RetinaNetConfig.torchvision(2, backbone="timm/resnet18")):
        torch.nn.Linear(2, 2)
    assert not torch.equal(torch.get_rng_state(), before)


def test_double_precision_stays_in_the_file(files: Path, tmp_path: Path) -> None:
    save_weights(load_model(files / "model.safetensors").double(), tmp_path / "double.keras")
    assert {value.dtype for value in load_model(tmp_path / "double.keras").parameters()} == {torch.float64}


def test_a_compiled_model_is_saved_and_loaded_as_the_model_it_wraps(files: Path, tmp_path: Path) -> None:
    compiled: Any = torch.compile(load_model(files / "model.safetensors"), backend="eager")
    save_weights(compiled, tmp_path / "compiled.safetensors")
    load_weights(compiled, tmp_path / "compiled.safetensors")
    assert_same_bits(state_of(tmp_path / "compiled.safetensors"), state_of(files / "model.safetensors"))


def test_a_precision_that_keras_does_not_have_is_refused(files: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dtype torch\.bfloat16, and must be float16, float32 or float64"):
        save_weights(load_model(files / "model.safetensors").bfloat16(), tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def test_writing_through_a_link_replaces_what_it_points_to(files: Path, tmp_path: Path) -> None:
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "target.safetensors")
    save_weights(load_model(files / "model.safetensors"), tmp_path / "link.safetensors")
    assert (tmp_path / "link.safetensors").is_symlink()
    assert (tmp_path / "target.safetensors").is_file()


def test_the_optimizer_of_a_trained_keras_model_is_left_aside(files: Path, loaded: keras.Model, tmp_path: Path) -> None:
    loaded.compile(optimizer=keras.optimizers.SGD(momentum=0.9), loss="mse")
    loaded.optimizer.build(loaded.trainable_variables)
    loaded.save(tmp_path / "trained.keras")
    assert_same_bits(state_of(tmp_path / "trained.keras"), state_of(files / "model.keras"))


def test_metadata_say_preset_and_version(files: Path) -> None:
    with safe_open(files / "model.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert (metadata["format"], metadata["preset"], metadata["part"]) == ("torch_retinanet 2", "notebook", "model")
    assert read_weights(files / "model.safetensors").config == RetinaNetConfig.notebook(CLASSES)


def test_another_preset_is_refused_by_both_names(files: Path) -> None:
    model = RetinaNet(RetinaNetConfig.torchvision(CLASSES))
    with pytest.raises(InputError, match=r"model\.safetensors: holds preset notebook, and the model is preset torch"):
        load_weights(model, files / "model.safetensors")


def test_another_number_of_classes_is_refused(files: Path) -> None:
    with pytest.raises(InputError, match="holds 2 classes, and the model has num_classes=3"):
        load_weights(RetinaNet(RetinaNetConfig.notebook(3)), files / "model.safetensors")


def test_a_preset_that_keras_cannot_build_is_not_written_for_it(tmp_path: Path) -> None:
    model = RetinaNet(RetinaNetConfig.torchvision(CLASSES))
    with pytest.raises(InputError, match="a Keras file holds preset notebook, keras_io, not torchvision"):
        save_weights(model, tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("source", "target"), [("model.keras", "a.safetensors"), ("model.safetensors", "a.weights.h5")]
)
def test_the_command_converts_both_ways(files: Path, tmp_path: Path, source: str, target: str) -> None:
    assert cli.main(["convert", str(files / source), str(tmp_path / target)]) == 0
    assert_same_bits(state_of(tmp_path / target), state_of(files / source))
    assert [path.name for path in tmp_path.iterdir()] == [target]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.keras", "a.safetensors"], "nowhere.keras: there is no such file"),
        (["{files}/model.keras", "a.pth"], "a.pth: suffix must be one of .safetensors, .keras, .weights.h5"),
        (["{files}/model.keras", "nowhere/a.safetensors"], "nowhere/a.safetensors: cannot be written, No such file"),
        (["{files}/model.keras", "{files}"], "suffix must be one of"),
        (
            ["{files}/model.keras", "a.safetensors", "--preset", "ssd"],
            "preset: 'ssd' must be one of notebook, keras_io, torch",
        ),
        (
            ["{files}/model.keras", "a.safetensors", "--preset", "torchvision"],
            "holds preset notebook, not torchvision",
        ),
        (["{files}/model.safetensors", "a.keras", "--preset", "torchvision"], "holds preset notebook, not torchvision"),
    ],
)
def test_wrong_usage_of_the_command_is_named(
    files: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["convert", *(argument.format(files=files) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert sentence in error


@pytest.mark.ci
def test_neither_the_package_nor_converting_imports_keras_or_tensorflow(files: Path, tmp_path: Path) -> None:
    code = """
import sys
import torch_retinanet
from torch_retinanet.cli import main

assert not {"keras", "tensorflow"} & {*sys.modules}
sys.modules.update(tensorflow=None, keras=None)
sys.exit(main(["convert", *sys.argv[1:]]))
"""
    command = [sys.executable, "-c", code, str(files / "model.keras"), str(tmp_path / "a.safetensors")]
    subprocess.run(command, check=True)


def test_a_failed_write_leaves_the_old_file_whole(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    shutil.copy(files / "model.safetensors", path)
    before = path.read_bytes()

    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch_retinanet.weights.digest.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_weights(load_model(path), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


SMALL_ANCHORS = RetinaNetConfig.keras_io(2, anchor_scale=2.0, anchor_scales=(1.0, 1.5))


@pytest.fixture(scope="module")
def of_keras_io(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of keras_io in changed anchors: as torch writes it, and as Keras does that loaded it."""
    folder = tmp_path_factory.mktemp("keras_io")
    trained = replace(SMALL_ANCHORS, head_init="he_prior", min_side=240, pad_multiple=32)
    save_weights(RetinaNet(trained), folder / "model.keras")
    theirs = keras.saving.load_model(folder / "model.keras")
    assert (theirs.config.p7_relu, theirs.config.anchor_scale) == ("before", 2.0)
    assert theirs.config.anchor_scales == (1.0, 1.5)
    theirs.save(folder / "theirs.keras")
    return folder


def test_a_keras_archive_says_its_preset_and_a_weights_file_is_told(of_keras_io: Path, tmp_path: Path) -> None:
    save_weights(RetinaNet(RetinaNetConfig.keras_io(2)), tmp_path / "model.weights.h5")
    assert read_weights(of_keras_io / "theirs.keras").config == SMALL_ANCHORS
    assert load_model(tmp_path / "model.weights.h5", preset="keras_io").config.name == "keras_io"
    with pytest.raises(InputError, match=r"theirs\.keras: holds preset keras_io.*, not notebook"):
        load_model(of_keras_io / "theirs.keras", preset="notebook")


def test_keras_loads_the_preset_that_torch_wrote(of_keras_io: Path, tmp_path: Path) -> None:
    assert read_weights(of_keras_io / "model.keras").config == SMALL_ANCHORS
    assert load_model(of_keras_io / "theirs.keras").config == SMALL_ANCHORS
    small = replace(RetinaNetConfig.keras_io(2), width=64)
    with pytest.raises(InputError, match="a Keras file holds preset notebook, keras_io, not keras_io with width=64"):
        save_weights(RetinaNet(small), tmp_path / "small.keras")
