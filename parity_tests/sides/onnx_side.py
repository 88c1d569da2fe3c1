"""An ONNX model as a side: run forward by onnxruntime, on the CPU, node by node as it is written.

Where onnxruntime has no float64 kernel, as for convolutions, the evaluator of the onnx package runs the float64 model.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi import onnxruntime_pybind11_state as failures

from parity_tests.rule.errors import UsageError, in_one_line
from parity_tests.rule.record import Array
from parity_tests.sides.onnx_graph import FED, in_float64, parameters, tapped
from parity_tests.sides.side import ROOT, Backward, Call, Calls, Loss

REFUSALS = (failures.Fail, failures.InvalidGraph, failures.InvalidArgument, failures.InvalidProtobuf)
"""What onnxruntime raises for a model that it does not take."""


class OnnxSide:
    """A model in one precision; its taps are tensors, by their names in the graph."""

    def __init__(self, model: Any, taps: Mapping[str, str], dtype: str) -> None:
        self.model, self.taps = (in_float64(model) if dtype == "float64" else model), taps
        self.sources: dict[str, str] = {}

    def parameters(self) -> dict[str, Array]:
        return {name: numpy_helper.to_array(tensor).copy() for name, tensor in parameters(self.model).items()}

    def assign(self, parameters_: Mapping[str, Array]) -> None:
        for name, tensor in parameters(self.model).items():
            if name in parameters_:
                assert tuple(tensor.dims) == parameters_[name].shape, name
                dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
                tensor.CopyFrom(numpy_helper.from_array(parameters_[name].astype(dtype), name))

    def forward(self, inputs: Sequence[Array], *, fed: Calls | None = None, training: bool = False) -> Calls:
        assert not training, "an exported model has one mode"
        outputs = [info.name for info in self.model.graph.output]
        given = {self.taps[tap]: call.outputs[""] for tap, call in (fed or {}).items() if tap in self.taps}
        model = tapped(self.model, self.taps.values(), given)
        found = _run(model, _typed(model, [*inputs, *given.values()]))
        places = [""] if len(outputs) == 1 else [f".{i}" for i in range(len(outputs))]
        root = Call(inputs=inputs, outputs={p: found[name] for p, name in zip(places, outputs, strict=True)})
        return {tap: Call(outputs={"": found[name]}) for tap, name in self.taps.items()} | {ROOT: root}

    def backward(
        self,
        inputs: Sequence[Array],
        loss: Loss | Mapping[str, Array],
        *,
        fed: Calls | None = None,
        training: bool = False,
    ) -> Backward:
        raise NotImplementedError


def _typed(model: Any, values: Sequence[Array]) -> dict[str, Array]:
    """What the inputs of a model are given, each in the type that it declares."""
    held = {tensor.name for tensor in model.graph.initializer}
    infos = [info for info in model.graph.input if info.name not in held]
    if len(infos) != len(values):
        own = [info.name for info in infos if not info.name.endswith(FED)]
        raise UsageError(f"inputs: there are {len(values)}, and the model takes {len(own)}: {', '.join(own)}")
    types = [helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type) for info in infos]
    return {info.name: v.astype(dtype) for info, v, dtype in zip(infos, values, types, strict=True)}


def _run(model: Any, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """All outputs by name."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    names = [info.name for info in model.graph.output]
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except failures.NotImplemented as error:
        return dict(zip(names, _evaluated(model, feeds, _operator(error)), strict=True))
    except REFUSALS as error:
        raise UsageError(f"model: onnxruntime does not take it ({in_one_line(error)})") from error
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def _evaluated(model: Any, feeds: Mapping[str, Array], operator: str) -> list[Any]:
    """What the evaluator of the onnx package makes of the model.

    Raises:
        UsageError: where it does not know an operator either.
    """
    try:
        return list(ReferenceEvaluator(model).run(None, dict(feeds)))
    except NotImplementedError as error:
        raise UsageError(
            f"model: onnxruntime has no kernel for {operator} in this precision, and the evaluator of onnx has none "
            f"either ({in_one_line(error)}); export the model without it"
        ) from error


def _operator(error: Exception) -> str:
    """The operator that an error of onnxruntime names."""
    found = re.search(r"implementation for (\w+)", str(error))
    return found[1] if found else "an operator"
