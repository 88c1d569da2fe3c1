"""Exports a detector with a certificate: a file that does not answer as eager torch does is not left behind."""

import copy
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from torch_retinanet.data.annotations import Annotations
from torch_retinanet.detector import RetinaNetDetector
from torch_retinanet.engines.certificate import (
    OUTPUTS,
    Certificate,
    Look,
    OnData,
    answers_of,
    checksum,
    detections_of,
    distance_of,
    files_of,
    place_of,
    sizes,
    worst_of,
)
from torch_retinanet.engines.exporters import write_program
from torch_retinanet.engines.on_data import DataCheck, evenly
from torch_retinanet.engines.quantised import MAP_COST, MOST_PICTURES, Quantised, quantise
from torch_retinanet.engines.runtimes import KINDS, Run, kind_of, open_program
from torch_retinanet.engines.ties import share_by_ties
from torch_retinanet.errors import InputError
from torch_retinanet.traced.program import check_traceable
from torch_retinanet.weights.digest import digest_of_tensors
from torch_retinanet.weights.weights_file import plain_tensors

TRIES = 8
"""Seeds that are tried for pictures on which something is found, and on which float32 decides as float64 does."""


def export(
    detector: RetinaNetDetector,
    path: Path,
    *,
    to: str,
    raw: bool = False,
    data: Annotations | None = None,
    calibrate: Annotations | None = None,
    bf16: bool = False,
    watch: Callable[[str], None] = lambda words: None,
) -> Certificate:
    """Write a detector as a file of another runtime, with its certificate beside it.

    Args:
        detector: in evaluation mode; what is exported computes in float32, or in int8 where `calibrate` is given.
        path: the file, whose name ends as the target's do.
        to: `onnx`, `torch-export`, `openvino` or `aoti`.
        raw: the network alone, from what it is fed to deltas and logits, without `data` and `calibrate`.
        data: screened, in the labels of the detector: the file must find the same on these pictures, and its mAP is
            measured.
        calibrate: as `data`: pictures for a file of ONNX in int8, 100 at most; its mAP is measured on `data`, or on
            these.
        bf16: whether a file for OpenVINO is certified as it computes in bfloat16, with its mAP on `data`.
        watch: is told what is being done.

    Raises:
        InputError: for another ending; for a convention that a program cannot have; where the file does not answer as
            eager torch does, with the first difference; where int8 or bfloat16 costs more than 0.005 of mAP; and
            where nothing is found on any picture, which proves nothing. No file is left behind then, and one that was
            there stays.
    """
    if path.suffix != KINDS[to].suffix:
        raise InputError(f"{path}: the name of a file for {to} must end in {KINDS[to].suffix}")
    if not raw:
        check_traceable(detector.config)
    if not path.parent.is_dir():
        raise InputError(f"{path}: its folder must exist")
    for file in (*files_of(path), place_of(path)):
        if file.is_dir():
            raise InputError(f"{file}: is a folder, and must be the name of a file")
    sample = None if calibrate is None else evenly(calibrate, MOST_PICTURES)
    folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=".", suffix=".part"))
    try:
        beside = folder / path.name
        watch(f"tracing and writing {path.name}")
        write_program(detector, beside, to, raw=raw)
        check = _check(detector, sample if data is None else data, watch)
        quantised = None
        if sample is not None and check is not None:
            quantised = quantise(beside, sample, check, watch)
        certificate = certify(detector, beside, raw=raw, check=check, quantised=quantised, bf16=bf16, watch=watch)
        certificate.write(place_of(beside))
        for file in (*reversed(files_of(beside)), place_of(beside)):
            file.replace(path.with_name(file.name))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return certificate


def _check(
    detector: RetinaNetDetector, annotations: Annotations | None, watch: Callable[[str], None]
) -> DataCheck | None:
    if annotations is None:
        return None
    watch(f"eager torch on {len(annotations.pictures)} pictures of the data")
    return DataCheck(detector, annotations)


def certify(
    detector: RetinaNetDetector,
    path: Path,
    *,
    raw: bool = False,
    check: DataCheck | None = None,
    quantised: Quantised | None = None,
    bf16: bool = False,
    watch: Callable[[str], None] = lambda words: None,
) -> Certificate:
    """The certificate of a file that a detector was exported to.

    Raises:
        InputError: where the file answers otherwise, and where nothing is found; as `export`.
    """
    kind, config = "network" if raw else "detections", detector.config.as_dict()
    channels, run = detector.config.in_channels, open_program(path, OUTPUTS[kind], bf16=bf16)
    rounded = bf16 or quantised is not None
    expected = [
        _expected(detector, kind, number, size, watch) if not rounded else _own(run, channels, number, size, watch)
        for number, size in enumerate(sizes(config, kind))
    ]
    if not raw:
        _refuse_nothing(detector, path, expected, check)
    said = None if quantised is None else quantised.said
    if bf16 and check is not None:
        said = _within_bound(path, check.quantised(run))
    if not rounded:
        eager = copy.deepcopy(detector).float().cpu().eval()
        expected = [_compared(run, path, kind, look, eager, watch) for look in expected]
        if check is not None:
            watch("comparing pictures of the data")
            said = check.equal(path, run)
    runtime = kind_of(path).runtime
    versions = {name: version(name) for name in ("torch-retinanet", "torch", "torchvision")} | {
        runtime: version(runtime)
    }
    return Certificate(
        kind=kind,
        files={file.name: checksum(file) for file in files_of(path)},
        weights=digest_of_tensors(plain_tensors(detector.model)),
        versions=versions,
        conventions=config,
        class_names=[*detector.class_names],
        looks=expected,
        data=said,
        precision="bf16" if bf16 else "fp32" if quantised is None else "int8",
        float_layers=[] if quantised is None else quantised.floats,
    )


