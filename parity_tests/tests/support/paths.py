"""Where the repository and the data beside it lie."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
"""The folder of the repository."""

SHARED = ROOT.parent / "shared"
"""Data that is not part of the repository."""


def shared(name: str) -> Path:
    """A folder of real data beside the repository; without it the test is skipped."""
    folder = SHARED / "data" / name
    if not folder.is_dir():
        pytest.skip(f"there is no folder shared/data/{name} beside the project")
    return folder
