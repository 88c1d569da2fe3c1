"""All settings of a training run: one frozen dataclass, from flags or a TOML file, written into the run."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
import tyro

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.data.box_layouts import BoxLayout
from torch_retinanet.devices import Device
from torch_retinanet.errors import InputError
from torch_retinanet.tiles import Tiling
from torch_retinanet.train.schedule import Schedule
from torch_retinanet.train.setting_types import as_setting

PathOrText = Annotated[str | Path, tyro.conf.arg(metavar="PATH")]
PathOrNone = Annotated[str | Path | None, tyro.conf.arg(metavar="{None}|PATH")]
"""A file or folder as it can be given; a `TrainConfig` has a path."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of a training run.

    Raises:
        InputError: for a value of another type, or out of range.
    """

    # What is learnt from
    data: tyro.conf.Positional[PathOrText]
    """annotations in any format that `retinanet inspect` reads"""
    out: PathOrText = Path("runs/retinanet")
    """the folder of the run"""
    split: str | None = None
    """the split of them to train on; by default `train` where there is one"""
    val: PathOrNone = None
    """annotations to evaluate on; by default the split `val`, `valid`, `dev` or `test` of `data`, if any"""
    val_split: str | None = None
    """the split of them to evaluate on; by default that for validation, or else for tests"""
    images: PathOrNone = None
    """the folder of the pictures, where it does not follow from `data`"""
    val_images: PathOrNone = None
    """the folder of those of `val`, where it does not follow from it"""
    classes: PathOrNone = None
    """a file with the names of the classes, in the order of their labels"""
    max_pixels: int | None = None
    """the largest picture that is read, for scans that you trust; by default Pillow's limit, 178,956,970 pixels"""
    boxes: BoxLayout | None = None
    """what the four numbers of a box mean, in `data` and `val`; by default what their formats say"""
    labelled_only: bool = False
    """leave out pictures of a YOLO data set without a label file; by default they have no objects"""
    strict: bool = False
    """stop at a picture that cannot be read, at annotations that would be lost, and at what is taken for granted"""

    # Whether pictures are cut into tiles
    tile: int = 0
    """pixels of the sides of tiles that large pictures are cut into, to find what is small in them; 0 for whole ones"""
    overlap: float = 0.25
    """the share of a tile that the one beside it shows too: more than an object's size in pixels"""
    empty_tiles: float = 0.1
    """the share of the tiles without objects that is learnt from"""

    # The model
    preset: str | None = None
    """conventions to start from, as torchvision or keras_io; by default those of `weights`, else torchvision"""
    conventions: Sequence[str] = ()
    """conventions that differ from the preset, as `anchor_scale=2`"""
    backbone: str | None = None
    """a residual network of torchvision, as resnet18 or resnext50_32x4d, or of timm, as timm/convnext_tiny; by default
    that of `weights`, else resnet50"""
    width: int | None = None
    """channels of the pyramid and the heads; by default those of `weights`, else 256"""
    head_depth: int | None = None
    """hidden layers of each head; by default those of `weights`, else 4"""
    min_side: int | None = None
    """pixels of a picture's short side; by default the preset's"""
    max_side: int | None = None
    """pixels that its long side has at most; by default the preset's"""
    min_sides: Sequence[int] = ()
    """short sides of which each step draws one, as `640 720 800`; by default all steps have `min_side`"""
    weights: PathOrNone = None
    """a whole model to go on from: a file, a run, or COCO_V1; classes of one name keep their part of the class head"""
    backbone_weights: str | None = None
    """`imagenet`, or a file that `retinanet convert` wrote of a backbone; by default random values"""
    backbone_rate: float = 1.0
    """the learning rate of the backbone as a share of `rate`"""
    frozen_stages: int = 0
    """stages of the backbone, of 5, that keep their weights"""
    frozen_norm: bool = False
    """BatchNorm keeps its statistics, scales and offsets"""

    # How it is changed
    flip: float = 0.5
    """how often a picture is mirrored left to right"""
    vertical_flip: float = 0.0
    """how often it is mirrored top to bottom"""
    scale: tuple[float, float] = (1.0, 1.0)
    """between which factors it is scaled about, then cut or padded to its size again"""
    crop: float = 0.0
    """how often a part is cut out of it that keeps enough of some box"""
    colour: float = 0.0
    """how far brightness, contrast and saturation are drawn from 1"""
    mosaic: float = 0.0
    """how often it meets three others at a point"""
    copy_paste: float = 0.0
    """how often objects of another picture are put onto it"""
    mixup: float = 0.0
    """how often it is blended with another, half and half"""
    balance: float = 0.0
    """the share of pictures below which a class is rare: pictures with a rare class are drawn more often"""

    # How the weights follow
    epochs: int = 12
    """times that every picture is seen"""
    steps: int | None = None
    """steps of the run, instead of epochs"""
    batch: int = 8
    """pictures in a batch, on each device"""
    accumulate: int = 1
    """batches in a step"""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or SGD with momentum 0.9"""
    rate: float = 1e-4
    """the largest learning rate"""
    weight_decay: float = 1e-4
    """decay of kernels; biases and BatchNorm have none"""
    clip_norm: float = 1.0
    """the largest norm of gradients; 0 for no limit"""
    clip_scope: Literal["global", "parameter"] = "global"
    """whose norm `clip_norm` limits: that of all gradients together (as `clip_grad_norm_` of torch and
    `global_clipnorm` of Keras), or of each parameter's own (as `clipnorm` of Keras in fizyr/keras-retinanet)"""
    schedule: Schedule = "one_cycle"
    """how the rate goes on"""
    warm_up: float = 0.15
    """the share of steps until the largest rate is reached"""
    ema: float | None = None
    """what the moving average of the weights keeps in a step, as 0.999; by default there is none"""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """numbers in which the network computes; `no` is float32"""
    compile: bool = False
    """compile the network of a step by `torch.compile`: the first steps wait for it, and it pays on GPUs alone"""

    device: Device | None = None
    """where it runs; by default on the GPU where there is one"""

    # When it is looked at
    evaluate_every: int = 0
    """steps between two evaluations; by default one, at the end"""
    patience: int = 0
    """evaluations without a better mAP after which the run ends early; by default it does not"""
    save_every: int = 100
    """steps between two checkpoints"""
    log_every: int = 10
    """steps between two lines of metrics"""
    workers: int = 1
    """processes that read pictures"""
    seed: int = 0
    """of the first weights, of the order of pictures, and of how they are changed"""

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            if (value := getattr(self, name)) is not tyro.MISSING:  # which a command still has to be told
                object.__setattr__(self, name, as_setting(name, kind, value))
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise InputError(f"{name}: {value!r} must be at least {least}")
            if value is not None and not value <= (most := MOST.get(name, LARGEST)):
                raise InputError(f"{name}: {value!r} must be at most {most:g}")
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: {getattr(self, name)!r} must be from 0 to 1")
        if not all(1 <= side <= MOST["min_side"] for side in self.min_sides):
            raise InputError(f"min_sides: {self.min_sides!r} must be pixels, from 1 to {MOST['min_side']}")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] <= LARGEST:
            raise InputError(f"scale: {self.scale!r} must be two factors above 0, the smaller one first")
        self.tiling()
        if self.ema is not None and not 0 <= self.ema < 1:
            raise InputError(f"ema: {self.ema!r} must be from 0 to below 1")

    def tiling(self) -> Tiling | None:
        """How pictures are cut, if they are.

        Raises:
            InputError: for a tile that is too small, or an overlap out of range.
        """
        return Tiling(self.tile, self.overlap) if self.tile else None

    def model_config(self, num_classes: int) -> RetinaNetConfig:
        """The conventions and sizes of the model.

        Raises:
            InputError: for an unknown preset, convention or value.
        """
        config = RetinaNetConfig.preset(self.preset or "torchvision", num_classes=num_classes)
        names = ("backbone", "width", "head_depth", "min_side", "max_side")
        config = config.changed(**{name: value for name in names if (value := getattr(self, name)) is not None})
        for assignment in self.conventions:
            config = config.with_convention(assignment)
        return config

    def with_whole_paths(self) -> "TrainConfig":
        """These settings for whatever folder they are read in: paths to what is there begin at the root."""
        given = {name: value for name in FILES if (value := getattr(self, name)) is not None}
        whole: dict[str, Any] = {n: str(Path(value).absolute()) for n, value in given.items() if Path(value).exists()}
        return dataclasses.replace(self, **whole)

    def as_dict(self) -> dict[str, Any]:
        """All settings but those that are `None`, in types that TOML has."""
        return {name: _plain(value) for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_toml(cls, path: Path, **given: Any) -> "TrainConfig":
        """The settings in a TOML file; those that it does not hold are as `given`, or have their default.

        Raises:
            InputError: for a file that is no TOML, a setting that is not known, and a value that is not allowed.
            FileNotFoundError: where there is no file.
        """
        try:
            found = msgspec.toml.decode(path.read_bytes())
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: there is no such file") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: not a TOML file ({error})") from None
        if unknown := set(found) - {field.name for field in dataclasses.fields(cls)}:
            raise InputError(f"{path}: {min(unknown)!r} is no setting of a training run")
        if "data" not in given | found:
            raise InputError(f"{path}: 'data' is missing, and a training run needs it")
        try:
            return cls(**given | found)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


