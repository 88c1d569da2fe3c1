"""In what container a weights file is: by how it begins, and by its name only where that says nothing."""

import zipfile
from pathlib import Path
from typing import Literal

from torch_retinanet.weights.containers.keras_archive import CONFIG_MEMBER, DAMAGES, WEIGHTS_MEMBER

Kind = Literal["safetensors", "hdf5", "keras", "torch", "pickle"]
"""A `.keras` archive, a file of torch in either of its formats, or a pickle as detectron2's model zoo has."""

SUFFIXES: dict[str, Kind] = {
    ".safetensors": "safetensors",
    **dict.fromkeys((".h5", ".hdf5"), "hdf5"),
    ".keras": "keras",
    **dict.fromkeys((".pth", ".pt", ".ckpt", ".bin"), "torch"),
    **dict.fromkeys((".pkl", ".pickle"), "pickle"),
}
"""What a name says."""

PACKED, EXPORTED = (".gz", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".zip", ".7z"), (".onnx", ".tflite", ".pb", ".engine")
"""How names end of what holds a weights file, and of what was made of one."""

INDEX = ".index.json"
"""How the name ends of what says in which of several files each tensor is."""

IN_PARTS = "weights in several files; save them as one, as save_file of safetensors does"

HDF5, ZIP, PICKLE = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x80"
"""How files begin; a pickle of protocol 2 and later."""

OLD_TORCH = bytes.fromhex("8a0a6cfc9c46f9206aa85019")
"""The number with which torch began a file before 1.6, after the protocol."""

LENGTH = 8
"""Bytes of the length of a safetensors header, which is a table of JSON."""


def kind_of(path: Path) -> Kind | None:
    """The container of a file; nothing where neither its first bytes nor its name tell."""
    with path.open("rb") as file:
        start = file.read(32)
    return _kind_by_start(path, start) or SUFFIXES.get(path.suffix)


def why_unknown(path: Path) -> str:
    """What a file without a kind is, and what to do; its name tells."""
    if path.name.endswith(INDEX):
        return f"is the index of {IN_PARTS}"
    if path.suffix in PACKED:
        return "is a packed file; unpack it, and name the weights in it"
    if path.suffix in EXPORTED:
        return "is an exported model; name the weights that it was exported from"
    return f"suffix must be one of {', '.join(SUFFIXES)}, as its first bytes are of no weights file"


def _kind_by_start(path: Path, start: bytes) -> Kind | None:
    if start.startswith(HDF5):
        return "hdf5"
    if start.startswith(ZIP):
        return _kind_of_archive(path)
    if start[LENGTH : LENGTH + 2] == b'{"' and int.from_bytes(start[:LENGTH], "little") <= path.stat().st_size:
        return "safetensors"
    if start.startswith(PICKLE):
        return "torch" if start[2:].startswith(OLD_TORCH) else "pickle"
    return None


def _kind_of_archive(path: Path) -> Kind | None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except DAMAGES:
        return None
    if any(name.endswith("/data.pkl") for name in members):
        return "torch"
    return "keras" if {CONFIG_MEMBER, WEIGHTS_MEMBER} & set(members) else None
