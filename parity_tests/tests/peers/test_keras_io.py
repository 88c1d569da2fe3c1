"""TensorFlow checkpoints of the keras.io example: what Keras saved of its RetinaNet, loaded, answers as Keras does."""

import importlib
import random
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from parity_tests.retinanet.inputs import random_variables
from parity_tests.retinanet.keras_side import KerasDetectorSide
from parity_tests.rule.budgets import CASCADED, rounding_budget
from parity_tests.tests.support.damage import TO_BYTES
from parity_tests.tests.support.planted import taps_made_by
from torch_retinanet import InputError, RetinaNet, RetinaNetConfig, cli, load_model
from torch_retinanet.weights import find_weights, read_weights, write_weights
from torch_retinanet.weights.containers.tf_checkpoint import VALUE, read_tf_checkpoint, write_tf_checkpoint
from torch_retinanet.weights.keras_names import keras_variables
from torch_retinanet.weights.published.keras_io import LAYERS, keras_io_name
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

CLASSES, WIDTH = 3, 32
SIZES = ((64, 96), (96, 160), (128, 64))
"""Sides of P5: even and odd, both odd, both even."""

PARTS = ("weights.index", "weights.data-00000-of-00001", "checkpoint")
"""The files of a checkpoint that is written."""


@pytest.fixture(scope="module")
def side() -> KerasDetectorSide:
    """The reference of the example with random weights, in a narrow pyramid."""
    made = KerasDetectorSide("keras_io", CLASSES, "float32", width=WIDTH, seed=3)
    made.assign(random_variables({name: value.shape for name, value in made.parameters().items()}, seed=3))
    return made


