"""The environments in which published packages run: `python -m parity_tests.peers.environments [NAME ...]`.

Each is a venv in `.peers` with the versions that its requirements pin. What the environment of this project has in the
same version is lent to it, so that torch and tensorflow are not installed again; its own packages come first.
"""

import argparse
import re
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from sysconfig import get_path

REQUIREMENTS = Path(__file__).parent / "requirements"
ENVIRONMENTS = Path(".peers")
SOURCES = ENVIRONMENTS / "sources"
"""Where checkouts lie of packages that are in no index, each under the name of its environment."""

LENT = "lent.pth"
"""The file in an environment that names the packages of this project's one."""


def names() -> list[str]:
    """The packages that have been run."""
    return sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))


def make(name: str, folder: Path = ENVIRONMENTS) -> Path:
    """The interpreter of a package's environment, which is made where it is missing.

    Raises:
        subprocess.CalledProcessError: where a package cannot be installed; pip has said why.
    """
    home, file = folder / name, REQUIREMENTS / f"{name}.txt"
    done, python = home / ".installed", home / "bin" / "python"
    if done.exists() and done.read_text() == file.read_text():
        return python
    venv.create(home, clear=True, with_pip=True)
    asked = subprocess.run([python, "-c", SITE], capture_output=True, text=True, check=True)  # noqa: S603
    (Path(asked.stdout.strip()) / LENT).write_text(get_path("purelib") + "\n")
    if missing := [line for line in _pins(file) if not _is_here(line)]:
        pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
        subprocess.run([*pip, *missing], check=True)  # noqa: S603
    done.write_text(file.read_text())
    return python


SITE = "from sysconfig import get_path; print(get_path('purelib'))"
"""Says where an interpreter has its packages."""


def _pins(file: Path) -> Iterator[str]:
    """The lines of a requirements file that name a version."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if re.match(r"[\w.-]+==", line):
            yield line.strip()


def _is_here(pin: str) -> bool:
    """Whether this environment has a package in the version that is pinned."""
    name, _, wanted = pin.partition("==")
    try:
        return version(name).partition("+")[0] == wanted
    except PackageNotFoundError:
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the environments of the packages that are named, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names())}; by default all")
    for name in parser.parse_args(arguments).names or names():
        if name not in names():
            parser.error(f"{name!r} must be one of {', '.join(names())}")
        started = time.monotonic()
        python = make(name)
        print(f"{name}: {python}, {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
