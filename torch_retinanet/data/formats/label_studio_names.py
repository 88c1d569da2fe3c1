"""What the picture of a Label Studio task is called: in its `data` stands a URL, or the path of an upload."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from torch_retinanet.data.picture_folder import SUFFIXES

KEYS = ("image", "img", "picture", "photo", "url")
"""What data calls a picture, the likeliest first."""

UPLOADED = re.compile(r"[0-9a-f]{8}-")
"""What an upload has in front of its own name."""


def names_of(task: dict[str, Any]) -> list[str]:
    """The names by which the picture of a task is looked for, the likeliest first; none where the task has none."""
    data = task.get("data", task)
    texts = [_picture(data) if isinstance(data, dict) else "", task.get("file_upload")]
    return list(dict.fromkeys(name for text in texts if isinstance(text, str) for name in _spelled(text) if name))


def _picture(data: dict[str, Any]) -> str:
    """The text of the data that is a picture: by its key, or by the suffix of its name."""
    texts = {key: value.strip() for key, value in data.items() if isinstance(value, str) and value.strip()}
    by_key = [texts[key] for key in KEYS if key in texts]
    return next(iter([*by_key, *(text for text in texts.values() if _is_picture(text))]), "")


def _is_picture(text: str) -> bool:
    return any(PurePosixPath(name).suffix.lower() in SUFFIXES for name in _spelled(text))


def _spelled(text: str) -> Iterator[str]:
    if text.startswith("data:"):  # a picture within the file
        return
    try:
        url = urlsplit(text)
        paths = [*parse_qs(url.query).get("d", []), unquote(url.path)]
    except ValueError:
        paths = []
    paths = [path for path in paths if PureWindowsPath(path).name]
    bare = PureWindowsPath(paths[0] if paths else text).name
    yield from (text, *(path.lstrip("/") for path in paths), bare, UPLOADED.sub("", bare, count=1))
