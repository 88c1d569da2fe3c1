"""Files of published RetinaNets as people have them: renamed, wrapped, averaged, or the part of another thing."""

import zipfile
from argparse import Namespace
from collections.abc import Callable
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from torch_retinanet import InputError, RetinaNet, RetinaNetConfig
from torch_retinanet.cli.detector import read_detector
from torch_retinanet.weights import load_model, read_weights, write_weights
from torch_retinanet.weights.containers.state_dict import read_torch
from torch_retinanet.weights.published import read_published
from torch_retinanet.weights.published.torchvision import torchvision_name
from torch_retinanet.weights.weights_file import WeightsFile, expected_shapes, plain_tensors

CONFIG = RetinaNetConfig.torchvision(num_classes=2, width=32, head_depth=1, backbone="resnet18")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """The state dict of a small RetinaNet of torchvision."""
    with torch.random.fork_rng(devices=[]):
        return {torchvision_name(name): tensor for name, tensor in plain_tensors(RetinaNet(CONFIG)).items()}


def said_of(path: Path) -> str:
    """Whose a file is said to be, after its tensors are read."""
    contents = read_weights(path)
    assert contents.config == CONFIG
    assert len(contents.tensors) == len(RetinaNet(CONFIG).state_dict())
    return contents.origin


def refusal(path: Path) -> str:
    with pytest.raises((InputError, FileNotFoundError)) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["a.h5", "a.keras", "a.pkl", "a.safetensors", "a.weights", "a"])
@pytest.mark.parametrize(
    "save", [torch.save, save_file, lambda s, p: torch.save(s, p, _use_new_zipfile_serialization=False)]
)
def test_a_file_is_told_by_its_content_and_not_by_its_name(
    name: str, save: Callable[[dict[str, Tensor], Path], None], state: dict[str, Tensor], tmp_path: Path
) -> None:
    save(state, tmp_path / name)
    assert said_of(tmp_path / name).startswith("holds torchvision's retinanet_resnet50_fpn")


