"""How the pictures were read that weights learnt from, so that others are read alike; kept beside the weights."""

import json
from dataclasses import dataclass
from pathlib import Path

from torch_retinanet.errors import InputError
from torch_retinanet.pictures import WHITE
from torch_retinanet.tiles import Tiling


@dataclass(frozen=True)
class TrainedOn:
    """How the pictures were read; by default as it is not known.

    Attributes:
        white: the largest value of gray of 16 bits; `None` where no picture had them.
        tiling: how they were cut into tiles; `None` where they were whole.
    """

    white: int | None = None
    tiling: Tiling | None = None

    def white_beside(self, own: int | None) -> int | None:
        """What is white in pictures of which it is `own`: dark ones are as bright as those that were learnt from."""
        known = [white for white in (self.white, own) if white is not None]
        return max(known, default=None)

    def to_json(self) -> str:
        """It as `from_json` reads it."""
        tiling = {"tile": self.tiling.size, "overlap": self.tiling.overlap} if self.tiling else {}
        return json.dumps({"white": self.white, **tiling})

    @classmethod
    def from_json(cls, path: Path, text: str) -> "TrainedOn":
        """What `to_json` wrote into the metadata of the file `path`.

        Raises:
            InputError: for anything else.
        """
        try:
            said = json.loads(text)
            white, size, overlap = (said.get(name) for name in ("white", "tile", "overlap"))
        except (ValueError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: its metadata hold no readable trained_on ({error})") from None
        if white is not None and (type(white) is not int or not 0 < white <= WHITE):
            raise InputError(f"{path}: its metadata say white={white!r}, which must be from 1 to {WHITE}")
        if size is None:
            return cls(white)
        if type(size) is not int or type(overlap) not in (int, float):
            raise InputError(f"{path}: its metadata say tile={size!r} and overlap={overlap!r}, which must be numbers")
        try:
            return cls(white, Tiling(size, overlap))
        except InputError as error:
            raise InputError(f"{path}: in its metadata, {error}") from None


UNKNOWN = TrainedOn()
"""Of weights whose file does not say it."""
