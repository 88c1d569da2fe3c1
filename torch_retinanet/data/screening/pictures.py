"""Pictures that no training can use are taken out with their boxes, and odd ones noted."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from torch_retinanet.data.annotations import Annotations, Problem
from torch_retinanet.data.deep_pictures import Depth, depth_of
from torch_retinanet.data.picture_files import NO_FILE, PictureFile, Size, look_at
from torch_retinanet.data.picture_folder import pictures_in
from torch_retinanet.pictures import WHITE

ORIENTATIONS = range(1, 9)
"""Those that EXIF knows."""

NOT_FOUND = "pictures that were not found"
"""How the note begins that says where they were looked for."""

PLACES = 3
"""Folders that it names."""

ALIKE = {"MPO": "JPEG"}
"""Formats that go by the suffix of another."""


def screen_pictures(annotations: Annotations, *, decode: bool) -> Annotations:
    """The pictures that are there and can be opened, in their own sizes."""
    files = look_at(annotations.pictures, decode=decode)
    usable = np.array([not file.why for file in files], dtype=bool)
    lost = [_lost(annotations, i, files[i]) for i in np.flatnonzero(~usable).tolist()]
    lost += _not_found([path for path, file in zip(annotations.pictures, files, strict=True) if file.why == NO_FILE])
    kept = annotations.select(pictures=usable)
    files = [file for file in files if not file.why]
    annotated = [(int(height), int(width)) for height, width in kept.sizes]
    as_stored = [_lies_as_stored(file, size) for file, size in zip(files, annotated, strict=True)]
    sizes = [file.stored if stored else file.upright for file, stored in zip(files, as_stored, strict=True)]
    notes = [note for each in zip(kept.pictures, files, annotated, as_stored, strict=True) for note in _notes(*each)]
    depth = depth_of(kept.pictures, files)
    together = [*_modes(kept.pictures, files, depth), *_one_name(kept.pictures)]
    return replace(
        kept,
        sizes=np.array(sizes, dtype=np.int64).reshape(-1, 2),
        as_stored=np.array(as_stored, dtype=bool),
        white=depth.white,
        problems=[*annotations.problems, *lost, *notes, *together],
    )


def _lost(annotations: Annotations, index: int, file: PictureFile) -> Problem:
    count = annotations.offsets[index + 1] - annotations.offsets[index]
    owner = annotations.files[index].name
    kind = f"missing picture: named in {owner!r}" if file.why == NO_FILE else f"unreadable picture: {file.why}"
    what = f"{kind}, boxes lost with it: {count}"
    return Problem(annotations.pictures[index], "", what, "picture and boxes are left out", data_loss=True)


def _not_found(missing: Sequence[Path]) -> list[Problem]:
    """Where pictures were looked for, if any was not there."""
    if not missing:
        return []
    folders = [f"{folder}" for folder in sorted({path.parent for path in missing})]
    more = f" and {len(folders) - PLACES} folders more" if len(folders) > PLACES else ""
    what = (
        f"{NOT_FOUND}: {len(missing)}, looked for in {', '.join(folders[:PLACES])}{more}, and by name in those around"
    )
    return [Problem(missing[0].parent, "", what, "they are left out; --images names their folder", data_loss=False)]


def why_none(problems: Sequence[Problem]) -> str:
    """What is said of pictures that were not found, after a semicolon; nothing where all were."""
    found = (f"; {one.finding}; {one.action}" for one in problems if one.finding.startswith(NOT_FOUND))
    return next(found, "")


def _lies_as_stored(file: PictureFile, annotated: Size) -> bool:
    return annotated == file.stored != file.upright


def _notes(path: Path, file: PictureFile, annotated: Size, as_stored: bool) -> Iterator[Problem]:
    """What is odd about one picture."""
    if as_stored:
        what = f"annotated as it is stored: {_by(annotated)}, EXIF orientation {file.orientation}"
        yield Problem(path, "", what, "its boxes are taken to lie on its pixels as they are stored", data_loss=False)
    elif file.orientation not in ORIENTATIONS:
        yield Problem(
            path, "", f"EXIF orientation that is none: {file.orientation}", "it is not rotated", data_loss=False
        )
    elif file.orientation != 1:
        what = f"EXIF orientation: {file.orientation}"
        yield Problem(path, "", what, "it is rotated upright, and its boxes are taken to lie on it so", data_loss=False)
    if not as_stored and 0 not in annotated and annotated != file.upright:
        what = f"annotated size that differs: {_by(annotated)}, the picture has {_by(file.upright)}"
        yield Problem(path, "", what, "its boxes stay as they are", data_loss=False)
    meant = Image.registered_extensions().get(path.suffix.lower(), "")
    if ALIKE.get(meant, meant) != ALIKE.get(file.format, file.format):
        what = f"suffix of another format: {path.suffix!r}, and it is {file.format}"
        yield Problem(path, "", what, "it is read as what it is", data_loss=False)


def _modes(paths: Sequence[Path], files: Sequence[PictureFile], depth: Depth) -> Iterator[Problem]:
    """A note for each kind of pixels that are not RGB of 8 bits."""
    kinds: dict[str, list[Path]] = defaultdict(list)
    for path, file in zip(paths, files, strict=True):
        kinds[file.mode].append(path)
    for mode, those in sorted(kinds.items()):
        if mode != "RGB":
            what = f"pictures of mode {mode}: {len(those)}, this the first"
            yield Problem(those[0], "", what, "they are read as RGB of 8 bits", data_loss=False)
        if mode.startswith("I") and depth.white is not None and depth.white < WHITE:
            what = f"gray of 16 bits that uses fewer: the largest value of all is {depth.largest}"
            yield Problem(those[0], "", what, f"{depth.white} is white, not {WHITE}", data_loss=False)


def _one_name(paths: Sequence[Path]) -> Iterator[Problem]:
    """A note for each name that pictures beside one another share, but for their suffix."""
    stems = {(path.parent, path.stem) for path in paths}
    alike: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for folder in sorted({path.parent for path in paths}):
        for path in pictures_in(folder):
            alike[folder, path.stem].append(path)
    for key, those in alike.items():
        if len(those) > 1 and key in stems:
            what = f"pictures of one name: {', '.join(repr(path.name) for path in those)}"
            yield Problem(those[0], "", what, "each is a picture of its own", data_loss=False)


def _by(size: Size) -> str:
    return f"{size[1]}x{size[0]}"
