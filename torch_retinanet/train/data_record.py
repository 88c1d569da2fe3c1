"""What the data of a run are, kept in its folder, so that a run that goes on notices where they have changed.

Of each picture it holds the name below the folder that all have in common, so that data can be moved; the size of its
file and a digest of its bytes; and a digest of its boxes and labels as they are trained on. Of a file above `WHOLE`
bytes the digest covers `SAMPLES` parts of `SAMPLE` bytes, evenly from its first to its last.
"""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.data.progress import track
from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write

WHOLE, SAMPLES, SAMPLE = 2**16, 16, 2**12
"""Bytes of a file up to which it is read whole; otherwise how many parts of it are read, and their bytes."""

SIZE = 16
"""Bytes of a digest."""


class PictureRecord(msgspec.Struct, frozen=True, array_like=True):
    """A picture: name, bytes of its file, digest of them, and digest of its boxes."""

    name: str
    size: int
    content: str
    boxes: str


class DataRecord(msgspec.Struct, frozen=True):
    """The classes in the order of their labels, and the pictures in theirs."""

    classes: list[str]
    pictures: list[PictureRecord]


class RunData(msgspec.Struct, frozen=True):
    """What a run is trained on, and what it is evaluated on, if anything."""

    train: DataRecord
    val: DataRecord | None = None


def record_data(train: Annotations, val: Annotations | None) -> RunData:
    """What the screened annotations of a run are now.

    Raises:
        OSError: for a picture that cannot be read any more.
    """
    return RunData(_recorded(train), None if val is None else _recorded(val))


def copies_of_training(data: RunData) -> list[tuple[str, str]]:
    """The names of the pictures evaluated on whose files are the same as one that is trained on, and of that one."""
    trained = {(one.size, one.content): one.name for one in reversed(data.train.pictures)}
    evaluated = data.val.pictures if data.val else []
    return [(one.name, trained[one.size, one.content]) for one in evaluated if (one.size, one.content) in trained]


def write_data_record(path: Path, data: RunData) -> None:
    """Write it as JSON."""
    with atomic_write(path) as beside:
        beside.write_bytes(msgspec.json.encode(data) + b"\n")


def read_data_record(path: Path) -> RunData | None:
    """What `write_data_record` wrote; nothing where there is no file, as in a run of an earlier version.

    Raises:
        InputError: for a file that is not whole.
    """
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunData)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: must be what the run wrote of its data ({error})") from None


def file_digest(path: Path) -> tuple[int, str]:
    """The size of a file in bytes, and a digest of them or of samples of them."""
    digest, size = hashlib.blake2b(digest_size=SIZE), path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE:
            digest.update(file.read())
        else:
            for part in range(SAMPLES):
                file.seek(part * (size - SAMPLE) // (SAMPLES - 1))
                digest.update(file.read(SAMPLE))
    return size, digest.hexdigest()


def _recorded(annotations: Annotations) -> DataRecord:
    files = list(dict.fromkeys(annotations.pictures))  # once each, whatever tiles they are cut into
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        digests = track(threads.map(file_digest, files), total=len(files), words="recording pictures")
        contents = dict(zip(files, digests, strict=True))
    pictures = [
        PictureRecord(name, *contents[path], _boxes(annotations, index))
        for index, (name, path) in enumerate(zip(_names(annotations), annotations.pictures, strict=True))
    ]
    return DataRecord(list(annotations.classes), pictures)


def _names(annotations: Annotations) -> list[str]:
    """Paths below the folder that all have in common, of a tile with its edges."""
    paths = [path.absolute() for path in annotations.pictures]
    folder = os.path.commonpath([path.parent for path in paths])
    names = [path.relative_to(folder).as_posix() for path in paths]
    names = [name.encode(errors="surrogateescape").decode(errors="backslashreplace") for name in names]
    if not annotations.windows:
        return names
    return [f"{name}{list(window)}" for name, window in zip(names, annotations.windows, strict=True)]


def _boxes(annotations: Annotations, index: int) -> str:
    digest = hashlib.blake2b(annotations.as_stored[index].tobytes(), digest_size=SIZE)
    for values in annotations.objects(index):
        digest.update(values.tobytes())
    return digest.hexdigest()
