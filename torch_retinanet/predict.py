"""Detecting pictures by the thousand: read ahead in threads, given in order, and no more than a few in memory."""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, repeat
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from torch_retinanet.data.dataset import Unreadable
from torch_retinanet.errors import InputError
from torch_retinanet.pictures import read_picture
from torch_retinanet.tiles import Tiling


class Engine(Protocol):
    """What detects, as `RetinaNetDetector.predict` does: a detector, or a runtime."""

    def predict(
        self, pictures: Sequence[Any], *, batch_size: int = 8, tiling: Tiling | None = None
    ) -> list[dict[str, Tensor]]: ...


class Detected(NamedTuple):
    """A picture and what was found on it.

    Attributes:
        path: its file.
        picture: bytes (3,H,W), red first, as it was detected.
        detections: `boxes` (M,4) xyxy in its pixels, `labels` (M,) and `scores` (M,), best first, on the CPU.
    """

    path: Path
    picture: Tensor
    detections: dict[str, Tensor]


def detect_pictures(
    detector: Engine,
    paths: Iterable[Path],
    *,
    upright: Iterable[bool] | None = None,
    batch_size: int = 1,
    tiling: Tiling | None = None,
    ahead: int = 8,
    workers: int = 2,
    white: int | None = None,
) -> Generator[Detected | Unreadable]:
    """Detections of each file in order; where one cannot be read, the reason instead, and it goes on with the next.

    Pictures are read while the network works. Its rounding depends on how many go through it together, and two scores
    that differ in their last bit may change places: one by one no number depends on those beside it, which is what an
    evaluation needs. On a GPU a batch is faster; on a CPU it is slower (ResNet-50, 8 pictures of 320x416, two cores:
    one by one 1.3 s, together 1.9 s).

    Args:
        detector: detects in evaluation mode, on the device where it is; its own mode is left as it is.
        paths: files, as many as there are; they are asked for as they are read.
        upright: for each file whether its EXIF orientation is applied; by default it always is.
        batch_size: pictures that go through the network together, those of one padded size; or tiles of one.
        tiling: cuts each picture into tiles that are detected by themselves, for objects that are small in it.
        ahead: pictures that are read ahead.
        workers: threads that read.
        white: the largest value of gray of 16 bits, as `read_picture` takes it.

    Raises:
        InputError: for a batch size, or numbers of pictures ahead or of workers, below 1.
    """
    for name, value in {"batch_size": batch_size, "ahead": ahead, "workers": workers}.items():
        if value < 1:
            raise InputError(f"{name}: {value!r} must be at least 1")
    read = _read_ahead(paths, repeat(True) if upright is None else upright, ahead, workers, white)
    together = batch_size if tiling is None else 1  # of tiles, those of one picture go together
    return (found for batch in _batches(read, together) for found in _detect(detector, batch, tiling, batch_size))


Read = tuple[Path, Tensor] | Unreadable


def _batches(read: Iterator[Read], batch_size: int) -> Iterator[list[Read]]:
    while batch := list(islice(read, batch_size)):
        yield batch


def _detect(
    detector: Engine, batch: Sequence[Read], tiling: Tiling | None, batch_size: int
) -> Iterator[Detected | Unreadable]:
    pictures = [read[1] for read in batch if not isinstance(read, Unreadable)]
    detections = iter(detector.predict(pictures, batch_size=batch_size, tiling=tiling) if pictures else [])
    for read in batch:
        if isinstance(read, Unreadable):
            yield read
        else:
            yield Detected(*read, {name: values.cpu() for name, values in next(detections).items()})


def _read_ahead(
    paths: Iterable[Path], upright: Iterable[bool], ahead: int, workers: int, white: int | None
) -> Iterator[Read]:
    """What each file holds, in order, while threads read the next ones, `ahead` at most."""
    with ThreadPoolExecutor(workers) as threads:
        waiting: deque[Future[Read]] = deque()
        try:
            for path, is_upright in zip(paths, upright, strict=False):
                waiting.append(threads.submit(_read, path, is_upright, white))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read(path: Path, upright: bool, white: int | None) -> Read:
    try:
        return path, read_picture(path, upright=upright, white=white)
    except (InputError, OSError) as error:
        return Unreadable(path, str(error))
