"""Weights, both ways: Keras' own files are read and written with h5py alone, bit for bit, and wrong files are named."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import ResNet50_Weights, resnet50

from parity_tests.bridge import KerasSide
from torch_retinanet import (
    InputError,
    RetinaNet,
    RetinaNetConfig,
    cli,
    load_model,
    load_weights,
    read_backbone,
    save_weights,
)
from torch_retinanet.weights import read_weights
from torch_retinanet.weights.contents import Contents
from torch_retinanet.weights.safetensors_file import write_safetensors

CLASSES = 2
SUFFIXES = (".keras", ".weights.h5")
IMAGES = np.random.default_rng(0).uniform(-1, 1, (2, 64, 96, 3)).astype("float32")


@pytest.fixture(scope="module")
def keras_side() -> KerasSide:
    """A reference whose weights and statistics are all random."""
    side = KerasSide("notebook", CLASSES, "float32")
    rng = np.random.default_rng(0)
    side.assign({n: rng.uniform(0.5, 1, v.shape).astype("float32") for n, v in side.variables().items()})
    return side


@pytest.fixture(scope="module")
def files(keras_side: KerasSide, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reference as Keras itself writes it, and as torch has it from there."""
    folder = tmp_path_factory.mktemp("files")
    keras_side.model.save(folder / "model.keras")
    keras_side.model.save_weights(folder / "model.weights.h5")
    save_weights(load_model(folder / "model.keras"), folder / "model.safetensors")
    return folder


def state_of(path: Path) -> dict[str, Tensor]:
    return load_model(path).state_dict()


