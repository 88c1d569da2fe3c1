"""Safetensors files that say when they are not what was written: a digest of their tensors and texts, in the metadata.

It is BLAKE2b (RFC 7693) of the metadata and of the digests of the tensors by name, which cover name, type, shape and
bytes. Bytes are hashed where they lie, so that no tensor is copied.
"""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from torch_retinanet.errors import InputError

DIGEST = "digest"
"""The name of the digest in the metadata."""

SIZE = 32
"""Bytes of a digest."""


def save_with_digest(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and texts with their digest.

    Raises:
        SafetensorError: where the file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(plain, path, {**metadata, DIGEST: _digest(plain, metadata)})


def check_digest(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Refuse a file whose tensors or metadata are not those that were written; one without a digest is not checked.

    Raises:
        InputError: naming the file.
    """
    texts = {name: text for name, text in metadata.items() if name != DIGEST}
    if DIGEST in metadata and metadata[DIGEST] != _digest(tensors, texts):
        raise InputError(f"{path}: is damaged, its digest must be that of its content; restore it from a copy")


def digest_of_tensors(tensors: Mapping[str, Tensor]) -> str:
    """A digest of tensors by name, on any device."""
    return _digest({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, {})


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Of the texts, and of each tensor's own digest; hashlib lets several threads compute at once."""
    of_all = hashlib.blake2b(json.dumps(sorted(metadata.items())).encode(), digest_size=SIZE)
    with ThreadPoolExecutor() as threads:
        for digest in threads.map(_digest_of_one, sorted(tensors.items())):
            of_all.update(digest)
    return of_all.hexdigest()


def _digest_of_one(named: tuple[str, Tensor]) -> bytes:
    name, tensor = named
    described = json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode()
    digest = hashlib.blake2b(described, digest_size=SIZE)
    digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()
