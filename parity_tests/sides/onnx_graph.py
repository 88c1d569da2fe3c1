"""ONNX models: read, converted to float64, and cut at the tensors that are tapped. Needs onnx.

Nothing is unpickled, no library of custom operators is loaded, and data outside a file lie in its own folder.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from parity_tests.rule.errors import UsageError
from parity_tests.sides.names import unknown

FLOATING = (TensorProto.FLOAT, TensorProto.DOUBLE)
FED = "@fed"
"""Ends the name of an input that stands for a tensor from where it is tapped."""


def read(model: str | Path | bytes) -> Any:
    """The model in a file or in bytes, its data with it.

    Raises:
        UsageError: for what is no ONNX model, and for data outside its folder.
    """
    try:
        if isinstance(model, bytes):
            found = onnx.load_model_from_string(model)
        else:
            found = onnx.load(str(model), load_external_data=False)
    except (OSError, DecodeError) as error:
        what = f"{len(model)} bytes" if isinstance(model, bytes) else str(model)
        raise UsageError(f"model: {what} is no ONNX model that can be read ({type(error).__name__})") from None
    outside = [tensor for tensor in found.graph.initializer if uses_external_data(tensor)]
    if outside and isinstance(model, bytes):
        raise UsageError(f"model: {outside[0].name} lies outside the bytes, and the model must be given as a file")
    if outside:
        folder = Path(str(model)).resolve().parent
        for tensor in outside:
            location = ExternalDataInfo(tensor).location
            if not (folder / location).resolve().is_relative_to(folder):
                raise UsageError(f"model: {tensor.name} lies in {location}, and data must lie in the file's own folder")
        onnx.load_external_data_for_model(found, str(folder))
    return found


def parameters(model: Any) -> dict[str, Any]:
    """The initializers that are floating-point numbers, by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type in FLOATING}


def taps_of(model: Any) -> dict[str, str]:
    """By module that has parameters, `conv` for `conv.weight`, the tensor that the last node with one of them makes."""
    owners = {name: name.rpartition(".")[0] for name in parameters(model)}
    constant = {tensor.name for tensor in model.graph.initializer}
    found: dict[str, str] = {}
    for node in model.graph.node:
        of = [owners[name] for name in node.input if owners.get(name)]
        if constant.issuperset(filter(None, node.input)):  # parameters on their way to the node that takes them
            constant.update(node.output)
            owners |= dict.fromkeys(node.output, of[0]) if of else {}
        else:
            found |= dict.fromkeys(of, node.output[0])
    return found


def check_tensor(argument: str, model: Any, name: str) -> str:
    """The name of a tensor itself.

    Raises:
        UsageError: where no node of the model makes it.
    """
    names = [output for node in model.graph.node for output in node.output if output]
    if name not in names:
        raise UsageError(f"{argument}: {name!r} is no tensor that a node makes; {unknown(name, names)}")
    return name


def tapped(model: Any, taps: Collection[str], fed: Collection[str]) -> Any:
    """The model with these tensors as further outputs; what takes one of `fed` takes an input of the model instead."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    types = {info.name: info.type for info in onnx.shape_inference.infer_shapes(model).graph.value_info}
    types |= {info.name: info.type for info in graph.output}
    for nodes in _node_lists(graph):
        for node in nodes:
            renamed = [name + FED if name in fed else name for name in node.input]
            del node.input[:]
            node.input.extend(renamed)
    for name in fed:
        if name not in types:
            raise UsageError(f"taps: the type of {name!r} is not known, and it must be for the tap to be fed")
        graph.input.append(helper.make_tensor_value_info(name + FED, types[name].tensor_type.elem_type, None))
    present = {info.name for info in graph.output}
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(taps) if name not in present)
    return changed


def in_float64(model: Any) -> Any:
    """The model with every float32 number as float64, but for what an operator takes as float32 alone."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    versions = {opset.domain: opset.version for opset in changed.opset_import}
    for graph in _graphs(changed.graph):
        for tensor in graph.initializer:
            _double(tensor)
        for info in (*graph.input, *graph.output):
            if info.type.tensor_type.elem_type == TensorProto.FLOAT:
                info.type.tensor_type.elem_type = TensorProto.DOUBLE
        del graph.value_info[:]
    for nodes in (*_node_lists(changed.graph), *(function.node for function in changed.functions)):
        for node in nodes:
            _double_attributes(node)
        _cast_back(nodes, versions)
    return changed


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph, and all within its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.type == AttributeProto.GRAPH else ())):
                yield from _graphs(inner)


def _node_lists(graph: Any) -> list[Any]:
    return [inner.node for inner in _graphs(graph)]


def _double(tensor: Any) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype("float64"), tensor.name))


def _double_attributes(node: Any) -> None:
    """Constants, and the type that a node is told to make."""
    if node.op_type == "ConstantOfShape" and not node.attribute:
        node.attribute.append(helper.make_attribute("value", helper.make_tensor("", TensorProto.FLOAT, [1], [0.0])))
    for attribute in node.attribute:
        if attribute.name in ("to", "dtype") and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.DOUBLE
        elif attribute.type == AttributeProto.TENSOR:
            _double(attribute.t)
        elif node.op_type == "Constant" and attribute.name in ("value_float", "value_floats"):
            value = helper.get_attribute_value(attribute)
            shape = [len(value)] if attribute.name == "value_floats" else []
            numbers = value if shape else [value]
            tensor = helper.make_tensor("", TensorProto.DOUBLE, shape, numbers)
            attribute.CopyFrom(helper.make_attribute("value", tensor))


def _cast_back(nodes: Any, versions: Mapping[str, int]) -> None:
    """A cast before each input that its operator takes as float32 alone, as the scales of `Resize`."""
    after = []
    for node in nodes:
        for i, name in enumerate(node.input):
            if name and _takes_float32_alone(node, i, versions):
                node.input[i] = f"{name}@float32 for {node.output[0]}"
                after.append(helper.make_node("Cast", [name], [node.input[i]], to=TensorProto.FLOAT))
        after.append(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in after]
    del nodes[:]
    nodes.extend(copies)


def _takes_float32_alone(node: Any, place: int, versions: Mapping[str, int]) -> bool:
    try:
        schema = onnx.defs.get_schema(node.op_type, versions.get(node.domain, 1), node.domain)
    except onnx.defs.SchemaError:
        return False
    types = set(schema.inputs[min(place, len(schema.inputs) - 1)].types)
    return "tensor(float)" in types and not types - {"tensor(float)", "tensor(float16)", "tensor(bfloat16)"}