@pytest.fixture(scope="module")
def saved(side: KerasDetectorSide, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Keras saves of it: the model by itself, and as a part of a checkpoint with a counter."""
    folder = tmp_path_factory.mktemp("saved")
    checkpoint = importlib.import_module("tensorflow").train.Checkpoint
    checkpoint(side.model).write(str(folder / "weights"))
    checkpoint(model=side.model).save(str(folder / "part" / "epoch"))
    return folder


@pytest.mark.parametrize("size", SIZES)
def test_a_loaded_network_answers_as_the_one_that_keras_saved(
    side: KerasDetectorSide, saved: Path, size: tuple[int, int]
) -> None:
    images = np.random.default_rng(0).uniform(-100, 100, (2, *size, 3)).astype("float32")
    expected, found = taps_made_by(side, images), dict[str, Tensor]()
    with torch.no_grad():
        load_model(saved / "weights")(torch.from_numpy(images).permute(0, 3, 1, 2), found)
    assert found.keys() == expected.keys()
    for name, reference in expected.items():
        ours = found[name].permute(0, 2, 3, 1) if found[name].ndim == 4 else found[name]
        assert reference.std() > 0, name
        assert np.abs(ours.numpy() - reference).max() <= rounding_budget(reference, CASCADED), name


@pytest.mark.parametrize("place", ["weights", "weights.index", "weights.data-00000-of-00001", "part", "part/epoch-1"])
def test_every_variable_is_in_its_place_whichever_file_is_named(
    side: KerasDetectorSide, saved: Path, place: str
) -> None:
    contents = read_weights(saved / place)
    assert contents.config == RetinaNetConfig.keras_io(num_classes=CLASSES, width=WIDTH)
    read = keras_variables(contents.tensors)
    for name, values in side.parameters().items():
        assert read[name].numpy().tobytes() == values.tobytes(), name


@pytest.fixture(scope="module")
def written(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "example"
    assert cli.main(["convert", str(saved / "weights"), str(folder), "--to", "keras_io"]) == 0
    return folder


def test_what_is_written_is_read_again_and_is_whole(saved: Path, written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == sorted(PARTS)
    again, before = read_weights(written), read_weights(saved / "weights")
    assert again.config == before.config
    assert all(torch.equal(tensor, before.tensors[name]) for name, tensor in again.tensors.items())


def test_what_is_written_has_the_names_of_keras_2_by_the_order_of_layers(
    side: KerasDetectorSide, written: Path
) -> None:
    layers = [layer.name for layer in side.model.fpn.backbone.layers if layer.weights]
    assert list(LAYERS) == layers
    reader = importlib.import_module("tensorflow").train.load_checkpoint(str(written / "weights"))
    last = f"fpn/backbone/layer_with_weights-{len(layers) - 1}/moving_variance{VALUE}"
    expected = side.model.fpn.backbone.get_layer("conv5_block3_3_bn").moving_variance.numpy()
    assert np.array_equal(reader.get_tensor(last), expected)
    heads = [name for name in reader.get_variable_to_shape_map() if name.startswith("cls_head/")]
    assert len(heads) == 10
    assert all(name.startswith("cls_head/layer_with_weights-") for name in heads)


def test_a_prefix_that_looks_like_a_repository_is_looked_for_on_the_disk(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(saved)
    assert find_weights("part/epoch-1").config.num_classes == CLASSES


def small_checkpoint(folder: Path, names: Mapping[str, str], **more: Tensor) -> Path:
    """A checkpoint of a few variables: their places, and what their layers call them."""
    folder.mkdir()
    tensors = {name: torch.arange(4.0) for name in names} | more
    write_tf_checkpoint(folder, tensors, {name: names.get(name, name) for name in tensors})
    return folder


def said_of(path: Path) -> str:
    """The sentence with which a checkpoint is refused."""
    with pytest.raises(InputError) as refused:
        read_weights(path)
    said = str(refused.value)
    assert said.startswith(str(path))
    assert "\n" not in said
    return said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / PARTS[1]).unlink(), "lists 16 bytes of tensors, and its shards have 0"),
        (lambda folder: (folder / PARTS[1]).write_bytes(b""), "bytes of tensors, and its shards have 0"),
        (lambda folder: (folder / PARTS[0]).write_bytes(b""), "not a whole TensorFlow checkpoint"),
        (lambda folder: (folder / PARTS[0]).write_bytes(b"[core]\n" * 99), "not a whole TensorFlow checkpoint"),
    ],
)
def test_a_checkpoint_that_lacks_a_part_is_refused(change: Callable[[Path], object], said: str, tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "small", {"fpn/conv_c3_1x1/bias": "bias"})
    change(folder)
    assert re.search(said, said_of(folder))


def test_damage_to_a_checkpoint_is_seen_by_its_sums(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "small", {f"fpn/conv_c{i}_1x1/bias": "bias" for i in (3, 4, 5)})
    whole, draw = {part: (folder / part).read_bytes() for part in PARTS[:2]}, random.Random(0)
    tensors = read_tf_checkpoint(folder).tensors
    refused = 0
    for turn in range(40):
        part = PARTS[turn % 2]
        (folder / part).write_bytes(TO_BYTES[turn % len(TO_BYTES)](whole[part], draw))
        try:
            found = read_tf_checkpoint(folder).tensors
        except InputError as error:
            refused += "\n" not in str(error)
        else:
            assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
        (folder / part).write_bytes(whole[part])
    assert refused >= 20


def test_a_checkpoint_of_another_model_is_refused_with_a_name_that_does_not_fit(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "small", {"encoder/dense/kernel": "kernel"})
    assert "is of no RetinaNet that is known" in said_of(folder)


def test_a_tensor_in_another_type_is_refused(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "small", {}, **{"fpn/text": torch.zeros(3, dtype=torch.complex64)})
    assert "fpn/text has dtype complex64, and must be floating" in said_of(folder)


def test_layers_in_another_order_are_refused_by_their_names(saved: Path, tmp_path: Path) -> None:
    tensors = {keras_io_name(n): t for n, t in read_weights(saved / "weights").tensors.items() if t.ndim}
    names = {name: name for name in tensors}
    names["fpn/backbone/layer_with_weights-6/kernel"] = "conv2_block1_3_conv/kernel"
    write_tf_checkpoint(tmp_path, tensors, names)
    assert "is of layer conv2_block1_3_conv, and conv2_block1_0_conv must be there" in said_of(tmp_path)


def test_a_folder_is_read_by_the_checkpoint_that_it_names_and_never_left(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "small", {"fpn/conv_c3_1x1/bias": "bias"})
    outside = small_checkpoint(tmp_path / "outside", {"fpn/conv_c3_1x1/bias": "bias"})
    (folder / "checkpoint").write_text(f'model_checkpoint_path: "{outside / "weights"}"\n')
    (folder / "older.index").write_bytes(b"")
    assert read_tf_checkpoint(folder).tensors.keys() == {"fpn/conv_c3_1x1/bias"}
    (folder / "checkpoint").write_text('model_checkpoint_path: "../outside/other"\n')
    assert "the checkpoint that its folder names is not in it" in said_of(folder)


def test_without_tensorflow_a_checkpoint_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert cli.main(["convert", str(saved / "weights")]) == 2
    assert "needs tensorflow; install it with: pip install tensorflow" in capsys.readouterr().err


def test_heads_of_another_depth_cannot_be_written(tmp_path: Path) -> None:
    config = RetinaNetConfig.keras_io(num_classes=2, width=8, head_depth=2)
    contents = WeightsFile(config, plain_tensors(RetinaNet(config)))
    with pytest.raises(InputError, match="head_depth=4, and these 2"):
        write_weights(tmp_path / "example", contents, to="keras_io")
    assert not any((tmp_path / "example").glob("*"))