def _within_bound(path: Path, said: OnData) -> OnData:
    """What pictures said of a file in bfloat16, which may lose as little mAP as one in int8."""
    if said.map_difference < -MAP_COST:
        raise InputError(f"{path.name}: bf16 costs too much, and is not kept: {said.words}, and may lose {MAP_COST}")
    return said


def _refuse_nothing(detector: RetinaNetDetector, path: Path, looks: Sequence[Look], check: DataCheck | None) -> None:
    """Refuse to certify that nothing is found."""
    answers = [answer for look in looks for answer in look.answers] + ([] if check is None else check.found.detections)
    if any(len(answer["scores"]) for answer in answers):
        return
    what = f"score_threshold: {detector.config.score_threshold} leaves nothing on all pictures, which proves nothing"
    more = ", or give pictures of its objects by --data" if check is None else ""
    raise InputError(f"{path.name}: {what}; lower it, or train the model{more}")


def _compared(
    run: Run, path: Path, kind: str, look: Look, eager: RetinaNetDetector, watch: Callable[[str], None]
) -> Look:
    """A look with how far the program is from it."""
    watch(f"comparing {look.words}")
    pictures = look.pictures(eager.config.in_channels)
    given = answers_of(kind, run(pictures), look.batch)
    tied = {} if kind == "network" else _tied(eager, look, pictures, given)
    answers = [given[i] if i in tied else answer for i, answer in enumerate(look.answers)]
    look = replace(look, answers=answers, tied=[*tied])
    found = worst_of(kind, look, given)
    if found.reason:
        raise InputError(f"{path.name}: answers otherwise than eager torch, and is not kept: {found.reason}")
    return replace(look, share=max([found.share, *tied.values()]))


def _tied(
    eager: RetinaNetDetector, look: Look, pictures: NDArray[np.float32], given: Sequence[dict[str, Any]]
) -> dict[int, float]:
    """The pictures on which a program differs only in the order of near-equal scores, and how far it is from eager."""
    shares = {}
    for i, (expected, found) in enumerate(zip(look.answers, given, strict=True)):
        if distance_of("detections", expected, found).reason:
            shares[i] = share_by_ties(eager, torch.from_numpy(pictures[i]), detections_of(found))
    return {i: share for i, share in shares.items() if share is not None}


def _own(run: Run, channels: int, number: int, size: tuple[int, int], watch: Callable[[str], None]) -> Look:
    """Pictures of a size and what the program itself answers, the first on which it finds some, or the last."""
    for look in _tries(number, size):
        watch(f"the answers on {look.words}")
        look = replace(look, answers=answers_of("detections", run(look.pictures(channels)), look.batch))
        if all(len(answer["scores"]) for answer in look.answers):
            break
    return look


def _tries(number: int, size: tuple[int, int]) -> list[Look]:
    return [
        Look(seed=number + 100 * attempt, batch=1 + number % 2, height=size[0], width=size[1])
        for attempt in range(TRIES)
    ]


def _expected(
    detector: RetinaNetDetector, kind: str, number: int, size: tuple[int, int], watch: Callable[[str], None]
) -> Look:
    """Pictures of a size and what eager torch answers, the first on which float32 decides as float64 and finds some.

    Where there are none, it is those on which most is found.
    """
    eager = copy.deepcopy(detector).float().cpu().eval()
    precise = copy.deepcopy(eager).double()
    decided: list[Look] = []
    others: list[Look] = []
    for look in _tries(number, size):
        watch(f"eager torch on {look.words}")
        pictures = look.pictures(detector.config.in_channels)
        answers, precise_answers = (_eager_answers(model, kind, pictures) for model in (eager, precise))
        if kind == "network":
            return replace(look, answers=answers)
        alike = all(distance_of(kind, a, b).share <= 1 for a, b in zip(answers, precise_answers, strict=True))
        (decided if alike else others).append(replace(look, answers=answers))
        if alike and all(len(answer["scores"]) for answer in answers):
            return decided[-1]
    return max(decided or others, key=lambda look: sum(len(answer["scores"]) for answer in look.answers))


@torch.no_grad()
def _eager_answers(model: RetinaNetDetector, kind: str, pictures: NDArray[np.float32]) -> list[dict[str, Any]]:
    images = torch.from_numpy(pictures).to(next(model.parameters()).dtype)
    if kind == "network":
        deltas, logits = model.model(images, apart=True)
        return answers_of(kind, {"deltas": _numpy(deltas), "logits": _numpy(logits)}, len(pictures))
    return [_answer(found) for found in model(list(images))]


def _answer(found: Mapping[str, Tensor]) -> dict[str, Any]:
    arrays = {name: _numpy(values)[None] for name, values in found.items()}
    return answers_of("detections", arrays | {"count": np.array([len(found["scores"])])}, 1)[0]


def _numpy(values: Tensor) -> NDArray[Any]:
    return (values.float() if values.is_floating_point() else values).numpy()
