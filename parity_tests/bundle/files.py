"""The folder that a bundle is: `manifest.json`, and safetensors with a checksum each."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from parity_tests.rule.errors import InputError
from parity_tests.rule.files import written_beside
from parity_tests.rule.sampled import Sampled

KIND = "retinanet-parity bundle"
FORMAT = f"{KIND} 3"
"""Name and version; the version counts up where old bundles could not be checked any more."""

MANIFEST = "manifest.json"

TEXTS = {str: str}

SECTIONS: dict[str, Any] = {
    **dict.fromkeys(("side", "preset"), str),
    **dict.fromkeys(("checksums", "given", "sources", "inventory", "left_out"), TEXTS),
    "sizes": [(int, int)],
    "rungs": [str],
    "names": {str: [str]},
    "samples": {str: {"shape": [int], "largest": float, "finite": bool}},
    "limits": {"score": float, "iou": float, "most": int},
    "num_classes": int,
    "anchor_scale": float,
    "provenance": dict,
}
"""What a manifest has, in which form: a type, `[form]` or `{str: form}` for any number, else those that are named."""

Value = NDArray[Any] | Sampled


class BundleWriter:
    """Collects arrays by file and name, and writes them all at the end."""

    def __init__(self) -> None:
        self.arrays: dict[str, dict[str, NDArray[Any]]] = {}
        self.samples: dict[str, dict[str, Any]] = {}
        self.names: dict[str, dict[str, None]] = {}
        self.given: dict[str, str] = {}

    def put(self, file: str, name: str, value: Value) -> None:
        """Keep an array, or the samples of one, as `name` of `file`."""
        values = value.values if isinstance(value, Sampled) else np.asarray(value)
        self.arrays.setdefault(file, {})[name] = np.array(values, order="C")  # a copy: the side goes on with its own
        self.names.setdefault(file, {})[name] = None
        self.samples.pop(f"{file}/{name}", None)
        if isinstance(value, Sampled):
            about = {"shape": list(value.shape), "largest": value.largest, "finite": value.finite}
            self.samples[f"{file}/{name}"] = about

    def write(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        """The whole folder, or nothing.

        Raises:
            OSError: where it cannot be written.
        """
        with written_beside(folder) as beside:
            beside.mkdir()
            for file, arrays in self.arrays.items():
                save_file(arrays, beside / f"{file}.safetensors")
            checksums = {f"{file}.safetensors": _checksum(beside / f"{file}.safetensors") for file in self.arrays}
            content = {"format": FORMAT, "checksums": checksums, **manifest}
            content |= {
                "given": self.given,
                "samples": self.samples,
                "names": {file: [*names] for file, names in self.names.items()},
            }
            content["digest"] = manifest_digest(content)
            (beside / MANIFEST).write_text(json.dumps(content, indent=1) + "\n")


class Bundle:
    """A recorded bundle, every file of which is as it was written.

    Raises:
        InputError: for a folder that is no bundle, of another version, or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder)
        self.files: dict[str, dict[str, NDArray[Any]]] = {}
        for name, checksum in self.of("checksums").items():
            path = folder / str(name)
            if Path(str(name)).name != name or not path.is_file():
                raise InputError(f"{path}: is missing in the bundle")
            if _checksum(path) != checksum:
                raise InputError(f"{path}: is not as it was recorded (its checksum differs)")
            self.files[path.stem] = _load(path)

    def get(self, file: str, name: str) -> Value:
        """An array, or the samples of one.

        Raises:
            InputError: where the bundle has none of this name.
        """
        try:
            values = self.files[file][name]
        except KeyError:
            raise InputError(f"{self.folder}: has no {name} in {file}.safetensors") from None
        about = self.of("samples").get(f"{file}/{name}")
        if about is None:
            return values
        return Sampled(tuple(about["shape"]), values.dtype, about["largest"], about["finite"], values)

    def file(self, name: str) -> dict[str, NDArray[Any]]:
        """All arrays of a file that has no samples, by name.

        Raises:
            InputError: where the bundle has no such file.
        """
        if name not in self.files:
            raise InputError(f"{self.folder}: has no {name}.safetensors")
        return self.files[name]

    def of(self, key: str) -> Any:
        """What the manifest has as `key`."""
        if key not in self.manifest:
            raise InputError(f"{self.folder / MANIFEST}: has no {key!r}")
        return self.manifest[key]


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder}: is no bundle, since it has no {MANIFEST}")
    try:
        manifest = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error})") from None
    found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
    if found != FORMAT:
        raise InputError(f"{path}: holds {found!r}, and must be the format {FORMAT!r}")
    if manifest.get("digest") != manifest_digest(manifest):
        raise InputError(f"{path}: is not as it was recorded (its digest differs)")
    for key, form in SECTIONS.items():
        if fault := next(_faults(repr(key), manifest.get(key), form), None):
            raise InputError(f"{path}: {fault}")
    return dict(manifest)


def _faults(where: str, value: Any, form: Any) -> Iterator[str]:
    """What of a value has not its form, a sentence each."""
    kind: Any = form if isinstance(form, type) else list if isinstance(form, tuple) else type(form)
    if not isinstance(value, kind):
        yield f"{where} is {value!r:.40}, and must be of type {kind.__name__}"
    elif isinstance(form, tuple) and len(value) != len(form):
        yield f"{where} is {value!r:.40}, and must have {len(form)} items"
    elif isinstance(form, tuple | list):
        for i, item in enumerate(value):
            yield from _faults(f"{where}[{i}]", item, form[0])
    elif isinstance(form, dict):
        for name in value if str in form else form:
            yield from _faults(f"{where}[{name!r}]", value.get(name), form.get(str) or form[name])


def is_bundle(folder: Path) -> bool:
    """Whether a folder holds a bundle, whole or damaged, of whatever version, and nothing else."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError, RecursionError):
        return False
    names = [path.name for path in folder.iterdir()]
    kind = str(manifest.get("format")) if isinstance(manifest, dict) else ""
    return kind.startswith(KIND) and all(name == MANIFEST or name.endswith(".safetensors") for name in names)


def check_replaceable(folder: Path) -> None:
    """Raise `InputError` where something else than a bundle stands in a bundle's place."""
    if folder.exists() and not is_bundle(folder):
        raise InputError(f"{folder}: exists and is no bundle, and is not replaced")


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Of all of a manifest but the digest itself."""
    content = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error})") from None


def _checksum(path: Path) -> str:
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            checksum.update(part)
    return checksum.hexdigest()
