"""What is known of an exported file: where it is from, and what it must answer on certain pictures. Needs numpy alone.

The pictures are made from seeds, so that a certificate holds answers and no pictures.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torch_retinanet.engines.comparison import Distance, FoundObjects, distance, sample_distance
from torch_retinanet.engines.runtimes import Arrays, Run
from torch_retinanet.errors import InputError

FORMAT = 1
"""The version of the layout of a certificate."""

SUFFIX = ".certificate.json"
"""What the name of a certificate adds to that of its file."""

SAMPLES = 512
"""Values of each output of a network that a certificate holds."""

OUTPUTS = {"detections": ("boxes", "scores", "labels", "count"), "network": ("deltas", "logits")}
"""What a file gives: detections, or with `--raw` what the network says."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """Pictures of one size that a file looks at, and what it must answer.

    Attributes:
        seed, batch, height, width: what the pictures are made from.
        share: how far the file was from eager torch as it was certified, as a share of what is allowed.
        answers: for each picture what eager torch answers, or a file in int8 or bf16, by name; of a network samples of
            all.
        tied: pictures on which the order of near-equal scores decides, whose answers are in the order of the file.
    """

    seed: int
    batch: int
    height: int
    width: int
    share: float = 0.0
    answers: list[dict[str, Any]] = field(default_factory=list)
    tied: list[int] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The pictures, for a message."""
        return f"pictures of seed {self.seed}, {self.batch} of {self.height}x{self.width}"

    def is_whole(self, kind: str) -> bool:
        """Whether there is a readable answer for each picture: one that is no way from itself.

        Errors are those of `Certificate.is_whole`.
        """
        least = {"seed": 0, "batch": 1, "height": 1, "width": 1}
        numbers = all(type(getattr(self, name)) is int and getattr(self, name) >= low for name, low in least.items())
        if kind == "detections" and any(len({*map(len, answer.values())}) != 1 for answer in self.answers):
            return False
        itself = [distance_of(kind, answer, answer) for answer in self.answers]
        return numbers and len(itself) == self.batch and all(one.share == 0 for one in itself)

    def pictures(self, channels: int) -> NDArray[np.float32]:
        """The pictures (B,C,H,W) from 0 to 1: rectangles of one colour each on a coarse ground, and noise over all."""
        random = np.random.Generator(np.random.PCG64(self.seed))
        shape = (self.batch, channels, self.height, self.width)
        coarse = random.random((self.batch, channels, self.height // 16 + 1, self.width // 16 + 1), dtype=np.float32)
        made = coarse.repeat(16, axis=2).repeat(16, axis=3)[:, :, : self.height, : self.width] * np.float32(0.5)
        for picture in made:
            for _ in range(8):
                (top, bottom), (left, right) = (
                    sorted(random.integers(0, side + 1, 2).tolist()) for side in (self.height, self.width)
                )
                picture[:, top:bottom, left:right] = random.random((channels, 1, 1), dtype=np.float32)
        noise = random.random(shape, dtype=np.float32)
        mixed: NDArray[np.float32] = made * np.float32(0.8) + noise * np.float32(0.2)
        return mixed


@dataclass(frozen=True, kw_only=True)
class OnData:
    """What annotated pictures say of a file.

    Attributes:
        pictures: how many could be read.
        detections: of the file on all of them.
        map_eager, map_file: COCO's mAP over IoU 0.5 to 0.95, of eager float32 and of the file.
        map_difference: `map_file` less `map_eager`.
        share: how far its detections are from eager torch, as a share of what is allowed; `None` for a file whose
            detections may differ.
        undecided: pictures on which float32 and float64 find different sets, which say nothing of `share`.
    """

    pictures: int
    detections: int
    map_eager: float
    map_file: float
    map_difference: float
    share: float | None
    undecided: int = 0

    @property
    def words(self) -> str:
        """The mAP, for a message."""
        return f"mAP {self.map_file:.4f}, {self.map_eager:.4f} of eager float32 on {self.pictures} pictures"


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """All that is known of a file; `retinanet verify` checks it.

    Attributes:
        kind: `detections` or `network`, what the file gives.
        files: the SHA-256 of each file, by its name.
        weights: the digest of the tensors that it was made from.
        versions: of this package, of torch, and of the runtime.
        conventions: all fields of the config.
        class_names: of the labels; may be empty.
        looks: pictures and answers.
        data: what annotated pictures said, where some were given.
        precision: `fp32`; or `int8` or `bf16`, whose answers are its own.
        float_layers: of a file in int8, the groups of layers that stayed in float32.
    """

    kind: str
    files: dict[str, str]
    weights: str
    versions: dict[str, str]
    conventions: dict[str, Any]
    class_names: list[str]
    looks: list[Look]
    data: OnData | None = None
    precision: str = "fp32"
    float_layers: list[str] = field(default_factory=list)
    format: int = FORMAT

    @property
    def largest_share(self) -> float:
        """The largest difference from eager torch, as a share of what is allowed."""
        return max(look.share for look in self.looks)

    @property
    def found(self) -> int:
        """How many detections there are on all pictures."""
        return sum(len(answer.get("scores", ())) for look in self.looks for answer in look.answers)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Certificate":
        """The certificate in a file.

        Raises:
            InputError: for a file that is none, or is of another layout.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values["format"] != FORMAT:
                raise InputError(f"{path}: format {values['format']!r} must be {FORMAT}, of this version")
            said = OnData(**values["data"]) if values.get("data") else None
            found = cls(**{**values, "data": said, "looks": [Look(**look) for look in values["looks"]]})
            if found.is_whole:
                return found
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, InputError):
                raise
        raise InputError(f"{path}: is not a whole certificate; export the file again")

    @property
    def is_whole(self) -> bool:
        """Whether it says all that a check needs, and proves something.

        Raises:
            ValueError, LookupError, TypeError, AttributeError: where it is not even of that shape.
        """
        channels = self.conventions["in_channels"]
        sums = self.files and all(isinstance(text, str) for text in self.files.values())
        looks = self.looks and all(look.is_whole(self.kind) for look in self.looks)
        proves = self.kind == "network" or self.found > 0 or self.data is not None
        return bool(self.kind in OUTPUTS and type(channels) is int and channels > 0 and sums and looks and proves)


def place_of(path: Path) -> Path:
    """Where the certificate of a file lies."""
    return path.with_name(path.name + SUFFIX)


def files_of(path: Path) -> list[Path]:
    """The files that belong to a program: OpenVINO's weights lie beside its graph."""
    return [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha(stream)


def _sha(stream: Any) -> str:
    found = hashlib.sha256()
    while part := stream.read(1 << 20):
        found.update(part)
    return found.hexdigest()


def answers_of(kind: str, given: Arrays, batch: int) -> list[dict[str, Any]]:
    """What a program gave for each picture, as a certificate holds it."""
    return [_answer(kind, given, i) for i in range(batch)]


def _answer(kind: str, given: Arrays, picture: int) -> dict[str, Any]:
    if kind == "network":
        return {name: _sample(values[picture]) for name, values in given.items()}
    count = int(given["count"][picture])
    return {name: _plain(given[name][picture][:count]) for name in ("boxes", "scores", "labels")}


def _sample(values: NDArray[Any]) -> dict[str, Any]:
    """Some values of an output, the same ones at each time, with its shape and its largest value."""
    places = np.random.Generator(np.random.PCG64(values.size)).integers(0, values.size, SAMPLES)
    largest = float(np.abs(values).max())
    return {"shape": [*values.shape], "largest": largest, "values": _plain(values.reshape(-1)[places])}


def _plain(values: NDArray[Any]) -> list[Any]:
    """Numbers as JSON has them, in the fewest digits that give the same float32."""
    if values.dtype.kind != "f":
        plain: list[Any] = values.tolist()
        return plain
    return [_plain(row) for row in values] if values.ndim > 1 else [float(str(value)) for value in values]


def distance_of(kind: str, expected: dict[str, Any], found: dict[str, Any]) -> Distance:
    """How far an answer is from the one that is expected."""
    if kind == "network":
        parts = [sample_distance(name, expected[name], found[name]) for name in OUTPUTS[kind]]
        return max(parts, key=lambda part: part.share)
    return distance(detections_of(expected), detections_of(found))


def detections_of(answer: dict[str, Any]) -> FoundObjects:
    """What a certificate holds of a picture, as arrays."""
    boxes = np.array(answer["boxes"], dtype=np.float32).reshape(-1, 4)
    return FoundObjects(boxes, np.array(answer["scores"], np.float32), np.array(answer["labels"], np.int64))


def look_again(run: Run, kind: str, look: Look, channels: int) -> Distance:
    """How far a program is from the answers of a look; the reason names the picture."""
    return worst_of(kind, look, answers_of(kind, run(look.pictures(channels)), look.batch))


def worst_of(kind: str, look: Look, given: Sequence[dict[str, Any]]) -> Distance:
    """How far these answers are from those of a look; the reason names the picture."""
    worst = Distance(0.0)
    for i, (expected, found) in enumerate(zip(look.answers, given, strict=True)):
        one = distance_of(kind, expected, found)
        if one.share > worst.share or not worst.share:
            worst = Distance(one.share, f"{look.words}, picture {i}: {one.reason}" if one.reason else "")
    return worst


def sizes(config: dict[str, Any], kind: str) -> Sequence[tuple[int, int]]:
    """Five sizes, square and not, odd and even, about as large as the network is fed."""
    side = config["min_side"] or 256
    if kind == "network":
        side = -(-side // 128) * 128
        return [(side, side), (side, side + 128), (side + 256, side), (128, 256), (384, 128)]
    odd = side // 2 * 2 + 1
    return [(odd, odd), (side, side * 4 // 3), (odd * 3 // 2, side), (side // 2 + 1, odd), (side * 2, odd * 5 // 4)]
