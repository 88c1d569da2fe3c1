"""`retinanet export`: a detector as a file of another runtime, with a certificate that it answers the same."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_retinanet.cli.annotated import left_out, read_annotated, say_what_is_lost
from torch_retinanet.cli.detector import (
    MODEL,
    add_nms_classes,
    add_preset,
    find_white,
    quiet_pillow,
    read_detector,
    report_unreadable,
)
from torch_retinanet.cli.reading import add_reading
from torch_retinanet.engines.runtimes import KINDS
from torch_retinanet.errors import InputError
from torch_retinanet.terminal import note, say

if TYPE_CHECKING:
    from torch_retinanet.data.annotations import Annotations
    from torch_retinanet.detector import RetinaNetDetector
    from torch_retinanet.engines.certificate import Certificate


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    export = commands.add_parser("export", help="write a detector for another runtime, with a certificate")
    export.add_argument("model", metavar="RUN", help=MODEL)
    export.add_argument("--to", choices=KINDS, required=True, help="the runtime that the file is for")
    export.add_argument("--out", type=Path, metavar="FILE", help="the file to write (model.onnx, model.pt2, model.xml)")
    export.add_argument(
        "--raw", action="store_true", help="the network alone: from pictures as it is fed to deltas and logits"
    )
    export.add_argument(
        "--threshold", type=float, help="the score that a detection must be above (default: as the model says)"
    )
    add_nms_classes(export)
    add_preset(export)
    export.add_argument(
        "--precision",
        choices=("fp32", "bf16", "int8"),
        default="fp32",
        help="int8 for convolutions in ONNX, bf16 for OpenVINO (default: fp32)",
    )
    export.add_argument("--calibrate", type=Path, metavar="DATA", help="pictures that int8 takes its ranges from")
    _add_data(export)
    export.set_defaults(run=_export)


def _add_data(export: argparse.ArgumentParser) -> None:
    """Add the flag for annotated pictures, and those that say how they are read."""
    export.add_argument(
        "--data",
        type=Path,
        help="annotations in any format: mAP is measured on them, and detections compared (for int8 by default those "
        "of --calibrate)",
    )
    add_reading(export, split="the split of --data and --calibrate")


def _export(options: argparse.Namespace) -> int:
    from torch_retinanet.engines.export import export

    _check(options)
    path = options.out or Path(f"model{KINDS[options.to].suffix}")
    given = {"score_threshold": options.threshold, "nms_classes": options.nms_classes, "preset": options.preset}
    detector = read_detector(options.model, "cpu", **given)
    data, calibrate = (_read(options, source, detector) for source in (options.data, options.calibrate))
    with quiet_pillow():
        certificate = export(
            detector,
            path,
            to=options.to,
            raw=options.raw,
            data=data,
            calibrate=calibrate,
            bf16=options.precision == "bf16",
            watch=lambda words: note(f"retinanet: {words}"),
        )
    _say(path, certificate)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse flags that do not go together."""
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise InputError(f"--threshold: {options.threshold} must be from 0 to 1")
    if options.precision == "int8" and options.to != "onnx":
        raise InputError(f"--precision: int8 must come with --to onnx, and not {options.to}")
    if options.precision == "bf16" and (options.to != "openvino" or options.raw):
        raise InputError("--precision: bf16 must come with --to openvino, without --raw")
    if (options.precision == "int8") != (options.calibrate is not None):
        raise InputError("--precision int8 and --calibrate: must be given together")
    sources = {"--data": options.data, "--calibrate": options.calibrate}
    named = [flag for flag, source in sources.items() if source is not None]
    if options.raw and named:
        raise InputError(f"{named[0]}: must not be given with --raw, which finds no objects")
    read = ("split", "images", "classes", "boxes", "labelled_only", "max_pixels")
    if not named and (alone := [name for name in read if getattr(options, name)]):
        raise InputError(f"--{alone[0].replace('_', '-')}: must come with --data or --calibrate")


def _read(options: argparse.Namespace, data: Path | None, detector: "RetinaNetDetector") -> "Annotations | None":
    """Annotated pictures in the labels of the detector."""
    from torch_retinanet.data.screening import screen

    if data is None:
        return None
    read = read_annotated(options, data, detector)
    screened = screen(read, decode=False)
    say_what_is_lost(data, read, screened)
    report_unreadable(left_out(read, screened))
    if not screened.pictures:
        raise InputError(f"{data}: has no picture that can be read")
    return replace(screened, white=find_white(detector, screened.white))


def _say(path: Path, certificate: "Certificate") -> None:
    """The last lines."""
    looks, data = certificate.looks, certificate.data
    pictures = f"{sum(look.batch for look in looks)} pictures of {len(looks)} sizes"
    if certificate.precision == "bf16":
        say(f"{path}: bf16; {certificate.found} detections on {pictures} are in its certificate")
    elif certificate.precision == "int8":
        left = f"in float32: {', '.join(certificate.float_layers)}" if certificate.float_layers else "all layers"
        say(f"{path}: int8, {left}; {certificate.found} detections on {pictures} are in its certificate")
    else:
        what = f"{certificate.found} detections" if certificate.kind == "detections" else "deltas and logits"
        share = f"at most {certificate.largest_share:.3f} of what rounding may cost"
        say(f"{path}: {what} on {pictures} are those of eager torch, {share}")
    if data is not None:
        equal = "" if data.share is None else f"; {data.detections} detections equal, at most {data.share:.3f}"
        unproven = f"; not compared where float32 does not decide: {data.undecided}" if data.undecided else ""
        say(f"{path}: {data.words}{equal}{unproven}")
