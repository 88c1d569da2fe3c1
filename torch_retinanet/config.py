"""Every convention in which RetinaNets differ, one field each.

A published RetinaNet is a named preset. No module asks for a preset's name: it asks for the convention.
"""

from collections.abc import Callable
from dataclasses import Field, asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from torch_retinanet.errors import InputError


def convention(meaning: str, source: str, *, acts_on: Literal["result", "training"] = "result") -> Any:
    """A field with the sentence that says what it means, its source, and whether it acts beyond training."""
    return field(metadata={"meaning": meaning, "source": source, "acts_on": acts_on})


@dataclass(frozen=True, kw_only=True)
class RetinaNetConfig:
    """The conventions of one RetinaNet; start from a preset and `dataclasses.replace` what differs.

    Raises:
        InputError: for a value that its convention does not know, or `num_classes` below 1.
    """

    num_classes: int
    stride_in: Literal["1x1", "3x3"] = convention(
        "The convolution of a residual block that halves the picture: the first 1x1, or the 3x3.",
        "keras.applications.resnet residual_block_v1; torchvision models/resnet.py Bottleneck",
    )
    conv_bias: bool = convention(
        "Whether the convolutions of the backbone have a bias beside that of their BatchNorm.",
        "keras.applications.resnet ResNet50 (use_bias=True); torchvision models/resnet.py (bias=False)",
    )
    bn_eps: float = convention(
        "What BatchNorm adds to the variance before the root.",
        "keras.applications.resnet (1.001e-5); torch.nn.BatchNorm2d (1e-5)",
    )
    bn_momentum: float = convention(
        "The share of the new batch in a running statistic after a training step (Keras writes one minus it).",
        "keras.layers.BatchNormalization (0.99, that is 0.01); torch.nn.BatchNorm2d (0.1)",
        acts_on="training",
    )
    bn_running_var: Literal["population", "sample"] = convention(
        "The variance that enters the running one: that of the batch (divided by n), or its estimate (by n - 1).",
        "keras.layers.BatchNormalization; torch.nn.BatchNorm2d",
        acts_on="training",
    )
    stem_padding: Literal["symmetric", "same"] = convention(
        "Zeros around the stem's 7x7 convolution and 3x3 pool: 3 and 1 on each side, or Keras' same, where the odd "
        "pixel goes to the bottom and right.",
        "keras.applications.resnet ResNet (conv1_pad, pool1_pad); keras-resnet 0.2.0 models/_2d.py",
    )
    stride2_padding: Literal["same", "symmetric"] = convention(
        "Zeros around the stride-2 convolutions of P6 and P7: Keras' same, where an even side gets (0, 1) and an odd "
        "one (1, 1), or always (1, 1).",
        'keras.layers.Conv2D (padding="same"); torchvision ops/feature_pyramid_network.py LastLevelP6P7',
    )
    p6_source: Literal["c5", "p5"] = convention(
        "The level that P6 is made from: the backbone's C5, or the pyramid's P5.",
        "Lin et al. 2017 (arXiv 1708.02002), section 4, footnote 2; torchvision retinanet_resnet50_fpn",
    )
    p7_relu: Literal["after", "before"] = convention(
        "Where P7's ReLU stands: relu(conv(P6)), or conv(relu(P6)).",
        "the notebook's Conv2D(activation='relu'); the keras.io example",
    )
    upsample: Literal["nearest_2x", "nearest_to_size", "bilinear_2x"] = convention(
        "How a level is enlarged to merge with the one below: each pixel twice, nearest pixel to that level's size, or "
        "bilinear times 2. Times 2 needs sides that divide by 32.",
        "keras.layers.UpSampling2D(2); torchvision ops/feature_pyramid_network.py; tf.image.resize of cvisionai",
    )
    output_order: Literal["row_column_anchor", "anchor_row_column"] = convention(
        "The order of anchors within a level: all nine of a cell together, cells by row then column, or the whole map "
        "of the first anchor, then of the second.",
        "a reshape of channels last to (B,-1,K); of channels first to (B,9,K,H,W), with its maps kept whole",
    )
    body_init: Literal["glorot_uniform", "torchvision"] = convention(
        "Fresh kernels of backbone and pyramid: Glorot uniform, or He normal by fan out in the backbone and uniform "
        "by fan in (gain 1) in the pyramid.",
        "keras.layers.Conv2D; torchvision models/resnet.py and ops/feature_pyramid_network.py",
        acts_on="training",
    )
    head_init: Literal["glorot_uniform", "normal_prior"] = convention(
        "Fresh heads: Glorot uniform with zero biases, or normal with deviation 0.01 and the class bias -log(99), a "
        "prior of 0.01 for each class.",
        "keras.layers.Conv2D; Lin et al. 2017 (arXiv 1708.02002), section 4.1",
        acts_on="training",
    )

    def __post_init__(self) -> None:
        if isinstance(self.num_classes, bool) or not isinstance(self.num_classes, int) or self.num_classes < 1:
            raise InputError(f"num_classes: {self.num_classes!r} must be a whole number of at least 1")
        for convention_field in conventions():
            _check_value(convention_field, getattr(self, convention_field.name))

    @classmethod
    def notebook(cls, num_classes: int = 10) -> "RetinaNetConfig":
        """The teaching notebook: `keras.applications` ResNet-50 and Keras' default layers."""
        return cls(
            num_classes=num_classes,
            stride_in="1x1",
            conv_bias=True,
            bn_eps=1.001e-5,
            bn_momentum=0.01,
            bn_running_var="population",
            stem_padding="symmetric",
            stride2_padding="same",
            p6_source="c5",
            p7_relu="after",
            upsample="nearest_2x",
            output_order="row_column_anchor",
            body_init="glorot_uniform",
            head_init="glorot_uniform",
        )

    @classmethod
    def torchvision(cls, num_classes: int = 91) -> "RetinaNetConfig":
        """The network of torchvision's `retinanet_resnet50_fpn`, 91 classes of which the first stands for none."""
        return cls(
            num_classes=num_classes,
            stride_in="3x3",
            conv_bias=False,
            bn_eps=1e-5,
            bn_momentum=0.1,
            bn_running_var="sample",
            stem_padding="symmetric",
            stride2_padding="symmetric",
            p6_source="p5",
            p7_relu="before",
            upsample="nearest_to_size",
            output_order="row_column_anchor",
            body_init="torchvision",
            head_init="normal_prior",
        )

    @classmethod
    def preset(cls, name: str, **arguments: Any) -> "RetinaNetConfig":
        """The preset called `name`, with `num_classes` where given."""
        if name not in PRESETS:
            raise InputError(f"preset: {name!r} must be one of {', '.join(PRESETS)}")
        return PRESETS[name](**arguments)

    @property
    def name(self) -> str:
        """The preset with these conventions; of changed ones the nearest preset, and what was changed in it."""
        presets = {name: make(self.num_classes) for name, make in PRESETS.items()}
        nearest = min(presets, key=lambda name: len(self.differences(presets[name])))
        changes = [f"{c}={getattr(self, c)!r}" for c in self.differences(presets[nearest])]
        return f"{nearest} with {', '.join(changes)}" if changes else nearest

    def with_convention(self, assignment: str) -> "RetinaNetConfig":
        """This config with one convention turned, written as on a command line: `p7_relu=before`."""
        name, _, text = assignment.partition("=")
        known = {f.name: f for f in conventions()}
        if name not in known:
            raise InputError(f"convention: {assignment!r} must be NAME=VALUE with a name of {', '.join(known)}")
        return replace(self, **{name: _read_value(known[name], text)})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RetinaNetConfig":
        """The config that `as_dict` wrote."""
        names = {f.name for f in fields(cls)}
        if values.keys() != names:
            raise InputError(f"config: fields {sorted(values.keys() ^ names)} are unknown or missing")
        return cls(**values)

    def differences(self, other: "RetinaNetConfig", *, acts_on: str | None = None) -> list[str]:
        """Names of the conventions that differ from `other`'s, of those that act on the result or on training alone."""
        return [
            f.name
            for f in conventions()
            if getattr(self, f.name) != getattr(other, f.name) and acts_on in (None, f.metadata["acts_on"])
        ]

    def as_dict(self) -> dict[str, Any]:
        """All fields by name, as plain numbers, strings and truth values."""
        return asdict(self)


