"""`retinanet export`: a detector as a file of another runtime, with a certificate that it answers the same."""

import argparse
from pathlib import Path
from typing import Any

from torch_retinanet.cli.detector import MODEL, add_nms_classes, read_detector
from torch_retinanet.errors import InputError
from torch_retinanet.terminal import note, say

SUFFIXES = {"onnx": ".onnx", "torch-export": ".pt2", "openvino": ".xml"}
"""What it can be exported to, and how the names of files end."""


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    export = commands.add_parser("export", help="write a detector for another runtime, with a certificate")
    export.add_argument("model", metavar="RUN", help=MODEL)
    export.add_argument("--to", choices=SUFFIXES, required=True, help="the runtime that the file is for")
    export.add_argument("--out", type=Path, metavar="FILE", help="the file to write (model.onnx, model.pt2, model.xml)")
    export.add_argument(
        "--raw", action="store_true", help="the network alone: from pictures as it is fed to deltas and logits"
    )
    export.add_argument(
        "--threshold", type=float, help="the score that a detection must be above (default: as the model says)"
    )
    add_nms_classes(export)
    export.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    from torch_retinanet.engines.export import export

    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise InputError(f"--threshold: {options.threshold} must be from 0 to 1")
    path = options.out or Path(f"model{SUFFIXES[options.to]}")
    given = {"score_threshold": options.threshold, "nms_classes": options.nms_classes}
    detector = read_detector(options.model, "cpu", **given)
    certificate = export(
        detector, path, to=options.to, raw=options.raw, watch=lambda words: note(f"retinanet: {words}")
    )
    what = f"{certificate.found} detections" if not options.raw else "deltas and logits"
    pictures = sum(look.batch for look in certificate.looks)
    share = f"at most {certificate.largest_share:.3f} of what rounding may cost"
    say(f"{path}: {what} on {pictures} pictures of {len(certificate.looks)} sizes are those of eager torch, {share}")
    return 0
