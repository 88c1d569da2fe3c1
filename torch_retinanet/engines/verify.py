"""A file checked against its certificate, in an environment that needs no torch for ONNX and OpenVINO."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch_retinanet.engines.certificate import OUTPUTS, Certificate, checksum, files_of, look_again, place_of
from torch_retinanet.engines.runtimes import open_program
from torch_retinanet.errors import InputError


class Verdict(NamedTuple):
    """What came of it.

    Attributes:
        certificate: what was checked against.
        reasons: what differs, one sentence each; none where nothing does.
        share: the largest difference on the pictures, as a share of what is allowed.
    """

    certificate: Certificate
    reasons: list[str]
    share: float


def verify(path: Path, watch: Callable[[str], None] = lambda words: None) -> Verdict:
    """Check a file: its checksum, and its answers on the pictures of its certificate.

    Args:
        path: the exported file.
        watch: is told what is looked at.

    Raises:
        FileNotFoundError: where there is no such file.
        InputError: for a file without a certificate, or without its runtime.
    """
    for file in files_of(path):
        if not file.is_file():
            raise FileNotFoundError(f"{file}: there is no such file")
    if not (place := place_of(path)).is_file():
        raise InputError(f"{path}: {place.name} must lie beside it, as `retinanet export` writes it")
    certificate = Certificate.read(place)
    reasons = [
        f"{file}: is not the file that was certified: its checksum differs"
        for file in files_of(path)
        if certificate.files.get(file.name) != checksum(file)
    ]
    try:
        share, different = look_at_all(path, certificate, watch)
    except InputError as error:
        if not reasons:
            raise
        share, different = 0.0, [str(error)]  # it differs, whether or not it can be run
    return Verdict(certificate, reasons + different, share)


def look_at_all(path: Path, certificate: Certificate, watch: Callable[[str], None]) -> tuple[float, list[str]]:
    """The largest share of what is allowed, and what differs, on all pictures of a certificate."""
    run = open_program(path, OUTPUTS[certificate.kind], bf16=certificate.precision == "bf16")
    worst, reasons = 0.0, []
    for look in certificate.looks:
        watch(look.words)
        found = look_again(run, certificate.kind, look, certificate.conventions["in_channels"])
        worst = max(worst, found.share)
        if found.reason:
            reasons.append(f"{path}: {found.reason}")
    return worst, reasons
