"""`retinanet detect`: what a model finds on pictures, drawn on them or written down."""

import argparse
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

from torch_retinanet.cli.choices import add_max_pixels
from torch_retinanet.cli.detection_files import FORMATS, PICTURES, Numbered, picture_name
from torch_retinanet.cli.detector import (
    MODEL,
    add_device,
    add_nms_classes,
    add_preset,
    add_tiles,
    find_tiling,
    find_white,
    quiet_pillow,
    read_detector,
    report_unreadable,
)
from torch_retinanet.cli.engine import TOGETHER, add_batch_size, add_engine, find_batch_size, find_engine
from torch_retinanet.cli.picture_sources import distinct_names, find_sources
from torch_retinanet.data.dataset import Unreadable
from torch_retinanet.data.deep_pictures import depth_of
from torch_retinanet.data.picture_files import look_at
from torch_retinanet.data.progress import track
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.errors import InputError
from torch_retinanet.files import only_writer
from torch_retinanet.pictures import WHITE, allow_pixels
from torch_retinanet.predict import detect_pictures
from torch_retinanet.terminal import note, say


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    detect = commands.add_parser("detect", help="detect objects on pictures")
    detect.add_argument("model", metavar="RUN", help=MODEL)
    detect.add_argument("pictures", metavar="PICTURE", nargs="+", type=Path, help="pictures, and folders of pictures")
    detect.add_argument("--out", type=Path, default=Path("detections"), help="the folder to write to (detections)")
    detect.add_argument("--threshold", type=float, default=0.3, help="the score that a detection must be above (0.3)")
    add_batch_size(detect)
    detect.add_argument(
        "--format", nargs="+", choices=FORMATS, default=["pictures", "json"], help="what is written (pictures json)"
    )
    add_tiles(detect)
    add_max_pixels(detect)
    add_nms_classes(detect)
    add_preset(detect)
    add_device(detect)
    add_engine(detect)
    detect.set_defaults(run=_detect)


def _detect(options: argparse.Namespace) -> int:
    if not 0 <= options.threshold <= 1:
        raise InputError(f"--threshold: {options.threshold} must be from 0 to 1")
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out: {options.out} must be a folder")
    allow_pixels(options.max_pixels)
    sources = find_sources(options.pictures, output=options.out / PICTURES)
    given = {"score_threshold": options.threshold, "nms_classes": options.nms_classes, "preset": options.preset}
    detector = read_detector(options.model, options.device, **given)
    together = find_batch_size(options, detector)
    paths = (source.path for source in sources)
    tiling, ahead = find_tiling(options, detector), max(together, TOGETHER)
    white = _white(detector, [source.path for source in sources])
    engine = find_engine(options, detector, [source.path for source in sources])
    found = detect_pictures(engine, paths, batch_size=together, tiling=tiling, ahead=ahead, white=white)
    options.out.mkdir(parents=True, exist_ok=True)
    names = distinct_names(picture_name(source.name) for source in sources)
    shown = track(found, total=len(sources), words="detecting")
    # The pictures first: they must have come to their end before anything is said.
    numbered = (Numbered(number, name, one) for one, number, name in zip(shown, count(1), names, strict=False))
    class_names = detector.class_names or [str(label) for label in range(detector.config.num_classes)]
    with only_writer(options.out), quiet_pillow():
        objects, unreadable = _write(numbered, options.out, options.format, class_names)
    report_unreadable(unreadable)
    lost = f"; {len(unreadable):,} pictures could not be read" if unreadable else ""
    say(f"{len(sources):,} pictures, {objects:,} objects, written to {options.out}{lost}")
    return 1 if unreadable else 0


def _white(detector: RetinaNetDetector, paths: Sequence[Path]) -> int | None:
    """The largest value of gray pictures with 16 bits, which is said where they use fewer."""
    depth = depth_of(paths, look_at(paths, decode=False))
    white = find_white(detector, depth.white)
    if depth.white is not None and white == depth.white < WHITE:
        words = f"gray of 16 bits has {depth.largest} as its largest value: {depth.white} is white, not {WHITE}"
        note(f"retinanet: {words}")
    return white


def _write(
    pictures: Iterable[Numbered], folder: Path, formats: Sequence[str], class_names: Sequence[str]
) -> tuple[int, list[Unreadable]]:
    """Write pictures as they come; how many objects they have, and those that could not be read."""
    objects, unreadable = 0, []
    with ExitStack() as stack:
        writers = [stack.enter_context(FORMATS[name](folder, class_names)) for name in dict.fromkeys(formats)]
        for picture in pictures:
            for write in writers:
                write(picture)
            if isinstance(picture.found, Unreadable):
                unreadable.append(picture.found)
            else:
                objects += len(picture.found.detections["labels"])
    return objects, unreadable
