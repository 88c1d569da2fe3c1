"""An exported model against the module that it was exported from: equal, and different where it was changed."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

# isort: split
import numpy as np
import pytest

from parity_tests import OnnxModel, TorchModule, compare_models, randomise
from parity_tests.rule.errors import UsageError
from parity_tests.tests.support.small_models import pictures

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

IMAGES = pictures(2, 3, 8, 6)


class Convolved(nn.Module):
    """Convolution, ReLU, resizing, dense."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mix, self.dense = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 1), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.interpolate(self.conv(x).relu(), scale_factor=2.0)
        y: Tensor = self.dense(self.mix(x).mean((2, 3)) * 0.5)
        return y


@pytest.fixture(scope="module")
def network() -> Convolved:
    module = Convolved().eval()
    randomise(module)
    return module


@pytest.fixture(scope="module")
def exported(network: Convolved, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.from_numpy(IMAGES),), str(path), dynamo=False)
    return path


def test_an_exported_model_is_equal(network: Convolved, exported: Path) -> None:
    result = compare_models(network, OnnxModel(exported), IMAGES)
    assert result.verdict == "equal", result.summary
    assert {record.rung for record in result.records} == {"parameters", "forward"}
    for mode in ("isolated", "cascaded"):
        names = {r.name for r in result.records if (r.where.mode, r.rung) == (mode, "forward")}
        assert names == {"conv", "mix", "dense", "output"}
    assert result.port == "network.onnx (ONNX)"


@pytest.mark.planted
def test_a_changed_initializer_is_named(network: Convolved, exported: Path) -> None:
    model = onnx.load(str(exported))
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "mix.weight")
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * np.float32(1.001), weight.name))
    result = compare_models(network, OnnxModel(model.SerializeToString()), IMAGES, transfer=False, dtypes=["float64"])
    differing = [(r.rung, r.name) for r in result.records if r.verdict == "different" and r.where.mode != "cascaded"]
    assert differing[:2] == [("parameters", "mix.weight"), ("forward", "mix")]
    carried = compare_models(network, OnnxModel(model.SerializeToString()), IMAGES, dtypes=["float64"])
    assert carried.verdict == "equal", "with the module's own weights it is the same network"


@pytest.mark.planted
def test_a_changed_node_is_named_alone(network: Convolved, exported: Path) -> None:
    model = onnx.load(str(exported))
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    pads = next(attribute for attribute in conv.attribute if attribute.name == "pads")
    pads.ints[:] = [0, 0, 2, 2]
    port = OnnxModel(model.SerializeToString(), {"conv": conv.output[0]})
    result = compare_models(TorchModule(network, {"conv": "conv"}), port, IMAGES, dtypes=["float64"])
    differing = [r.name for r in result.records if r.verdict == "different" and r.where.mode == "isolated"]
    assert differing == ["conv"]


def test_a_dense_model_runs_in_onnxruntime_in_float64() -> None:
    from parity_tests.sides.onnx_side import _run

    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    infos = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.DOUBLE, None) for n in ("x", "w", "y")]
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", infos[:2], infos[2:]),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    found = _run(model, {"x": np.eye(2), "w": np.full((2, 2), 0.1)})
    assert found["y"].dtype == np.float64


def test_what_cannot_be_run_is_refused_in_a_sentence(exported: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"no model")
    with pytest.raises(UsageError, match=r"^model: .*wrong.onnx is no ONNX model that can be read"):
        OnnxModel(wrong).check("port")
    with pytest.raises(UsageError, match=r"^port taps: 'cnov' is no tensor that a node makes"):
        OnnxModel(exported, {"conv": "cnov"}).tap_paths("port", [])
    with pytest.raises(UsageError, match=r"^inputs: there are 2, and the model takes 1"):
        OnnxModel(exported).open("float32", {}).forward([IMAGES, IMAGES])
    custom = onnx.load(str(exported))
    next(node for node in custom.graph.node if node.op_type == "Relu").op_type = "Rleu"
    with pytest.raises(UsageError, match=r"^model: onnxruntime does not take it .*Rleu"):
        OnnxModel(custom.SerializeToString()).open("float32", {}).forward([IMAGES])


def test_data_outside_the_folder_is_refused(exported: Path, tmp_path: Path) -> None:
    inside = tmp_path / "model" / "network.onnx"
    inside.parent.mkdir()
    onnx.save_model(
        onnx.load(str(exported)), str(inside), save_as_external_data=True, location="data.bin", size_threshold=0
    )
    assert OnnxModel(inside).open("float64", {}).parameters()["mix.weight"].shape == (4, 4, 1, 1)
    with pytest.raises(UsageError, match=r"^model: .* lies outside the bytes"):
        OnnxModel(inside.read_bytes()).check("port")
    model = onnx.load(str(inside), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../data.bin" if entry.key == "location" else entry.value
    inside.write_bytes(model.SerializeToString())
    (tmp_path / "data.bin").write_bytes((inside.parent / "data.bin").read_bytes())
    with pytest.raises(UsageError, match=r"lies in ../data.bin, and data must lie in the file's own folder"):
        OnnxModel(inside).check("port")


def test_an_operator_without_a_float64_kernel_is_named(exported: Path) -> None:
    model = onnx.load(str(exported))
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    conv.op_type, conv.domain = "FusedConv", "com.microsoft"
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    port = OnnxModel(model.SerializeToString())
    assert port.open("float32", {}).forward([IMAGES])["output"].outputs[""].shape == (2, 5)
    with pytest.raises(UsageError, match=r"^model: onnxruntime has no kernel for FusedConv in this precision, and"):
        port.open("float64", {}).forward([IMAGES])


def test_a_port_that_works_in_place_is_given_what_the_exported_model_is(network: Convolved, exported: Path) -> None:
    class InPlace(Convolved):
        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = super().forward(x.mul_(2).div_(2))
            x.mul_(0)
            return made

    module, before = InPlace().eval(), IMAGES.copy()
    module.load_state_dict(network.state_dict())
    for reference, port in ((OnnxModel(exported), module), (module, OnnxModel(exported))):
        result = compare_models(reference, port, IMAGES)
        assert result.verdict == "equal", result.summary
    assert np.array_equal(IMAGES, before)
