"""Files that people give as data and that hold no annotations as they are: named as what they are, with what to do."""

import re
from collections.abc import Iterable
from pathlib import Path

from torch_retinanet.data.formats.text_kind import OF_A_PICTURE, text_kind
from torch_retinanet.errors import InputError
from torch_retinanet.git_lfs import POINTER, is_pointer

UNPACK = "unpack it, and give the folder as DATA"
CONVERT = "convert it to COCO's JSON with the pictures as files"
SAVE = "save the sheet as CSV"

TAR_MARK = 257
"""Bytes in front of the mark of a tar."""

BY_CONTENT = {
    b"PAR1": ("a table of Parquet", CONVERT),
    b"ARROW1": ("a table of Arrow", CONVERT),
    b"PK\x03\x04": ("a ZIP archive", UNPACK),
    b"\x1f\x8b": ("an archive of gzip", UNPACK),
    b"BZh": ("an archive of bzip2", UNPACK),
    b"\xfd7zXZ": ("an archive of xz", UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", UNPACK),
    b"Rar!": ("a RAR archive", UNPACK),
    b"MATLAB 5.0": ("a file of MATLAB", CONVERT),
    b"\x89HDF": ("a file of HDF5", CONVERT),
    b"\x93NUMPY": ("an array of NumPy", CONVERT),
    b"SQLite format 3": ("a database of SQLite", CONVERT),
}
"""What a file is by its first bytes, and what to do."""

BY_TEXT = {
    re.compile(rb"# Compatible with PASCAL Annotation"): ("the text of PASCAL 1.00, as Penn-Fudan has it", CONVERT),
    re.compile(rb"[^\r\n]+\.\w{3,4} \d+(?:\.\d+)?(?:,\d+(?:\.\d+)?){3},\d+\s"): (
        "a list of pictures with boxes, as keras-yolo3 has it",
        "write it as CSV, a line `picture,x1,y1,x2,y2,class` for each box",
    ),
}
"""What a text is by its first lines, and what to do."""

BY_SUFFIX = {
    ".xlsx": ("a workbook of Excel", SAVE),
    ".xls": ("a workbook of Excel", SAVE),
    ".ods": ("a spreadsheet", SAVE),
    ".tfrecord": ("a file of TFRecord", CONVERT),
    ".tfrecords": ("a file of TFRecord", CONVERT),
    ".tfrec": ("a file of TFRecord", CONVERT),
    ".record": ("a file of TFRecord", CONVERT),
    ".pkl": ("a pickle, which can run any code and is never read", CONVERT),
    ".pickle": ("a pickle, which can run any code and is never read", CONVERT),
    ".mdb": ("a database of LMDB", CONVERT),
    ".feather": ("a table of Arrow", CONVERT),
}
"""What a file is by its name, where its bytes say less; TFRecord has the suffix `.tfrecord-00000-of-00010` too."""

ARCHIVES = ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"
TABLES = ".parquet", ".arrow", ".mat", ".h5", ".hdf5", ".npy", ".sqlite", ".db"
TEXTS = ".json", ".csv", ".xml", ".yaml", ".yml"
SUSPECTS = (*BY_SUFFIX, *ARCHIVES, *TABLES, *TEXTS)
"""Suffixes of files that are looked into where a folder has no annotations."""


def refuse_other_file(path: Path) -> None:
    """Refuse a file that is no annotations as it is.

    Raises:
        InputError: for a packed data set, a table in binary, a pointer of Git LFS, or the labels of one picture alone.
        OSError: for a file that cannot be read.
    """
    if is_pointer(path):
        raise InputError(f"{path}: is {POINTER}")
    if found := _kind(path):
        what, then = found
        raise InputError(f"{path}: is {what}; {then}")
    kind = text_kind(path)
    if kind in OF_A_PICTURE and kind is not None:
        raise InputError(f"{path}: holds the labels of one picture, as {kind.value} has them; give its folder as DATA")


def refuse_other_files(files: Iterable[Path]) -> None:
    """Refuse a folder whose data set is packed, or a table in binary; nothing where no file is so.

    Raises:
        InputError: as `refuse_other_file`, for the first of the files.
    """
    with_text = set[Path]()
    for file in files:
        is_first_text = file.suffix.lower() == ".txt" and file.parent not in with_text
        with_text |= {file.parent} if is_first_text else set()
        if (is_first_text or _suffix(file) in SUSPECTS) and (_kind(file) or is_pointer(file)):
            refuse_other_file(file)


def _kind(path: Path) -> tuple[str, str] | None:
    if found := BY_SUFFIX.get(_suffix(path)):
        return found
    with path.open("rb") as file:
        beginning = file.read(2 * TAR_MARK)
    if beginning[TAR_MARK:].startswith(b"ustar"):
        return "a tar archive", UNPACK
    if found := next((found for mark, found in BY_CONTENT.items() if beginning.startswith(mark)), None):
        return found
    return next((found for pattern, found in BY_TEXT.items() if pattern.match(beginning)), None)


def _suffix(path: Path) -> str:
    """How a name ends, in small letters, without the number of a part: `.record` of `a.record-00000-of-00010`."""
    return path.suffix.lower().partition("-")[0]
