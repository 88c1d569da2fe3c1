"""Writes a traced program as machine code, by AOTInductor: for C++ and Python with torch, on processors of one kind."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.experimental.symbolic_shapes import ShapeEnv, free_unbacked_symbols

from torch_retinanet.compiler import lacks_compiler
from torch_retinanet.errors import InputError

CONVOLUTION = torch.ops.aten.conv2d.default

DEFAULTS: tuple[Any, ...] = (None, [1, 1], [0, 0], [1, 1], 1)
"""What a convolution has where a program does not say it: bias, stride, padding, dilation and groups."""

ANY = 3
"""Stands for each side that is only known as the program runs, where the compiler asks which of two strides is larger.

What it decides so is checked again as the program runs.
"""


def write_ahead(made: ExportedProgram, path: Path, outputs: tuple[str, ...], texts: dict[str, str]) -> None:
    """Compile a program for pictures of any size on this kind of processor.

    inductor of torch 2.14 takes what a convolution gives for contiguous where the size is only known as the program
    runs, and reads it wrongly where it lies channels last. oneDNN's own convolution, which lies channels last
    always, it reads rightly.

    Raises:
        InputError: where there is no compiler of C++, for a processor or torch without that convolution, and for a
            network that inductor cannot compile.
    """
    _check()
    _take_onednn(made)
    for symbol, home in _unknown_sides(made).items():
        home.set_real_tensor_prop_unbacked_vals(symbol, ANY)
    inductor = importlib.import_module("torch._inductor")
    settings = {"aot_inductor.metadata": {**texts, "outputs": " ".join(outputs)}}
    try:
        inductor.aoti_compile_and_package(made, package_path=str(path), inductor_configs=settings)
    except RuntimeError as error:  # all of torch's compilers raise kinds of it
        why = str(error).strip().partition("\n")[0]
        raise InputError(f"--to aoti: torch {torch.__version__} cannot compile this network ({why})") from error


def _check() -> None:
    """Refuse a machine on which nothing can be compiled, before it is tried."""
    if not torch._C._has_mkldnn or not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        raise InputError(f"--to aoti: torch {torch.__version__} has no oneDNN on this processor, and must have it")
    if not hasattr(ShapeEnv, "set_real_tensor_prop_unbacked_vals"):
        raise InputError(f"--to aoti: torch {torch.__version__} takes no example of unknown sizes; 2.14 does")
    if reason := lacks_compiler(torch.device("cpu")):
        raise InputError(f"--to aoti: {reason}")


def _take_onednn(made: ExportedProgram) -> None:
    """Put oneDNN's convolution in place of each."""
    for node in _convolutions(made):
        images, weight, *given = node.args
        bias, stride, padding, dilation, groups = given + list(DEFAULTS[len(given) :])
        node.target = torch.ops.mkldnn._convolution_pointwise.default
        node.args = (images, weight, bias, padding, stride, dilation, groups, "none", [], "")
    made.graph_module.recompile()


def _unknown_sides(made: ExportedProgram) -> dict[Any, Any]:
    """Symbols of the sides of what convolutions are fed that are only known as the program runs, with their home."""
    values = (node.meta.get("val") for node in made.graph.nodes)
    maps = (value for value in values if isinstance(value, torch.Tensor) and value.dim() == 4)
    sides: Iterator[Any] = (side for value in maps for side in value.shape if isinstance(side, torch.SymInt))
    return {symbol: side.node.shape_env for side in sides for symbol in free_unbacked_symbols(side)}


def _convolutions(made: ExportedProgram) -> Iterator[Node]:
    return (node for node in made.graph.nodes if node.target is CONVOLUTION)