DATA = ("data", "val", "images", "val_images", "classes")
"""Settings that name files and folders of the data."""

FILES = (*DATA, "out", "weights", "backbone_weights")
"""Settings that name files and folders; weights can have other names, as `imagenet`."""

LEAST = {
    **{
        "max_pixels": 1,
        "width": 1,
        "head_depth": 0,
        "min_side": 1,
        "max_side": 1,
        "frozen_stages": 0,
        "epochs": 1,
        "steps": 1,
    },
    **{"batch": 1, "accumulate": 1, "rate": 0, "weight_decay": 0, "clip_norm": 0, "evaluate_every": 0, "patience": 0},
    **{"save_every": 1, "log_every": 1, "workers": 0, "seed": 0, "colour": 0},
}
"""The least that a number may be."""

MOST = {"width": 2**13, "head_depth": 64, "min_side": 2**15, "max_side": 2**15, "frozen_stages": 5, "seed": 2**63 - 1}
"""The most that a number may be; for the batch and others `check_limits` asks the data and the machine."""

LARGEST = sys.float_info.max
"""No number is infinite."""

SHARES = (
    *("flip", "vertical_flip", "crop", "mosaic", "copy_paste", "mixup"),
    *("warm_up", "backbone_rate", "empty_tiles", "balance"),
)
"""Numbers from 0 to 1."""


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value
