"""An exported file, opened by its runtime and run on numpy arrays. Imports numpy and that runtime alone."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torch_retinanet.errors import InputError, install_hint

Arrays = Mapping[str, NDArray[Any]]
"""What a program gives, by name."""

Run = Callable[[NDArray[np.float32]], Arrays]
"""From pictures (B,C,H,W), or what the network is fed, to what comes out."""


def open_program(path: Path, outputs: tuple[str, ...]) -> Run:
    """The program in a file, by its suffix: ONNX `.onnx`, OpenVINO `.xml`, torch.export `.pt2`.

    Args:
        path: the file.
        outputs: names of what it gives, in order.

    Raises:
        InputError: for another suffix, a runtime that is not installed, and a file that it cannot read; from the
            program itself, for pictures that it cannot run on.
    """
    opener = OPENERS.get(path.suffix)
    if opener is None:
        raise InputError(f"{path}: its name must end in {', '.join(OPENERS)}")
    try:
        return _in_words(path, opener(path, outputs))
    except ModuleNotFoundError as error:
        extra = "openvino" if path.suffix == ".xml" else "onnx"
        raise InputError(f"{path}: {error.name} is not installed; {install_hint(extra)} brings it") from None
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


def version_of(path: Path) -> dict[str, str]:
    """The name and the version of the runtime of a file."""
    from importlib.metadata import version

    name = {".onnx": "onnxruntime", ".xml": "openvino", ".pt2": "torch"}[path.suffix]
    return {name: version(name)}


def _onnx(path: Path, outputs: tuple[str, ...]) -> Run:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class but this
        raise ValueError(str(error)) from None
    return lambda images: dict(zip(outputs, session.run([*outputs], {"images": images}), strict=True))


def _openvino(path: Path, outputs: tuple[str, ...]) -> Run:
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(images: NDArray[np.float32]) -> Arrays:
        answer = compiled({"images": images})
        return {name: np.array(answer[name]) for name in outputs}

    return run


def _torch_export(path: Path, outputs: tuple[str, ...]) -> Run:
    import torch
    import torchvision  # noqa: F401  # whose operators a program has

    program = torch.export.load(path).module()

    def run(images: NDArray[np.float32]) -> Arrays:
        with torch.no_grad():
            answer = program(torch.from_numpy(images))
        return {name: answer[name].numpy() for name in outputs}

    return run


OPENERS: dict[str, Callable[[Path, tuple[str, ...]], Run]] = {".onnx": _onnx, ".xml": _openvino, ".pt2": _torch_export}
"""What opens a file, by its suffix."""
