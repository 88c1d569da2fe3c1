"""Conventions and presets: what a config accepts, how it is named, how one convention is turned."""

from dataclasses import Field, replace
from typing import Any

import pytest

from torch_retinanet import InputError, RetinaNetConfig
from torch_retinanet.config import PRESETS, allowed_values, conventions


def test_every_convention_has_a_sentence_and_a_source() -> None:
    for field in conventions():
        assert field.metadata["meaning"].endswith(".")
        assert field.metadata["source"]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_its_name_and_survives_being_written_down(preset: str) -> None:
    config = RetinaNetConfig.preset(preset, num_classes=3)
    assert config.name == preset
    assert RetinaNetConfig.from_dict(config.as_dict()) == config


def test_a_changed_preset_says_what_was_changed() -> None:
    config = replace(RetinaNetConfig.notebook(), p7_relu="before", bn_eps=1e-5)
    assert config.name == "notebook with bn_eps=1e-05, p7_relu='before'"


@pytest.mark.parametrize("field", conventions(), ids=lambda field: field.name)
def test_a_convention_takes_each_of_its_values_as_text(field: Field[Any]) -> None:
    for value in allowed_values(field) or (0.125,):
        config = RetinaNetConfig.notebook().with_convention(f"{field.name}={value}")
        assert getattr(config, field.name) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("p7_relu=never", "p7_relu: 'never' must be one of 'after', 'before'"),
        ("bn_eps=small", "bn_eps: 'small' must be a number"),
        ("bn_eps=-1", "bn_eps: -1.0 must be a number from 0 to 1"),
        ("bn_eps=nan", "bn_eps: nan must be a number from 0 to 1"),
        ("padding=same", "convention: 'padding=same' must be NAME=VALUE with a name of stride_in, "),
        ("num_classes=3", "convention: 'num_classes=3' must be NAME=VALUE with a name of stride_in, "),
    ],
)
def test_a_convention_that_does_not_exist_is_named(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        RetinaNetConfig.notebook().with_convention(text)


@pytest.mark.parametrize("num_classes", [0, -1, 1.5, True, "10"])
def test_there_is_at_least_one_class(num_classes: int) -> None:
    with pytest.raises(InputError, match=f"num_classes: {num_classes!r} must be a whole number of at least 1"):
        RetinaNetConfig.notebook(num_classes=num_classes)


def test_a_truth_value_is_no_number_and_a_number_no_truth_value() -> None:
    with pytest.raises(InputError, match="conv_bias: 1 must be one of True, False"):
        RetinaNetConfig.from_dict(RetinaNetConfig.notebook().as_dict() | {"conv_bias": 1})
    with pytest.raises(InputError, match="bn_eps: True must be a number from 0 to 1"):
        replace(RetinaNetConfig.notebook(), bn_eps=True)


def test_an_unknown_preset_is_named_beside_the_known_ones() -> None:
    with pytest.raises(InputError, match="preset: 'fizyr' must be one of notebook, torchvision"):
        RetinaNetConfig.preset("fizyr")


def test_fields_of_another_version_are_named() -> None:
    values = RetinaNetConfig.notebook().as_dict()
    values["anchors"] = values.pop("p7_relu")
    with pytest.raises(InputError, match=r"\['anchors', 'p7_relu'\] are unknown or missing"):
        RetinaNetConfig.from_dict(values)
