"""Whether `torch.compile` can make code on this machine: C++ for a CPU, Triton for a CUDA device."""

import importlib
import importlib.util

import torch


def lacks_compiler(device: torch.device) -> str:
    """What compiling for a device needs and is not here, as the end of a sentence; "" where nothing is missing."""
    if device.type == "cuda":
        has_triton = importlib.util.find_spec("triton") is not None
        return "" if has_triton else "it needs Triton, which comes with torch for CUDA on Linux"
    builder, errors = (importlib.import_module(f"torch._inductor.{name}") for name in ("cpp_builder", "exc"))
    try:
        builder.get_cpp_compiler()
    except errors.InvalidCxxCompiler:
        return "there is no C++ compiler here, such as g++; install one, or name it in CXX"
    return ""
