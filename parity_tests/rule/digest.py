"""Digests of numbers that are drawn on both sides: an answer is used for the same question alone. Needs numpy alone."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

LOOKED_AT = 4096
"""Numbers of an array that enter its digest, spread over it evenly: another generator changes every one."""


def digest_of(drawn: Any) -> str:
    """A digest of nested arrays and numbers: of the shape and type of each array, and of numbers all over it."""
    digest = hashlib.sha256()
    for part in _parts(drawn):
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part.reshape(-1)[:: max(1, part.size // LOOKED_AT)]).data)
        else:
            digest.update(f"{part!r};".encode())
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for name in sorted(value):
            yield name
            yield from _parts(value[name])
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for item in value:
            yield from _parts(item)
    else:
        yield value
