"""Pictures by their bare names, as annotations of other machines and tools spell them."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path, PureWindowsPath
from urllib.parse import parse_qsl, unquote, urlsplit


def spellings(name: str) -> Iterator[tuple[str, ...]]:
    """The parts of a path that a name may mean: as it is, without percent signs, and the paths in a URL."""
    texts = [name, unquote(name)]
    if "?" in name or "://" in name:
        try:
            url = urlsplit(name)
        except ValueError:
            url = urlsplit("")
        texts += [unquote(url.path), *(value for _, value in parse_qsl(url.query))]
    for text in dict.fromkeys(texts):
        if parts := tuple(part for part in PureWindowsPath(text).parts if part not in ("..", ".", "/", "\\")):
            yield parts


class PictureNames:
    """The pictures of some folders by their bare names: without regard to case, and to how letters are composed."""

    def __init__(self, pictures: Iterable[Path]) -> None:
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        for path in dict.fromkeys(pictures):
            self._by_name[plain(path.name)].append(path)
            self._by_stem[plain(path.stem)].append(path)

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def fitting(self, name: str) -> list[Path]:
        """The pictures that a name may mean; of several those whose folders have the most names in common with it."""
        for parts in spellings(name):
            for known in (self._by_name, self._by_stem):
                if found := known.get(plain(parts[-1])):
                    return nearest(found, parts[:-1])
        return []

    def of_stem(self, stem: str, folders: tuple[str, ...]) -> list[Path]:
        """The pictures of a name without suffix, nearest to folders of these names."""
        return nearest(self._by_stem.get(plain(stem), []), folders)


def nearest(paths: list[Path], folders: tuple[str, ...]) -> list[Path]:
    """Of several paths those whose folders agree most with these, counted from the first and from the last.

    Of equals those that lie as deep as these folders, as `JPEGImages` does beside `Annotations`.
    """
    if len(paths) < 2:
        return paths
    wanted = tuple(map(plain, folders))
    agreeing = [_agreement(tuple(map(plain, path.parts[:-1])), wanted) for path in paths]
    return [path for path, length in zip(paths, agreeing, strict=True) if length == max(agreeing)]


def _agreement(parts: tuple[str, ...], others: tuple[str, ...]) -> tuple[int, bool]:
    pairs = (zip(parts, others, strict=False), zip(reversed(parts), reversed(others), strict=False))
    equal = sum(len(list(takewhile(lambda pair: pair[0] == pair[1], each))) for each in pairs)
    return equal, len(parts) == len(others)


def plain(name: str) -> str:
    """A name without regard to case, and to how letters are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
