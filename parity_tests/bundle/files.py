"""The folder that a bundle is: `manifest.json`, and safetensors with a checksum each."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from parity_tests.bundle.tree import Arrays, loaded, stored_answer
from parity_tests.rule.errors import UsageError
from parity_tests.rule.files import atomic_write

KIND = "retinanet-parity bundle"
FORMAT = f"{KIND} 6"
"""Name and version; the version counts up where old bundles could not be checked any more."""

MANIFEST, WEIGHTS = "manifest.json", "weights"

TEXTS = {str: str}

SECTIONS: dict[str, Any] = {
    **dict.fromkeys(("checksums", "sources", "inventory", "skipped"), TEXTS),
    "cases": {str: {"rung": str, "answer": dict}},
    "provenance": dict,
}
"""What every manifest has, in which form: a type, `[form]` or `{str: form}` for any number, else those named."""


class BundleWriter:
    """Collects answers by case, and writes them all at the end: the arrays of each rung to a file of its own."""

    def __init__(self) -> None:
        self.cases: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, Arrays] = {}

    def put(self, case: str, rung: str, answer: Mapping[str, Any], whole: Collection[str] = ()) -> None:
        """Keep an answer; of its parts those in `whole` as they are, and of others large arrays as samples."""
        stored = stored_answer(answer, self.arrays.setdefault(rung, {}), whole)
        self.cases[case] = {"rung": rung, "answer": stored}

    def write(self, folder: Path, weights: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> None:
        """The whole folder, or nothing.

        Raises:
            OSError: where it cannot be written.
        """
        with atomic_write(folder) as beside:
            beside.mkdir()
            files = {f"{name}.safetensors": arrays for name, arrays in {**self.arrays, WEIGHTS: dict(weights)}.items()}
            for name, arrays in files.items():
                save_file({key: np.asarray(array, order="C") for key, array in arrays.items()}, beside / name)
            checksums = {name: _checksum(beside / name) for name in files}
            content = {"format": FORMAT, "checksums": checksums, **about, "cases": self.cases}
            content["digest"] = manifest_digest(content)
            (beside / MANIFEST).write_text(json.dumps(content, indent=1) + "\n")


class Bundle(Mapping[str, Mapping[str, Any]]):
    """The answers of a recorded bundle by case; every file of it is as it was written.

    Raises:
        UsageError: for a folder that is no bundle, of another version, or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder)
        self.files: dict[str, Arrays] = {}
        for name, checksum in self.manifest["checksums"].items():
            path = folder / str(name)
            if Path(str(name)).name != name or not path.is_file():
                raise UsageError(f"{path}: is missing in the bundle")
            if _checksum(path) != checksum:
                raise UsageError(f"{path}: is not as it was recorded (its checksum differs)")
            self.files[path.stem] = _load(path)

    def __getitem__(self, case: str) -> Mapping[str, Any]:
        """The answer in a case.

        Raises:
            UsageError: where none was recorded.
        """
        if case not in self.manifest["cases"]:
            raise UsageError(f"{self.folder}: has no answer of {case}; it was recorded otherwise")
        recorded = self.manifest["cases"][case]
        answer: Mapping[str, Any] = loaded(recorded["answer"], self.files.get(recorded["rung"], {}))
        return answer

    def __iter__(self) -> Iterator[str]:
        return iter(self.manifest["cases"])

    def __len__(self) -> int:
        return len(self.manifest["cases"])

    @property
    def weights(self) -> Arrays:
        """The weights of both sides, by the reference's names.

        Raises:
            UsageError: where the bundle has none.
        """
        if WEIGHTS not in self.files:
            raise UsageError(f"{self.folder}: has no {WEIGHTS}.safetensors")
        return self.files[WEIGHTS]

    @property
    def rungs(self) -> list[str]:
        """The rungs that have an answer."""
        return list(dict.fromkeys(str(case["rung"]) for case in self.manifest["cases"].values()))

    def of(self, key: str, form: Any) -> Any:
        """What the manifest has as `key`, which has this form.

        Raises:
            UsageError: where it has none of that form.
        """
        if fault := next(_faults(repr(key), self.manifest.get(key), form), None):
            raise UsageError(f"{self.folder / MANIFEST}: {fault}")
        return self.manifest[key]


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise UsageError(f"{folder}: is no bundle, since it has no {MANIFEST}")
    try:
        manifest = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error})") from None
    found = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
    if found != FORMAT:
        raise UsageError(f"{path}: holds {found!r}, and must be the format {FORMAT!r}")
    if manifest.get("digest") != manifest_digest(manifest):
        raise UsageError(f"{path}: is not as it was recorded (its digest differs)")
    for key, form in SECTIONS.items():
        if fault := next(_faults(repr(key), manifest.get(key), form), None):
            raise UsageError(f"{path}: {fault}")
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
    """Raise `UsageError` where something else than a bundle stands in a bundle's place."""
    if folder.exists() and not is_bundle(folder):
        raise UsageError(f"{folder}: exists and is no bundle, and is not replaced")


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Of all of a manifest but the digest itself."""
    content = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise UsageError(f"{path}: not a whole safetensors file ({error})") from None


def _checksum(path: Path) -> str:
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(2**20):
            checksum.update(part)
    return checksum.hexdigest()
