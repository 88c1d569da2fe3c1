"""Writes a detector, or its network alone, as a file of torch.export, of AOTInductor, of ONNX or of OpenVINO."""

import copy
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.ahead import write_ahead
from torch_retinanet.engines.certificate import OUTPUTS
from torch_retinanet.errors import InputError, install_hint
from torch_retinanet.model import RetinaNet
from torch_retinanet.traced.operators import ONNX, OPENVINO, TORCH, Operators
from torch_retinanet.traced.program import DetectionProgram

OPSET = 18
"""The version of ONNX' operators that files have."""


class Target(NamedTuple):
    """A kind of file.

    Attributes:
        operators: those that its runtime has.
        write: writes a traced program, with texts beside it, to a path.
    """

    operators: Operators
    write: Callable[[ExportedProgram, Path, tuple[str, ...], dict[str, str]], None]


def write_program(detector: RetinaNetDetector, path: Path, to: str, *, raw: bool = False) -> None:
    """Write the file of a target.

    Args:
        detector: what is exported, in float32.
        path: the file; OpenVINO writes its weights beside it, as `.bin`.
        to: the name of the target.
        raw: the network alone, whose input is resized, normalised and padded already.

    Raises:
        InputError: for a convention that no program has; and where the libraries that write are not installed.
    """
    target, network = TARGETS[to], _frozen(detector)
    if target.operators is not TORCH:
        _check_torch()
    program: nn.Module = NetworkProgram(network)
    if not raw:
        program = DetectionProgram(network, detector.config, target.operators)
    texts = {
        "class_names": json.dumps(detector.class_names),
        "conventions": json.dumps(detector.config.as_dict()),
    }
    try:
        with quiet():
            target.write(traced(program, detector.config.in_channels), path, OUTPUTS[_kind(raw)], texts)
    except ModuleNotFoundError as error:
        extra = "openvino" if error.name == "openvino" else "onnx"
        raise InputError(f"--to {to}: {error.name} is not installed; {install_hint(extra)} brings it") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Within it nothing is heard of what torch's exporters and compilers say about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _kind(raw: bool) -> str:
    return "network" if raw else "detections"


class NetworkProgram(nn.Module):
    """Images (B,C,H,W) as the network is fed to `deltas` (B,N,4) and `logits` (B,N,K), as `RetinaNet` gives them."""

    def __init__(self, network: RetinaNet) -> None:
        super().__init__()
        self.network = network
        self.multiple = 32 if network.config.upsample.endswith("2x") else 1

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        # Sides that are counted anew are any whole numbers to the tracer, which would else tell 1 from the rest.
        height, width = (self._side(side) for side in images.shape[-2:])
        deltas, logits = self.network(images[:, :, :height, :width], apart=True)
        return {"deltas": deltas, "logits": logits}

    def _side(self, side: int) -> int:
        times = cast("int", (torch.scalar_tensor(side, dtype=torch.int64) // self.multiple).item())
        torch._check(times >= 1)
        torch._check(times * self.multiple <= side)
        return times * self.multiple


def _frozen(detector: RetinaNetDetector) -> RetinaNet:
    """A copy of the network, in float32 on the CPU, that is not trained any more."""
    network = copy.deepcopy(detector.model).float().cpu().to(memory_format=torch.contiguous_format).eval()
    return network.requires_grad_(False)


def traced(program: nn.Module, channels: int) -> ExportedProgram:
    """A program for any number of pictures of any size, without the places in files of this machine.

    Raises:
        InputError: for a network that torch cannot trace so, as some of timm.
    """
    dynamic = ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    example = (torch.rand(2, channels, 160, 224),)
    try:
        with torch.no_grad():
            made = torch.export.export(program, example, dynamic_shapes=dynamic, strict=False)
    except RuntimeError as error:
        why = str(error).strip().partition("\n")[0]
        raise InputError(f"backbone: torch cannot trace the network for pictures of any size ({why})") from error
    for module in made.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)
    return made


def _write_torch(made: ExportedProgram, path: Path, outputs: tuple[str, ...], texts: dict[str, str]) -> None:
    torch.export.save(made, path, extra_files=texts)


def _check_torch() -> None:
    if not hasattr(torch.onnx, "ops"):
        raise InputError(f"--to: torch {torch.__version__} cannot write the operators of ONNX; it must be 2.8 or newer")


def _write_onnx(made: ExportedProgram, path: Path, outputs: tuple[str, ...], texts: dict[str, str]) -> None:
    import onnxscript  # noqa: F401  # torch's exporter needs it, and says so in another way

    written = torch.onnx.export(
        made,
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=["images"],
        output_names=[*outputs],
    )
    assert written is not None
    for node in written.model.graph:
        node.metadata_props.clear()
    written.model.metadata_props.update(texts)
    written.save(str(path), external_data=False)


def _write_openvino(made: ExportedProgram, path: Path, outputs: tuple[str, ...], texts: dict[str, str]) -> None:
    import openvino

    between = path.with_suffix(".onnx")
    _write_onnx(made, between, outputs, texts)
    model = openvino.convert_model(between)
    for name, text in texts.items():
        model.set_rt_info(text, ["torch_retinanet", name])
    openvino.save_model(model, path, compress_to_fp16=False)
    between.unlink()


TARGETS = {
    "onnx": Target(ONNX, _write_onnx),
    "torch-export": Target(TORCH, _write_torch),
    "openvino": Target(OPENVINO, _write_openvino),
    "aoti": Target(TORCH, write_ahead),
}
"""What a detector can be exported to, by the name that `--to` has."""
