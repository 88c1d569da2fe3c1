"""Where in a package something is called, for reports."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def calling_line(depth: int) -> str:
    """`torch_retinanet/fpn.py:57`: the line that is being run, `depth` calls above the caller of this."""
    frame = sys._getframe(depth + 1)
    path = Path(frame.f_code.co_filename)
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    return f"{name}:{frame.f_lineno}"