PRESETS: dict[str, Callable[..., RetinaNetConfig]] = {
    "notebook": RetinaNetConfig.notebook,
    "torchvision": RetinaNetConfig.torchvision,
}


def conventions() -> list[Field[Any]]:
    """The fields of `RetinaNetConfig` that are conventions, in order."""
    return [f for f in fields(RetinaNetConfig) if f.metadata]


def allowed_values(convention_field: Field[Any]) -> tuple[Any, ...]:
    """The values a convention can take; none for one that is a number."""
    return (True, False) if convention_field.type is bool else get_args(convention_field.type)


def _read_value(convention_field: Field[Any], text: str) -> Any:
    if convention_field.type is float:
        try:
            return float(text)
        except ValueError:
            raise InputError(f"{convention_field.name}: {text!r} must be a number") from None
    by_text = {str(value): value for value in allowed_values(convention_field)}
    return by_text.get(text, text)


def _check_value(convention_field: Field[Any], value: Any) -> None:
    name, allowed = convention_field.name, allowed_values(convention_field)
    if allowed and (value not in allowed or isinstance(value, bool) != isinstance(allowed[0], bool)):
        raise InputError(f"{name}: {value!r} must be one of {', '.join(map(repr, allowed))}")
    if not allowed and not (isinstance(value, float | int) and not isinstance(value, bool) and 0 <= value <= 1):
        raise InputError(f"{name}: {value!r} must be a number from 0 to 1")
