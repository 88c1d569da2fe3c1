"""`retinanet evaluate`: how good a model is on pictures, or anybody's detections on a truth in COCO's JSON."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_retinanet.cli.annotated import left_out, read_annotated, say_what_is_lost
from torch_retinanet.cli.detector import (
    MODEL,
    add_device,
    add_nms_classes,
    add_preset,
    add_tiles,
    batch_size,
    find_tiling,
    find_white,
    quiet_pillow,
    read_detector,
    report_unreadable,
    waiting,
)
from torch_retinanet.cli.engine import DEFAULT, add_batch_size, add_engine, find_batch_size, find_engine
from torch_retinanet.cli.reading import add_reading
from torch_retinanet.errors import InputError
from torch_retinanet.files import only_writer
from torch_retinanet.terminal import say

if TYPE_CHECKING:
    from torch_retinanet.detector import RetinaNetDetector

MAX_DETECTIONS = 100
"""How many detections of a class COCO counts on a picture; `evaluate.coco` has it, and takes long to import."""

OF_MODELS = (
    *("model", "split", "images", "classes", "boxes", "labelled_only", "out", "tile", "overlap", "nms_classes"),
    *("engine", "precision", "batch_size"),
)
"""What is asked of a model and its pictures, and must not stand beside `--truth` and `--results`."""

USAGE = "retinanet evaluate RUN DATA [options]\n       retinanet evaluate --truth JSON --results JSON [--json JSON]"


def add_to(commands: Any) -> None:
    """Add the command to those of the parser."""
    evaluate = commands.add_parser("evaluate", help="evaluate a model, or results in COCO's JSON", usage=USAGE)
    evaluate.add_argument("model", metavar="RUN", nargs="?", help=MODEL)
    evaluate.add_argument("data", metavar="DATA", nargs="?", type=Path, help="annotations in any format")
    add_reading(evaluate, split="the split of DATA")
    add_batch_size(evaluate)
    evaluate.add_argument("--read-ahead", type=batch_size, default=8, help="pictures read ahead; changes no number (8)")
    evaluate.add_argument("--out", type=Path, help="a folder for numbers, detections, curves and mistakes as pictures")
    evaluate.add_argument("--json", type=Path, help="a file for all numbers")
    evaluate.add_argument("--truth", type=Path, help="objects in COCO's JSON, in place of RUN and DATA")
    evaluate.add_argument("--results", type=Path, help="detections of them, in COCO's JSON of results")
    add_tiles(evaluate)
    evaluate.add_argument(
        "--max-detections",
        type=_max_detections,
        default=MAX_DETECTIONS,
        metavar="N",
        help=f"how many detections of a class count on a picture, above 10 ({MAX_DETECTIONS}, as COCO has it)",
    )
    add_nms_classes(evaluate)
    add_preset(evaluate)
    add_device(evaluate)
    add_engine(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _max_detections(text: str) -> int:
    """The value of `--max-detections`."""
    if not text.isascii() or not text.isdecimal() or int(text) <= 10:
        raise argparse.ArgumentTypeError(f"{text} must be a whole number above 10")
    return int(text)


def _evaluate(options: argparse.Namespace) -> int:
    _check_targets(options)
    if options.truth is None and options.results is None:
        if options.data is None:
            raise InputError("RUN and DATA: must both be given, or --truth and --results in their place")
        return _evaluate_model(options)
    if options.truth is None or options.results is None:
        raise InputError("--truth and --results: must be given together")
    for name in OF_MODELS:
        if (value := getattr(options, name)) not in (None, False, DEFAULT):
            flag = "RUN" if name == "model" else f"--{name.replace('_', '-')}"
            raise InputError(f"{flag}: {value} must not be given with --truth and --results")
    return _evaluate_results(options)


def _check_targets(options: argparse.Namespace) -> None:
    """Refuse what could not be written in the end, or would overwrite what is evaluated."""
    path: Path | None = options.json
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise InputError(f"--json: {path} must be a file in a folder that is there")
    read = [source.resolve() for source in (options.data, options.truth, options.results) if source]
    if path is not None and path.resolve() in read:
        raise InputError(f"--json: {path} is what is evaluated, and must not be written over")
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out: {options.out} must be a folder")


def _evaluate_results(options: argparse.Namespace) -> int:
    from torch_retinanet.cli.evaluation_tables import last_line, print_evaluation
    from torch_retinanet.evaluate import evaluate, read_results, read_truth
    from torch_retinanet.evaluate.files import write_numbers

    truth = read_truth(options.truth)
    with waiting("evaluating"):
        results = read_results(options.results, truth)
        evaluation = evaluate(results, truth.targets, names=truth.names, max_detections=options.max_detections)
    print_evaluation(evaluation)
    if options.json is not None:
        write_numbers(options.json, evaluation)
    say(last_line(evaluation))
    return 0


def _evaluate_model(options: argparse.Namespace) -> int:
    from torch_retinanet.cli.evaluation_tables import last_line, print_evaluation
    from torch_retinanet.data.progress import track
    from torch_retinanet.data.screening import screen
    from torch_retinanet.evaluate import detect_annotated, evaluate
    from torch_retinanet.evaluate.files import write_evaluation, write_numbers

    detector = _read_detector(options)
    read = read_annotated(options, options.data, detector)
    screened, tiling = screen(read, decode=False), find_tiling(options, detector)
    screened = replace(screened, white=find_white(detector, screened.white))
    say_what_is_lost(options.data, read, screened)
    engine = find_engine(options, detector, screened.pictures)
    with quiet_pillow():
        found = detect_annotated(
            engine,
            screened,
            tiling=tiling,
            batch_size=find_batch_size(options, detector),
            ahead=options.read_ahead,
            watch=lambda pictures: track(pictures, total=len(screened.pictures), words="detecting"),
        )
    unreadable = [*left_out(read, screened), *found.unreadable]
    with waiting("evaluating"):
        evaluation = evaluate(
            found.detections, found.targets, names=screened.classes, max_detections=options.max_detections
        )
    print_evaluation(evaluation)
    if options.json is not None:
        write_numbers(options.json, evaluation, unreadable)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        with only_writer(options.out), waiting("drawing"), quiet_pillow():
            write_evaluation(options.out, evaluation, screened, found, unreadable)
    report_unreadable(unreadable)
    say(last_line(evaluation, unreadable=len(unreadable)))
    return 1 if unreadable else 0


def _read_detector(options: argparse.Namespace) -> "RetinaNetDetector":
    """The detector, which gives as many detections of a picture as are to be counted, or more."""
    given = {"nms_classes": options.nms_classes, "preset": options.preset}
    detector = read_detector(options.model, options.device, **given)
    if 0 < detector.config.detections_per_picture < options.max_detections != MAX_DETECTIONS:
        limit = {"detections_per_picture": options.max_detections}
        detector = read_detector(options.model, options.device, **given, **limit)
    return detector
