"""The torch network by other runtimes, each held against eager torch in float32: where does one part, and by how much?

Every intermediate result that the network names is an output of what a runtime is given, so that the first one that
differs can be named. A runtime that joins operations may join fewer of them then.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from parity_tests.ladder.compare_models import compare_models
from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.inputs import Size
from parity_tests.rule.errors import UsageError, in_one_line, install_hint
from parity_tests.rule.record import Array
from parity_tests.rule.result import Result
from parity_tests.sides.adapters import Function, TorchModule
from parity_tests.sides.own_taps import OwnTaps

SIZES: Sequence[Size] = ((128, 128), (96, 160))
"""The sizes of pictures, where none are asked for."""

FLAT = ("logits", "deltas", "outputs")
"""Taps that have no axis of channels."""

Run = Callable[[Array], Sequence[Array]]
"""From pictures (B,3,H,W) to the values of all taps."""


class Watched(nn.Module):
    """A network whose intermediate results are its outputs, in the order of `names`."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.network = network.eval()
        self.eval()
        with torch.inference_mode():
            self.names = list(self._taps(images))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        taps = self._taps(images)
        return tuple(taps[name] for name in self.names)

    def _taps(self, images: Tensor) -> dict[str, Tensor]:
        taps: dict[str, Tensor] = {}
        self.network(images, taps=taps)
        return taps


def _eager(module: Callable[[Tensor], Sequence[Tensor]]) -> Run:
    def run(images: Array) -> Sequence[Array]:
        with torch.inference_mode():
            return [values.float().numpy() for values in module(torch.from_numpy(images))]

    return run


def _bf16(watched: Watched, images: Tensor) -> Run:
    run: Run = torch.autocast("cpu", torch.bfloat16)(_eager(watched))
    return run


def _channels_last(watched: Watched, images: Tensor) -> Run:
    module = watched.to(memory_format=torch.channels_last)
    return _eager(lambda given: module(given.contiguous(memory_format=torch.channels_last)))


def _compiled(watched: Watched, images: Tensor) -> Run:
    torch.compiler.reset()
    return _eager(torch.compile(watched))


def _written(watched: Watched, images: Tensor) -> bytes:
    """The network as an ONNX file, for pictures of this size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        names = [f"tap.{name}" for name in watched.names]
        torch.onnx.export(watched, (images,), path, dynamo=True, verbose=False, output_names=names, external_data=False)
        return path.read_bytes()


def _onnx(watched: Watched, images: Tensor) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(_written(watched, images), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda given: session.run(None, {name: given})


def _openvino(watched: Watched, images: Tensor, *, precision: str = "f32") -> Run:
    import openvino

    core = openvino.Core()
    model = core.read_model(_written(watched, images), b"")
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})

    def run(given: Array) -> Sequence[Array]:
        found = compiled(given)
        return [np.array(found[output]) for output in compiled.outputs]

    return run


RUNTIMES: Mapping[str, Callable[[Watched, Tensor], Run]] = {
    "bf16": _bf16,
    "channels-last": _channels_last,
    "compiled": _compiled,
    "onnx": _onnx,
    "openvino": _openvino,
    "openvino-bf16": lambda watched, images: _openvino(watched, images, precision="bf16"),
}
"""By name: eager torch in bfloat16 by autocast, or with channels last; torch.compile; onnxruntime; OpenVINO."""


def compare_runtime(run: DetectorComparison, name: str) -> Result:
    """What a runtime makes of the network of a run's port, held against eager torch.

    Raises:
        UsageError: for a runtime that is not installed, or refuses the network.
    """
    side: Any = run.sides.port("float32")
    network = side.model
    found = [_compare(network, name, run.inputs.images(size)) for size in run.sizes or SIZES]
    return replace(
        found[0],
        records=[record for result in found for record in result.records],
        warnings=list(dict.fromkeys(words for result in found for words in result.warnings)),
        settings={**found[0].settings, "runtime": name, "sizes": [f"{h}x{w}" for h, w in run.sizes or SIZES]},
        cost={
            "seconds": sum(result.cost["seconds"] for result in found),
            "peak_gib": max(result.cost["peak_gib"] for result in found),
        },
    )


def _compare(network: Any, name: str, pictures: Array) -> Result:
    images = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2).astype(np.float32))
    watched = Watched(network, torch.from_numpy(images))
    opened = _opened(name, watched, torch.from_numpy(images))

    def runtime(given: Array) -> dict[str, Array]:
        return dict(zip(watched.names, opened(given.astype(np.float32)), strict=True))

    runtime.__name__ = name
    reference = TorchModule(network, OwnTaps(flat=FLAT))
    return compare_models(reference, Function(runtime, "channels_first"), images, dtypes=("float32",))


def _opened(name: str, watched: Watched, images: Tensor) -> Run:
    try:
        return RUNTIMES[name](watched, images)
    except ModuleNotFoundError as error:
        hint = install_hint("openvino" if error.name == "openvino" else "onnx")
        raise UsageError(f"--against: {name} needs {error.name}; {hint} brings it") from None
    except (RuntimeError, NotImplementedError) as error:
        raise UsageError(f"--against: {name} does not take the network ({in_one_line(error)})") from error
