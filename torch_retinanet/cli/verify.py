"""`retinanet verify`: an exported file against its certificate. Needs no torch, where the file is not torch's."""

import argparse
from pathlib import Path
from typing import Any

from torch_retinanet import HAS_TORCH
from torch_retinanet.engines.verify import Verdict, verify
from torch_retinanet.errors import InputError
from torch_retinanet.terminal import note, say


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    command = commands.add_parser("verify", help="check an exported file against its certificate")
    command.add_argument("file", metavar="FILE", type=Path, help="what `retinanet export` wrote, with its certificate")
    command.add_argument("--weights", metavar="RUN", help="what it shall have been exported from, which needs torch")
    command.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    verdict = verify(options.file, watch=lambda words: note(f"retinanet: {words}"))
    reasons = [*verdict.reasons, *_of_other_weights(options, verdict)]
    for reason in reasons:
        say(reason)
    looks = verdict.certificate.looks
    pictures = f"{sum(look.batch for look in looks)} pictures of {len(looks)} sizes"
    if reasons:
        say(f"{options.file}: differs from its certificate")
        return 1
    say(f"{options.file}: is the certified file, and equal on {pictures}, at most {verdict.share:.3f} of the budget")
    return 0


def _of_other_weights(options: argparse.Namespace, verdict: Verdict) -> list[str]:
    """The sentence that the file was exported from other weights, where it was."""
    if options.weights is None:
        return []
    if not HAS_TORCH:
        raise InputError("--weights: torch is not installed, which reads them; leave it out")
    from torch_retinanet.detector import RetinaNetDetector
    from torch_retinanet.weights.digest import digest_of_tensors
    from torch_retinanet.weights.weights_file import plain_tensors

    tensors = plain_tensors(RetinaNetDetector.from_pretrained(options.weights).model)
    if digest_of_tensors(tensors) == verdict.certificate.weights:
        return []
    return [f"{options.file}: was exported from other weights than those of {options.weights}"]
