"""Give an environment packages of this one by hard links, without download and unpacking.

    .venv/bin/python .ci/lend.py ENVIRONMENT REQUIREMENT ...

Gives what the requirements name, and all that those require by their own metadata: nothing else is there. What is
installed in the environment itself, as a wheel under test, is read there.
"""

import errno
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def lend(site: Path, wanted: Iterable[str]) -> None:
    """Link the packages into `site`, the site-packages of an environment.

    Raises:
        PackageNotFoundError: for one that is not installed here.
    """
    left, done = [Requirement(each) for each in wanted], set()
    while left:
        asked = left.pop()
        if str(asked) in done:
            continue
        done.add(str(asked))
        own = next(iter(Distribution.discover(name=asked.name, path=[str(site)])), None)
        found = own or distribution(asked.name)
        assert asked.specifier.contains(found.version, prereleases=True), f"{asked}: {found.version} is installed"
        left += required(found, asked.extras or {""})
        if own is None:
            link(found, site)


def required(package: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    """What a package requires here with these extras."""
    for each in map(Requirement, package.requires or ()):
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras):
            each.marker = None
            yield each


def link(package: Distribution, site: Path) -> None:
    """Link a package's files, and what Python has compiled of them."""
    for file in package.files or ():
        if ".." in file.parts or file.suffix == ".pyc":  # commands and headers, and what is given with its source
            continue
        source, target = Path(str(package.locate_file(file))), site / file
        give(source, target)
        if file.suffix == ".py":
            with suppress(FileNotFoundError):  # what was never imported here
                give(Path(importlib.util.cache_from_source(source)), Path(importlib.util.cache_from_source(target)))


def give(source: Path, target: Path) -> None:
    """Link a file, or copy it to another disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():  # two packages may share a file
        return
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(source, target)


if __name__ == "__main__":
    [site] = Path(sys.argv[1]).glob("lib/python*/site-packages")
    lend(site, sys.argv[2:])