def assert_same_bits(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert value.dtype == right[name].dtype
        assert torch.equal(value, right[name]), name


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_keras_wrote_is_read_with_every_variable_in_its_place(
    files: Path, keras_side: KerasSide, suffix: str
) -> None:
    model = load_model(files / f"model{suffix}")
    taps = keras_side.forward(IMAGES)
    with torch.no_grad():
        outputs = model(torch.from_numpy(IMAGES).permute(0, 3, 1, 2))
    np.testing.assert_allclose(outputs.numpy(), taps["outputs"], rtol=1e-4)
    state = model.state_dict()
    variables = keras_side.variables()
    assert np.array_equal(state["fpn.backbone.bn1.running_var"], variables["fpn/backbone/conv1_bn/moving_variance"])
    kernel = variables["fpn/backbone/conv4_block1_0_conv/kernel"]
    assert np.array_equal(state["fpn.backbone.layer3.0.downsample.0.weight"], kernel.transpose(3, 2, 0, 1))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_torch_wrote_keras_loads_as_its_own(
    files: Path, keras_side: KerasSide, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"back{suffix}"
    save_weights(load_model(files / "model.safetensors"), path)
    if suffix == ".keras":
        loaded = keras.saving.load_model(path, safe_mode=True)
    else:
        loaded = KerasSide("notebook", CLASSES, "float32", seed=1).model
        loaded.load_weights(path)
    assert np.array_equal(loaded(IMAGES), keras_side.model(IMAGES))


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
                assert np.array_equal(item[()], after[name][()]), name
                compared.append(name)

        before.visititems(compare)
    assert len(compared) == 2 * 54 + 4 * 53 + 2 * 18 - 2, "kernels and biases, norms, pyramid and heads"


def test_double_precision_stays_in_the_file(files: Path, tmp_path: Path) -> None:
    save_weights(load_model(files / "model.safetensors").double(), tmp_path / "double.keras")
    assert read_weights(tmp_path / "double.keras").tensors["cls_head.4.bias"].dtype == torch.float64


def test_the_optimizer_of_a_trained_keras_model_is_left_aside(files: Path, tmp_path: Path) -> None:
    model = keras.saving.load_model(files / "model.keras")
    model.compile(optimizer=keras.optimizers.SGD(momentum=0.9), loss="mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "trained.keras")
    assert_same_bits(state_of(tmp_path / "trained.keras"), state_of(files / "model.keras"))


def test_metadata_say_preset_and_version(files: Path) -> None:
    contents = read_weights(files / "model.safetensors")
    assert (contents.config, contents.part) == (RetinaNetConfig.notebook(CLASSES), "model")


def test_another_preset_is_refused_by_both_names(files: Path) -> None:
    model = RetinaNet(RetinaNetConfig.torchvision(CLASSES))
    with pytest.raises(InputError, match=r"model\.safetensors: holds preset notebook, and the model is preset torch"):
        load_weights(model, files / "model.safetensors")


def test_another_number_of_classes_is_refused(files: Path) -> None:
    with pytest.raises(InputError, match="holds 2 classes, and the model has num_classes=3"):
        load_weights(RetinaNet(RetinaNetConfig.notebook(3)), files / "model.safetensors")


def test_a_preset_that_keras_cannot_build_is_not_written_for_it(tmp_path: Path) -> None:
    model = RetinaNet(RetinaNetConfig.torchvision(CLASSES))
    with pytest.raises(InputError, match="a Keras file holds preset notebook, not torchvision"):
        save_weights(model, tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


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


def with_bomb(source: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(10_000_000))


def safetensors_of_another_program(source: Path, target: Path) -> None:
    save_file({"weight": torch.zeros(3)}, target)


def safetensors_of_another_version(source: Path, target: Path) -> None:
    save_file({"weight": torch.zeros(3)}, target, {"format": "torch_retinanet 2", "part": "model"})


def safetensors_without_config(source: Path, target: Path) -> None:
    save_file({"weight": torch.zeros(3)}, target, {"format": "torch_retinanet 1", "part": "model", "config": "[]"})


def safetensors_missing_a_tensor(source: Path, target: Path) -> None:
    contents = read_weights(source)
    tensors = {name: value for name, value in contents.tensors.items() if name != "cls_head.4.bias"}
    write_safetensors(target, Contents(contents.config, tensors))


DAMAGES: dict[str, tuple[str, Callable[[Path, Path], None], str]] = {
    "half an h5": (".weights.h5", truncate, "not a whole HDF5 file"),
    "an empty h5": (".weights.h5", empty, "not a whole HDF5 file"),
    "an h5 of another model": (".weights.h5", foreign, "holds no class head"),
    "an h5 without a tensor": (".weights.h5", without("fpn/conv_c7_3x3/vars/1"), "fpn/conv_c7_3x3/vars/1 is missing"),
    "an h5 with one too many": (
        ".weights.h5",
        with_dataset("fpn/conv_c8_3x3/vars/0", (3,)),
        "conv_c8_3x3/vars/0 is none",
    ),
    "an h5 with another shape": (".weights.h5", with_dataset("fpn/conv_c7_3x3/vars/1", (7,)), r"has shape \(7,\), and"),
    "an h5 with layers exchanged": (".weights.h5", with_layers_exchanged, "is layer conv2_block2_2_conv, and conv2_"),
    "an h5 with half a class": (".weights.h5", with_dataset("cls_head/layers/conv2d_4/vars/1", (5,)), "holds no class"),
    "half an archive": (".keras", truncate, "not a whole .keras archive"),
    "an archive of another model": (".keras", foreign, "holds no class head"),
    "an archive without weights": (".keras", without_member, "the archive has no model.weights.h5"),
    "an archive that swells": (".keras", with_bomb, "model.weights.h5 claims 10000000 bytes"),
    "half a safetensors": (".safetensors", truncate, "not a whole safetensors file"),
    "an empty safetensors": (".safetensors", empty, "not a whole safetensors file"),
    "safetensors of another program": (".safetensors", safetensors_of_another_program, "format None must be"),
    "safetensors of another version": (
        ".safetensors",
        safetensors_of_another_version,
        "format 'torch_retinanet 2' must",
    ),
    "safetensors without config": (".safetensors", safetensors_without_config, "hold no readable config"),
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
        (["{files}/model.keras", "{files}/nowhere/a.safetensors"], "No such file or directory"),
        (["{files}/model.keras", "a.safetensors", "--preset", "fizyr"], "preset: 'fizyr' must be one that Keras"),
    ],
)
def test_wrong_usage_of_the_command_is_named(
    files: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["convert", *(argument.format(files=files) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert sentence in error


def test_converting_needs_no_tensorflow(files: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules.update(tensorflow=None, keras=None); from torch_retinanet.cli import main; "
        f"sys.exit(main(['convert', {str(files / 'model.keras')!r}, {str(tmp_path / 'a.safetensors')!r}]))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def imagenet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the format in which `keras.applications` publishes those of ImageNet."""
    path = tmp_path_factory.mktemp("imagenet") / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    model = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3))
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{variable.name}:0" for variable in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, variable in zip(names, layer.weights, strict=True):
                group[name] = rng.uniform(0.5, 1, variable.shape).astype("float32")
    return path


def test_keras_reads_the_file_of_imagenet_weights_as_its_own_and_so_does_torch(imagenet_file: Path) -> None:
    reference = KerasSide("notebook", CLASSES, "float32")
    keras.applications.ResNet50(include_top=False, weights=str(imagenet_file), input_shape=(None, None, 3))
    reference.model.fpn.backbone.load_weights(imagenet_file)
    model = RetinaNet(RetinaNetConfig.notebook(CLASSES), backbone_weights=read_backbone(imagenet_file)).eval()
    taps = reference.forward(IMAGES)
    with torch.no_grad():
        c3, c4, c5 = model.fpn.backbone(torch.from_numpy(IMAGES).permute(0, 3, 1, 2))
    for name, level in {"c3": c3, "c4": c4, "c5": c5}.items():
        np.testing.assert_allclose(level.permute(0, 2, 3, 1), taps[name], rtol=1e-4)


def test_converted_imagenet_weights_are_the_same(imagenet_file: Path, tmp_path: Path) -> None:
    assert cli.main(["convert", str(imagenet_file), str(tmp_path / "backbone.safetensors")]) == 0
    converted, original = read_backbone(tmp_path / "backbone.safetensors"), read_backbone(imagenet_file)
    assert_same_bits(dict(converted.tensors), dict(original.tensors))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (truncate, "not a whole HDF5 file"),
        (without("conv1_bn/conv1_bn/gamma:0"), "gamma:0"),
        (with_dataset("conv1_conv/conv1_conv/bias:0", (3,)), r"has shape \(3,\), and the model has \(64,\)"),
        (foreign_h5, "has no attribute layer_names"),
    ],
)
def test_a_wrong_imagenet_file_is_named(
    imagenet_file: Path, tmp_path: Path, make: Callable[[Path, Path], None], sentence: str
) -> None:
    make(imagenet_file, tmp_path / "wrong.h5")
    with pytest.raises(InputError, match=sentence):
        read_backbone(tmp_path / "wrong.h5")


def test_imagenet_weights_of_keras_are_refused_by_other_conventions(imagenet_file: Path) -> None:
    with pytest.raises(InputError, match=r"notop\.h5 needs stride_in='1x1', conv_bias=True, bn_eps=.*torchvision"):
        RetinaNet(RetinaNetConfig.torchvision(), backbone_weights=read_backbone(imagenet_file))


def test_parts_are_not_taken_for_one_another(imagenet_file: Path, files: Path) -> None:
    with pytest.raises(InputError, match="holds a backbone alone"):
        load_model(imagenet_file)
    with pytest.raises(InputError, match="holds a whole model"):
        read_backbone(files / "model.keras")


@pytest.fixture
def torchvision_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torchvision's download folder, empty, on a machine without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_torchvision_weights_fill_a_backbone_of_its_conventions(torchvision_cache: Path) -> None:
    trained = resnet50()
    torch.save(trained.state_dict(), torchvision_cache / ResNet50_Weights.IMAGENET1K_V2.url.rpartition("/")[2])
    model = RetinaNet(RetinaNetConfig.torchvision(), backbone_weights=ResNet50_Weights.IMAGENET1K_V2)
    assert torch.equal(model.fpn.backbone.layer4[2].conv3.weight, trained.layer4[2].conv3.weight)


def test_torchvision_weights_without_a_network_end_in_a_sentence(torchvision_cache: Path) -> None:
    with pytest.raises(ConnectionError, match=r"ResNet50_Weights\.IMAGENET1K_V1 cannot be downloaded"):
        RetinaNet(RetinaNetConfig.torchvision(), backbone_weights=ResNet50_Weights.IMAGENET1K_V1)


def test_torchvision_weights_are_refused_by_other_conventions() -> None:
    with pytest.raises(InputError, match="IMAGENET1K_V1 needs stride_in='3x3', conv_bias=False, bn_eps=1e-05"):
        RetinaNet(RetinaNetConfig.notebook(), backbone_weights=ResNet50_Weights.IMAGENET1K_V1)


def test_weights_of_no_known_kind_are_refused() -> None:
    anything: Any = "imagenet"
    with pytest.raises(InputError, match="backbone_weights: 'imagenet' must be a ResNet50_Weights"):
        RetinaNet(RetinaNetConfig.notebook(), backbone_weights=anything)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    for suffix in (".pt", ".pth", ".pkl", ""):
        (tmp_path / f"model{suffix}").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
        with pytest.raises(InputError, match="suffix must be one of"):
            load_model(tmp_path / f"model{suffix}")


def test_a_failed_write_leaves_the_old_file_whole(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    shutil.copy(files / "model.safetensors", path)
    before = path.read_bytes()

    def full_disk(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch_retinanet.weights.safetensors_file.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_weights(load_model(path), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
