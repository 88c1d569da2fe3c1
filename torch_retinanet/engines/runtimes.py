"""An exported file, opened by its runtime and run on numpy arrays. Imports numpy and that runtime alone."""

import importlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from torch_retinanet.errors import InputError, install_hint

Arrays = Mapping[str, NDArray[Any]]
"""What a program gives, by name."""

Run = Callable[[NDArray[np.float32]], Arrays]
"""From pictures (B,C,H,W), or what the network is fed, to what comes out."""


def open_program(path: Path, outputs: tuple[str, ...], *, threads: int = 0, bf16: bool = False) -> Run:
    """The program in a file, by its suffix.

    Args:
        path: the file.
        outputs: names of what it gives, in order.
        threads: of its runtime; by default as many as it takes. Programs of torch have torch's.
        bf16: whether it computes in bfloat16, for OpenVINO alone.

    Raises:
        InputError: for another suffix, a runtime that is not installed, and a file that it cannot read; from the
            program itself, for pictures that it cannot run on.
    """
    kind = kind_of(path)
    try:
        return _in_words(path, kind.opened(path, outputs, threads, bf16))
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: {error.name} is not installed; {install_hint(kind.extra)} brings it") from None
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise InputError(f"{path}: its runtime cannot read it: {_first_line(error)}") from None


def _in_words(path: Path, run: Run) -> Run:
    """A program whose runtime says in one sentence that it cannot run it."""

    def in_words(images: NDArray[np.float32]) -> Arrays:
        try:
            return run(images)
        except Exception as error:  # those of the runtimes have no common class but this
            raise InputError(f"{path}: its runtime cannot run it: {_first_line(error)}") from None

    return in_words


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def kind_of(path: Path) -> "FileKind":
    """The kind of a file, by its suffix, and by what is packed in it where kinds have the same.

    Raises:
        InputError: for another suffix.
    """
    of_suffix = [kind for kind in KINDS.values() if kind.suffix == path.suffix]
    if not of_suffix:
        suffixes = dict.fromkeys(kind.suffix for kind in KINDS.values())
        raise InputError(f"{path}: its name must end in {', '.join(suffixes)}")
    packed = _packed(path) if len(of_suffix) > 1 else []
    marked = [kind for kind in of_suffix if kind.mark and any(kind.mark in name for name in packed)]
    return (marked or of_suffix)[0]


def _packed(path: Path) -> list[str]:
    """The names of what is packed in a file; none where it is no archive."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def _onnx(path: Path, outputs: tuple[str, ...], threads: int, bf16: bool) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class but this
        raise ValueError(str(error)) from None
    return lambda images: dict(zip(outputs, session.run([*outputs], {"images": images}), strict=True))


def _openvino(path: Path, outputs: tuple[str, ...], threads: int, bf16: bool) -> Run:
    import openvino

    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32"}
    settings |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", settings)

    def run(images: NDArray[np.float32]) -> Arrays:
        answer = compiled({"images": images})
        return {name: np.array(answer[name]) for name in outputs}

    return run


def _torch_export(path: Path, outputs: tuple[str, ...], threads: int, bf16: bool) -> Run:
    import torch
    import torchvision  # noqa: F401  # whose operators a program has

    program = torch.export.load(path).module()

    def run(images: NDArray[np.float32]) -> Arrays:
        with torch.no_grad():
            answer = program(torch.from_numpy(images))
        return {name: answer[name].numpy() for name in outputs}

    return run


def _ahead(path: Path, outputs: tuple[str, ...], threads: int, bf16: bool) -> Run:
    import torch
    import torchvision  # noqa: F401  # whose operators a program has

    from torch_retinanet.engines.exporters import quiet

    with quiet():
        program = importlib.import_module("torch._inductor").aoti_load_package(str(path))

    def run(images: NDArray[np.float32]) -> Arrays:
        answer = program(torch.from_numpy(images))
        return {name: answer[name].numpy() for name in outputs}

    return run


class FileKind(NamedTuple):
    """A kind of exported file.

    Attributes:
        suffix: how the name of its files ends.
        runtime: the package that runs them.
        extra: what installs it; none where the package needs it anyway.
        opened: the program in a file, as `open_program` gives it.
        mark: what the name of something packed in it has, and nothing in other kinds of this suffix.
    """

    suffix: str
    runtime: str
    extra: str
    opened: Callable[[Path, tuple[str, ...], int, bool], Run]
    mark: str = ""


KINDS = {
    "onnx": FileKind(".onnx", "onnxruntime", "onnx", _onnx),
    "torch-export": FileKind(".pt2", "torch", "", _torch_export),
    "openvino": FileKind(".xml", "openvino", "openvino", _openvino),
    "aoti": FileKind(".pt2", "torch", "", _ahead, mark="/aotinductor/"),
}
"""By the name that `retinanet export --to` has."""