def test_a_header_whose_length_begins_as_a_pickle_does_is_one_of_safetensors(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    for padding in range(0, 256, 8):
        save_file(state, tmp_path / "a", metadata={"a": "b" * padding})
        with (tmp_path / "a").open("rb") as file:
            if file.read(1) == b"\x80":
                break
    else:
        pytest.fail("no length began so")
    assert said_of(tmp_path / "a").startswith("holds torchvision's")


def test_a_detector_says_whose_its_file_was_and_so_do_commands(
    state: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(state, tmp_path / "a.pth")
    detector = read_detector(tmp_path / "a.pth")
    assert detector.origin.startswith("holds torchvision's retinanet_resnet50_fpn, taken for preset ")
    assert capsys.readouterr().err == f"retinanet: {tmp_path / 'a.pth'} {detector.origin}\n"


@pytest.mark.parametrize(("written", "renamed"), [("a.pkl", "a.pth"), ("a.pth", "a.pkl")])
def test_a_pickle_of_arrays_is_told_from_a_file_of_torch(written: str, renamed: str, tmp_path: Path) -> None:
    config = RetinaNetConfig.preset("detectron2", num_classes=2, width=32, head_depth=1, backbone="resnet18")
    write_weights(tmp_path / written, WeightsFile(config, plain_tensors(RetinaNet(config))), to="detectron2")
    (tmp_path / written).rename(tmp_path / renamed)
    assert read_weights(tmp_path / renamed).config.name.startswith("detectron2")


@pytest.mark.parametrize(
    ("written", "renamed"), [("a.keras", "a.zip"), ("a.weights.h5", "a.h5"), ("a.weights.h5", "a.bin")]
)
def test_a_file_of_keras_is_told_by_its_content(written: str, renamed: str, tmp_path: Path) -> None:
    config = RetinaNetConfig.preset("notebook")
    write_weights(
        tmp_path / written, WeightsFile(config, {n: torch.zeros(s) for n, s in expected_shapes(config).items()})
    )
    (tmp_path / written).rename(tmp_path / renamed)
    assert read_weights(tmp_path / renamed).config.name == "notebook"


@pytest.mark.parametrize(
    "start", ["model.", "net.", "detector.", "module.", "_orig_mod.module.", "module.model.", "model._orig_mod."]
)
@pytest.mark.parametrize("beside", [{}, {"n_averaged": torch.tensor(3)}])
def test_names_within_another_module_are_those_of_the_network(
    start: str, beside: dict[str, Tensor], state: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save({"state_dict": {f"{start}{n}": t for n, t in state.items()} | beside}, tmp_path / "a.ckpt")
    assert f"taken for preset {CONFIG.name};" in said_of(tmp_path / "a.ckpt")


def test_names_are_given_as_they_are_in_the_file(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({f"net.{n}": t for n, t in state.items()}, tmp_path / "a.pth")
    contents = read_weights(tmp_path / "a.pth")
    names = contents.names
    assert {*names.renamed.values(), *names.unused} == {f"net.{name}" for name in state}
    assert {*names.renamed, *names.new} == {*contents.tensors}
    assert names.renamed["cls_head.1.bias"] == "net.head.classification_head.cls_logits.bias"


def test_what_lies_beside_a_network_in_a_module_is_said_to_be_unused(state: dict[str, Tensor], tmp_path: Path) -> None:
    metrics = {"val_map.sums": torch.zeros(2), "loss.weights": torch.ones(3)}
    torch.save({"state_dict": {f"net.{n}": t for n, t in state.items()} | metrics}, tmp_path / "a.ckpt")
    assert said_of(tmp_path / "a.ckpt").endswith(
        "; what lies in net was read, and 2 other tensors were not, such as val_map.sums"
    )
    assert {*metrics} <= {*read_weights(tmp_path / "a.ckpt").names.unused}


def test_of_a_network_and_its_average_in_one_table_the_network_is_read(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    average = {f"ema.module.{n}": torch.zeros_like(t) for n, t in state.items()} | {"ema.steps": torch.tensor(1)}
    torch.save({"state_dict": average | {f"net.{n}": t for n, t in state.items()}}, tmp_path / "a.ckpt")
    assert f"; what lies in net was read, and {len(average)} other tensors were not" in said_of(tmp_path / "a.ckpt")
    assert read_weights(tmp_path / "a.ckpt").tensors["cls_head.1.weight"].any()


def test_of_two_networks_in_one_table_neither_is_chosen(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({f"{of}.{n}": t for of in ("student", "teacher") for n, t in state.items()}, tmp_path / "a.pth")
    sentence = "holds networks in student and teacher; save the state_dict of one alone"
    assert refusal(tmp_path / "a.pth").endswith(sentence)


def test_a_network_in_a_module_that_lacks_a_tensor_is_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    lacking = {f"net.{n}": t for n, t in state.items() if n != torchvision_name("fpn.conv_c6_3x3.bias")}
    torch.save(lacking | {"val_map.sums": torch.zeros(2)}, tmp_path / "a.pth")
    assert "tensor backbone.fpn.extra_blocks.p6.bias is missing" in refusal(tmp_path / "a.pth")


def test_a_moving_average_is_taken_where_it_is_alone_and_said_where_it_is_not(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "a.pth"
    torch.save({"model_ema": {f"module.{n}": t for n, t in state.items()} | {"n_averaged": torch.tensor(1)}}, path)
    assert "left aside" not in said_of(path)
    averaged: dict[str, Any] = {"model": state, "model_ema": {n: torch.zeros_like(t) for n, t in state.items()}}
    torch.save(averaged, path)
    assert said_of(path).endswith(
        "; model in it was read, and model_ema was left aside; torch.save(torch.load(FILE)['model_ema'], OTHER) makes "
        "a file of that"
    )
    assert read_weights(path).tensors["cls_head.1.weight"].any()


class HistoryOfLoss:
    """A log of training as mmengine's HistoryBuffer: it saves its own methods, and cannot be read back unseen."""

    def __getstate__(self) -> dict[str, Any]:
        return {"history": np.zeros(3), "statistics_methods": {"mean": HistoryOfLoss.mean}}

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("the class that a file names was used")

    def mean(self) -> float:
        """What is logged."""
        return 0.0


@pytest.mark.parametrize(
    "beside",
    [
        *(Namespace(lr=0.1), Path("runs"), PurePosixPath("runs"), np.float64(0.3), np.zeros(3)),
        *(datetime(2026, 1, 1), range(3), HistoryOfLoss()),
    ],
    ids=lambda beside: type(beside).__name__,
)
def test_what_a_training_script_saves_beside_weights_is_left_aside(
    beside: Any, state: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save({"model": state, "epoch": 3, "args": beside, "all": {"of": [beside]}}, tmp_path / "a.pth")
    assert f"taken for preset {CONFIG.name};" in said_of(tmp_path / "a.pth")


def test_an_object_in_place_of_a_state_dict_is_named(state: dict[str, Tensor], tmp_path: Path) -> None:
    said = "holds no state dict, a table of tensors by name, but a torch.nn.modules.linear.Linear; save the model's "
    for held in (nn.Linear(2, 2), {"model": nn.Linear(2, 2)}, {"model": state | {"head": nn.Linear(2, 2)}}):
        torch.save(held, tmp_path / "a.pth")
        assert refusal(tmp_path / "a.pth") == f"{tmp_path / 'a.pth'}: {said}state_dict() alone"


def test_a_file_that_names_a_function_is_refused_by_its_name(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"model": state, "args": Namespace(loss=nn.functional.mse_loss)}, tmp_path / "a.pth")
    said = "holds more than tensors, such as torch.nn.functional.mse_loss; save the model's state_dict() alone"
    assert refusal(tmp_path / "a.pth") == f"{tmp_path / 'a.pth'}: {said}"


class TaggedTensor(Tensor):
    """A tensor of a class of its own."""


def test_a_tensor_of_another_class_is_refused_by_its_name(state: dict[str, Tensor], tmp_path: Path) -> None:
    name = next(iter(state))
    torch.save(state | {name: state[name].as_subclass(TaggedTensor)}, tmp_path / "a.pth")
    assert "holds more than tensors, such as parity_tests.tests.torch.test_odd_files.Tagged" in refusal(
        tmp_path / "a.pth"
    )


HALF, BFLOAT = torch.float16, torch.bfloat16


@pytest.mark.parametrize(
    ("kernels", "norms", "widest"),
    [(HALF, torch.float32, torch.float32), (HALF, BFLOAT, torch.float32), (BFLOAT, BFLOAT, BFLOAT)],
)
def test_a_model_has_the_least_precision_that_holds_all_of_its_weights(
    kernels: torch.dtype, norms: torch.dtype, widest: torch.dtype, state: dict[str, Tensor], tmp_path: Path
) -> None:
    held = {n: t.to(kernels if t.ndim > 1 else norms) for n, t in state.items() if t.is_floating_point()}
    held["backbone.body.bn1.running_var"] = torch.full((64,), 2e5, dtype=norms)
    torch.save(held, tmp_path / "a.pth")
    tensors = load_model(tmp_path / "a.pth").state_dict()
    assert {t.dtype for t in tensors.values() if t.is_floating_point()} == {widest}
    assert torch.equal(tensors["fpn.backbone.bn1.running_var"], held["backbone.body.bn1.running_var"].to(widest))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("ours", [True, False])
def test_weights_that_are_not_finite_are_refused_by_their_first_tensor(
    value: float, ours: bool, state: dict[str, Tensor], tmp_path: Path
) -> None:
    name = "head.classification_head.cls_logits.bias"
    bias = state[name].clone()
    bias[3] = value
    torch.save(state | {name: bias}, tmp_path / "a.pth")
    if ours:
        contents = read_published(read_torch(tmp_path / "a.pth"))
        write_weights(tmp_path / "a.safetensors", contents)
        name = "cls_head.1.bias"
    path = tmp_path / ("a.safetensors" if ours else "a.pth")
    assert refusal(path).startswith(f"{path}: tensor {name} has 1 values that are not finite, as {value}; take weights")


def test_two_names_that_are_one_without_their_wrapper_are_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    first = next(iter(state))
    torch.save(state | {f"module.{first}": state[first]}, tmp_path / "a.pth")
    assert "two of its tensors have one name" in refusal(tmp_path / "a.pth")


def test_the_part_of_a_keras_hub_preset_is_no_file_of_its_own(tmp_path: Path) -> None:
    for name in ("config.json", "model.weights.h5", "task.weights.h5"):
        (tmp_path / name).touch()
    for name in ("model.weights.h5", "task.weights.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["layers/prediction_head/prediction_layer/vars/0"] = [1.0]
    assert refusal(tmp_path / "task.weights.h5").endswith(f"a KerasHub preset, whose folder is read: {tmp_path}")
    (tmp_path / "task.weights.h5").rename(tmp_path / "alone.h5")
    assert "is of no RetinaNet that is known" in refusal(tmp_path / "alone.h5")


@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras"])
def test_a_model_of_keras_retinanet_in_a_format_of_keras_3_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        file.create_group("layers/upsample_like/vars")
    if name.endswith(".keras"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("config.json", '{"config": {"name": "retinanet"}}')
            archive.write(tmp_path / "a.weights.h5", "model.weights.h5")
    assert refusal(tmp_path / name).startswith(
        f"{tmp_path / name}: holds a model of keras-retinanet (fizyr), of which model.save_weights('NAME.h5') writes "
        "what is read"
    )


def test_a_folder_without_weights_is_said_to_be_one(tmp_path: Path) -> None:
    assert refusal(tmp_path).startswith(f"{tmp_path}: is a folder without model.safetensors")
