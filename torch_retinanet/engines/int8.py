"""Makes a file of ONNX compute its convolutions in int8: static QDQ by onnxruntime, each output channel with its own
scale, ranges from the user's pictures.

Whatever else is in the file, what prepares pictures and what makes detections of outputs, stays in float32.
"""

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pictures = Callable[[], Iterable[NDArray[np.float32]]]
"""Gives pictures (1,C,H,W) from 0 to 1, anew each time."""

KINDS = "Conv", "Relu"
"""What is computed in int8; a ReLU behind a convolution becomes part of its range."""


class Int8:
    """A file of ONNX with the ranges of its tensors on pictures, of which int8 files are made.

    Args:
        path: the file in float32.
        pictures: those from which ranges are taken.
        folder: for what is in between.

    Attributes:
        groups: the names of its convolutions by the group that they belong to: a stage of the backbone, the pyramid, a
            layer of a head.
    """

    def __init__(self, path: Path, pictures: Pictures, folder: Path) -> None:
        import onnx
        from onnxruntime.quantization import CalibrationMethod, create_calibrator

        self.model = onnx.load(path)
        self.groups: dict[str, list[str]] = {}
        for node in self._convolutions():
            self.groups.setdefault(_group(node.input[1]), []).append(node.name)
        between = str(folder / "ranges.onnx")
        method = CalibrationMethod.MinMax
        calibrator = create_calibrator(path, [*KINDS], augmented_model_path=between, calibrate_method=method)
        calibrator.collect_data(_reader(pictures()))
        self.ranges = calibrator.compute_data()

    def write(self, path: Path, floats: Collection[str]) -> None:
        """Write it in int8 but for the groups that stay in float32."""
        path.write_bytes(self._made(self.model, [group for group in self.groups if group not in floats]))

    def errors(self, pictures: Sequence[NDArray[np.float32]]) -> dict[str, float]:
        """How much each group in int8 by itself changes what the heads say.

        It is the share of the outputs' squares, the largest of all outputs of all levels on these pictures together.
        """
        import onnx

        model, outputs = copy.deepcopy(self.model), self._last()
        kind = onnx.TensorProto.FLOAT
        model.graph.output.extend(onnx.helper.make_tensor_value_info(name, kind, None) for name in outputs)
        expected = _outputs(model.SerializeToString(), outputs, pictures)
        return {
            group: _error(expected, _outputs(self._made(model, [group]), outputs, pictures)) for group in self.groups
        }

    def _made(self, model: Any, groups: Collection[str]) -> bytes:
        from onnxruntime.quantization import QDQQuantizer, QuantType

        nodes = [name for group in groups for name in self.groups[group]]
        outputs = {output for node in self._convolutions() if node.name in nodes for output in node.output}
        nodes += [node.name for node in model.graph.node if node.op_type == "Relu" and node.input[0] in outputs]
        types = QuantType.QInt8, QuantType.QUInt8
        quantizer = QDQQuantizer(copy.deepcopy(model), True, False, *types, self.ranges, nodes, [], [*KINDS], {})
        quantizer.quantize_model()
        made: bytes = quantizer.model.model.SerializeToString()
        return made

    def _convolutions(self) -> list[Any]:
        return [node for node in self.model.graph.node if node.op_type == "Conv"]

    def _last(self) -> list[str]:
        """The outputs of the convolutions behind which there is none."""
        before: set[str] = set()  # tensors from which a convolution is reached
        for node in reversed(self.model.graph.node):
            if node.op_type == "Conv" or before & {*node.output}:
                before.update(node.input)
        return [node.output[0] for node in self._convolutions() if node.output[0] not in before]


def _group(weight: str) -> str:
    """The group of a convolution, by the name of its weight."""
    parts = weight.removeprefix("network.").split(".")
    if parts[:2] == ["fpn", "backbone"]:
        return ".".join(parts[1:3])
    return "pyramid" if parts[0] == "fpn" else ".".join(parts[:2])


def _outputs(model: bytes, names: Sequence[str], pictures: Sequence[NDArray[np.float32]]) -> list[list[NDArray[Any]]]:
    """What a program gives for each picture, by output."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    given = [session.run([*names], {"images": picture}) for picture in pictures]
    return [[one[i] for one in given] for i in range(len(names))]


def _error(expected: Sequence[Sequence[NDArray[Any]]], found: Sequence[Sequence[NDArray[Any]]]) -> float:
    shares = []
    for a, b in zip(expected, found, strict=True):
        apart = sum(float(np.square(x - y, dtype=np.float64).sum()) for x, y in zip(a, b, strict=True))
        shares.append(apart / max(sum(float(np.square(x, dtype=np.float64).sum()) for x in a), 1e-30))
    return max(shares)


def _reader(pictures: Iterable[NDArray[np.float32]]) -> Any:
    """Pictures as onnxruntime asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self.left: Iterator[NDArray[np.float32]] = iter(pictures)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            picture = next(self.left, None)
            return None if picture is None else {"images": picture}

    return Reader()
