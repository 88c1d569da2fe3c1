"""`retinanet verify`: an exported file against its certificate. Needs no torch, where the file is not torch's."""

import argparse
from pathlib import Path
from typing import Any

from torch_retinanet.engines.verify import verify
from torch_retinanet.terminal import note, say


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    command = commands.add_parser("verify", help="check an exported file against its certificate")
    command.add_argument("file", metavar="FILE", type=Path, help="what `retinanet export` wrote, with its certificate")
    command.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> int:
    verdict = verify(options.file, watch=lambda words: note(f"retinanet: {words}"))
    for reason in verdict.reasons:
        say(reason)
    looks = verdict.certificate.looks
    pictures = f"{sum(look.batch for look in looks)} pictures of {len(looks)} sizes"
    if verdict.reasons:
        say(f"{options.file}: differs from its certificate")
        return 1
    say(f"{options.file}: is the certified file, and equal on {pictures}, at most {verdict.share:.3f} of the budget")
    return 0
