"""Which conventions of a preset can be changed, and to what."""

from collections.abc import Iterator
from dataclasses import Field
from typing import Any

from parity_tests.ablation.override import Override, Part
from parity_tests.retinanet.optimizers import KERAS
from parity_tests.retinanet.torch_surroundings import Config
from torch_retinanet.config.fields import allowed_values, check_value, conventions, read_value
from torch_retinanet.config.network import BackboneConventions, HeadConventions, PyramidConventions
from torch_retinanet.config.pictures import PreprocessingConventions
from torch_retinanet.errors import InputError
from torch_retinanet.weights.weights_file import expected_shapes

NETWORK = tuple(
    name
    for group in (BackboneConventions, PyramidConventions, HeadConventions)
    for name in group.__annotations__
    if name != "group"
)
"""The conventions of the network itself."""

INIT = ("body_init", "head_init")
"""Those of fresh weights, which given ones do not show."""

PICTURES = tuple(name for name in PreprocessingConventions.__annotations__ if name != "group")
"""Those of what is done to pictures before the network."""

NOTES = {
    "bn_momentum": "Shows in the statistics that a training step leaves, at any size.",
    "bn_running_var": "Shows in the statistics that a training step leaves, at any size.",
    "body_init": "Shows in fresh weights alone; the steps start from them.",
    "head_init": "Shows in fresh weights alone; the steps start from them.",
    "bias_steps": "Shows where a parameter has no gradient in some step, which here none has.",
    "infinite_norm": "Shows where the norm of the gradients is infinite, which here it never is.",
}
"""Where a convention shows that sizes do not tell."""

NUMBERS: dict[str, tuple[str, ...]] = {
    "bn_eps": ("1.001e-05", "1e-05", "0.001"),  # keras.applications; torch.nn.BatchNorm2d; keras.layers
    "bn_momentum": ("0.01", "0.1"),  # Keras; torch
    "gn_groups": ("8", "32"),  # MONAI; torchvision
    "gn_eps": ("1e-05", "0.001"),  # torch.nn.GroupNorm; keras.layers.GroupNormalization
    "anchor_sizes": ("24,48,96,192,384",),  # three quarters of the usual ones
    "anchor_scale": ("2",),  # anchors from 16 pixels on, as for blood cells
    "anchor_scales": ("1,1.5,2",),  # as many anchors a cell, larger ones
    "anchor_ratios": ("0.333,1,3",),  # as many, longer ones
    "box_variance": ("0.1,0.1,0.2,0.2", "1,1,1,1"),  # the keras.io example; torchvision
    "match_iou": ("0.6",),
    "ignore_iou": ("0.5",),  # TensorFlow Models: nothing is ignored
    "focal_alpha": ("0.75",),  # the weight of what should be zero, taken for that of what should be one
    "focal_gamma": ("1.5",),  # TensorFlow Models
    "probability_margin": ("0.0001",),  # yhenon/pytorch-retinanet
    "log_epsilon": ("1e-07",),  # fizyr/keras-retinanet
    "smooth_l1_beta": ("0.111",),  # yhenon/pytorch-retinanet
    "box_loss_weight": ("5",),  # TensorFlow Models
    "pixel_mean": ("123.68,116.779,103.939", "123.675,116.28,103.53"),  # Keras; torchvision
    "pixel_std": ("1,1,1", "58.395,57.12,57.375"),  # Keras; torchvision
    "min_side": ("608",),  # yhenon/pytorch-retinanet
    "max_side": ("1024",),  # yhenon/pytorch-retinanet
    "pad_multiple": ("128", "32"),  # the keras.io example; torchvision
    "score_threshold": ("0.5",),  # KerasHub; the keras.io example where it shows pictures
    "topk_per_level": ("0", "1000"),  # the keras.io example; torchvision
    "topk_per_class": ("5000",),  # TensorFlow Models
    "nms_iou": ("0.4",),  # cvisionai/keras_retinanet
    "detections_per_picture": ("100", "300"),  # the keras.io example; torchvision
    "eps": ("1e-08",),  # torch.optim.Adam
    "clip_eps": ("1e-06",),  # torch.nn.utils.clip_grad_norm_
}
"""What numbers are changed to: those of published models, for two thresholds one that is near."""


def overrides(preset: str) -> list[Override]:
    """Every convention of a preset with each of its other values, those of the optimiser last."""
    of_optimizer = [override for field in conventions(KERAS) for override in _of_field(field, KERAS)]
    return [*conventions_of(Config.preset(preset)), *of_optimizer]


def conventions_of(config: Config) -> list[Override]:
    """Every convention of a config with each of its other values."""
    return [override for field in conventions(config) for override in _of_field(field, config)]


def changed_to(config: Config, assignment: str) -> Override:
    """One convention of a config with the value that is stated, as `pad_multiple=32`.

    Raises:
        InputError: for a value that it cannot have.
    """
    name, _, after = assignment.partition("=")
    field = next(field for field in conventions(config) if field.name == name)
    check_value(field, read_value(field, after))
    return _override(field, config, after)


def _of_field(field: Field[Any], config: Any) -> Iterator[Override]:
    others = [str(value) for value in allowed_values(field)] or NUMBERS[field.name]
    for after in others:
        if after != _as_text(getattr(config, field.name)):
            yield _override(field, config, after)


def _override(field: Field[Any], config: Any, after: str) -> Override:
    return Override(
        convention=field.name,
        before=_as_text(getattr(config, field.name)),
        after=after,
        meaning=field.metadata["meaning"],
        part=_part(field.name, config),
        acts_on=field.metadata["acts_on"],
        left_out=_left_out(field.name, after, config),
    )


def _as_text(value: Any) -> str:
    """A value as a command line has it."""
    if isinstance(value, tuple):
        return ",".join(f"{number:g}" for number in value)
    return str(value)


def _part(name: str, config: Any) -> Part:
    if not isinstance(config, Config):
        return "optimizer"
    return "network" if name in NETWORK else "pictures" if name in PICTURES else "surroundings"


def _left_out(name: str, after: str, config: Any) -> str:
    if name.startswith("gn_") and config.head_norm == "none":
        return "the network has no GroupNorm"
    if name == "shortcut_bias" and config.conv_bias:
        return "all convolutions of the backbone have a bias"
    if not isinstance(config, Config):
        return ""
    try:
        changed = config.with_convention(f"{name}={after}")
    except InputError as error:
        return str(error)
    has_others = changed.anchors_per_cell != config.anchors_per_cell
    if name in NETWORK and name not in INIT:
        has_others = expected_shapes(changed) != expected_shapes(config)
    return "the network then has other parameters" if has_others else ""
