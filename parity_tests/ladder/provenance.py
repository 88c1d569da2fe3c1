"""What a run would need to be repeated: versions, machine, precision flags, commit. Needs numpy alone."""

import contextlib
import os
import platform
import re
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = ("torch", "torchvision", "keras", "tensorflow", "jax", "numpy")
"""Those whose versions are told, where they are installed."""

THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
"""Where torch and TensorFlow look up how many threads they may use."""

STATUS = Path("/proc/self/status")
"""Where Linux says what memory a process holds."""


def provenance() -> dict[str, Any]:
    """Versions, platform, BLAS, threads, precision flags and commit of this process."""
    return {
        "versions": {"python": platform.python_version()} | _versions(),
        "platform": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "blas": _blas(),
        "threads": _threads(),
        "precision": _precision(),
        "commit": _commit(),
    }


def peak_memory(*, of_children: bool = False) -> int:
    """The most memory in bytes that this process, or the largest that it has started and ended, has held at once."""
    who = resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def mapped_memory() -> int:
    """The bytes among them that are files, as libraries are: processes side by side share them. 0 where not known."""
    if not STATUS.exists():
        return 0
    found = re.search(r"^RssFile:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _blas() -> dict[str, str]:
    numpy_blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    found = {"numpy": f"{numpy_blas['name']} {numpy_blas['version']}"}
    if torch := sys.modules.get("torch"):
        mkl, mkldnn = torch.backends.mkl.is_available(), torch.backends.mkldnn.is_available()
        found["torch"] = ", ".join(name for name, there in (("MKL", mkl), ("oneDNN", mkldnn)) if there) or "its own"
    return found


def _threads() -> dict[str, Any]:
    """How many each framework that is loaded uses within an operation, and what was asked for."""
    found: dict[str, Any] = {}
    if torch := sys.modules.get("torch"):
        found["torch"] = torch.get_num_threads()
    if tensorflow := sys.modules.get("tensorflow"):
        within = tensorflow.config.threading.get_intra_op_parallelism_threads()
        found["tensorflow"] = os.environ.get("TF_NUM_INTRAOP_THREADS") or within or "one a core"
    return found | {name: os.environ[name] for name in THREADS if name in os.environ}


def _precision() -> dict[str, Any]:
    found: dict[str, Any] = {}
    if torch := sys.modules.get("torch"):
        found["torch float32 matmul"] = torch.get_float32_matmul_precision()
        found["torch deterministic"] = torch.are_deterministic_algorithms_enabled()
    if keras := sys.modules.get("keras"):
        found["keras backend"] = keras.config.backend()
    if "tensorflow" in sys.modules:
        found["tensorflow oneDNN"] = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default")
    return found


def _commit() -> str:
    """The commit of the code, marked where files were changed since; empty outside a repository."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
