"""Conventions and presets: what a config accepts, how it is named, how one convention is changed."""

import json
from dataclasses import Field, replace
from fractions import Fraction
from typing import Any, get_args

import numpy as np
import pytest
import torch

from torch_retinanet import InputError, RetinaNetConfig
from torch_retinanet.config import PRESETS
from torch_retinanet.config.fields import allowed_values, by_group, conventions
from torch_retinanet.config.presets import FIRST

CONVENTIONS = conventions(RetinaNetConfig)


def test_every_convention_has_a_sentence_and_a_source() -> None:
    for field in CONVENTIONS:
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


def test_each_convention_is_in_the_group_of_the_room_that_reads_it() -> None:
    groups = by_group(RetinaNetConfig)
    assert [field.name for fields in groups.values() for field in fields] == [field.name for field in CONVENTIONS]
    assert "nms_iou" in [field.name for field in groups["postprocessing"]]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_config_is_shown_as_its_preset_and_what_differs(preset: str) -> None:
    config = RetinaNetConfig.preset(preset, num_classes=3, backbone="resnet18", anchor_scale=2)
    assert repr(config) == (f"RetinaNetConfig.preset({preset!r}, num_classes=3, backbone='resnet18', anchor_scale=2)")
    assert eval(repr(config)) == config


def test_a_field_that_does_not_exist_is_named_beside_the_nearest() -> None:
    with pytest.raises(InputError, match="score_treshold: is no field of RetinaNetConfig; did you mean score_thr"):
        RetinaNetConfig.torchvision(3, score_treshold=0.2)


NUMBERS = {"anchor_sizes": 5, "pixel_mean": 3, "pixel_std": 3}
"""How many numbers a convention has where its type leaves that open, and another field decides."""


@pytest.mark.parametrize("field", CONVENTIONS, ids=lambda field: field.name)
def test_a_convention_takes_each_of_its_values_as_text(field: Field[Any]) -> None:
    count = NUMBERS.get(field.name, len(get_args(field.type)))
    number = ",".join(count * ["4"]) or (
        "7" if field.type is int else "0.45" if field.metadata["bounds"][1] >= 1 else "0.2"
    )
    for text in map(str, allowed_values(field) or (number,)):
        config = RetinaNetConfig.notebook().with_convention(f"{field.name}={text}")
        value = getattr(config, field.name)
        assert (",".join(f"{n:g}" for n in value) if isinstance(value, tuple) else str(value)) == text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("p7_relu=never", "p7_relu: 'never' must be one of 'after', 'before'"),
        ("bn_eps=small", "bn_eps: 'small' must be a number"),
        ("box_variance=1,2", r"box_variance: \(1.0, 2.0\) must be 4 numbers from "),
        ("match_iou=0.5,0.9", "match_iou: '0.5,0.9' must be a single number"),
        ("min_side=-1", "min_side: -1 must be a whole number from 0 to "),
        ("min_side=1.5", "min_side: 1.5 must be a whole number from 0 to "),
        ("ignore_iou=0.9", "ignore_iou: 0.9 must not be above match_iou=0.5"),
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


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("backbone", "vgg16", "must be one of 'resnet18', "),
        ("width", 0, "must be a whole number of at least 1"),
        ("head_depth", 2.5, "must be a whole number of at least 1"),
    ],
)
def test_a_network_has_a_backbone_and_sizes(field: str, value: Any, rule: str) -> None:
    with pytest.raises(InputError, match=f"{field}: {value!r} {rule}"):
        RetinaNetConfig.from_dict(RetinaNetConfig.notebook().as_dict() | {field: value})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"in_channels": 4}, r"pixel_mean: \(123.675, 116.28, 103.53\) must have in_channels=4 numbers"),
        ({"in_channels": 1, "pixel_mean": (127.5,)}, "pixel_std: .* must have in_channels=1 numbers"),
        ({"anchor_sizes": (16, 32)}, r"anchor_sizes: \(16, 32\) must have a number for each of 5 levels"),
        ({"max_level": 5, "anchor_sizes": (8.0,) * 5}, "anchor_sizes: .* must have a number for each of 3 levels"),
        ({"min_level": 4}, "min_level: 4 must be one of 2, 3"),
        ({"head_norm": "group", "width": 48}, "width: 48 must divide by gn_groups=32"),
        ({"head_norm": "group", "gn_groups": 8, "width": 36}, "width: 36 must divide by gn_groups=8"),
        ({"padding_place": "around", "min_side": 0}, "min_side: 0 keeps a picture's size, and padding_place='around'"),
    ],
)
def test_fields_that_belong_together_agree(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        RetinaNetConfig.torchvision(3, **changes)


def test_no_sizes_of_anchors_are_written_as_nothing() -> None:
    sized = RetinaNetConfig.torchvision().with_convention("anchor_sizes=16,32,64,128,256")
    assert sized.anchor_sizes == (16, 32, 64, 128, 256)
    assert sized.with_convention("anchor_sizes=") == RetinaNetConfig.torchvision()


def test_another_size_is_named_and_is_another_result() -> None:
    small = replace(RetinaNetConfig.keras_io(), backbone="resnet18", width=64)
    assert small.name == "keras_io with backbone='resnet18', width=64"
    assert small.differences(RetinaNetConfig.keras_io(), acts_on="result") == ["backbone", "width"]


def test_a_truth_value_is_no_number_and_a_number_no_truth_value() -> None:
    with pytest.raises(InputError, match="conv_bias: 1 must be one of True, False"):
        RetinaNetConfig.from_dict(RetinaNetConfig.notebook().as_dict() | {"conv_bias": 1})
    with pytest.raises(InputError, match="bn_eps: True must be a number from 0 to 1"):
        replace(RetinaNetConfig.notebook(), bn_eps=True)


def test_numbers_of_numpy_are_kept_as_pythons_own() -> None:
    given: dict[str, Any] = {
        "num_classes": np.int64(3),
        "min_side": np.uint16(320),
        "score_threshold": np.float32(0.5),
        "nms_iou": np.float64(0.25),
        "match_iou": Fraction(1, 2),
        "clip_boxes": np.True_,
        "anchor_scales": (np.float32(1.0), np.int8(2)),
    }
    config = RetinaNetConfig.torchvision(**given)
    assert config == RetinaNetConfig.torchvision(
        3, min_side=320, score_threshold=0.5, nms_iou=0.25, anchor_scales=(1, 2)
    )
    assert {type(getattr(config, name)) for name in given} == {int, float, bool, tuple}
    assert {type(scale) for scale in config.anchor_scales} == {float, int}
    assert eval(repr(config)) == RetinaNetConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize("value", [np.array(3), torch.tensor(3), np.float32("nan"), 1 + 0j, np.int64(0)])
def test_what_is_no_real_number_is_none(value: Any) -> None:
    with pytest.raises(InputError, match=r"num_classes: .* must be a whole number of at least 1"):
        RetinaNetConfig.notebook(num_classes=value)


def test_the_library_of_a_file_that_knew_bytes_alone_follows_from_its_smoothing() -> None:
    for smoothed, library in ((True, "pil"), (False, "cv2")):
        config = RetinaNetConfig.torchvision(
            resized_to="bytes", resize_antialias=smoothed, resize_library=library, min_side=99
        )
        older = {name: value for name, value in config.as_dict().items() if name != "resize_library"}
        assert RetinaNetConfig.from_dict(older) == config


def test_an_unknown_preset_is_named_beside_the_known_ones() -> None:
    with pytest.raises(InputError, match="preset: 'my_net' must be one of notebook, keras_io, torchvision"):
        RetinaNetConfig.preset("my_net")


def test_fields_of_another_version_are_named() -> None:
    values = RetinaNetConfig.notebook().as_dict() | {"anchors": 9}
    with pytest.raises(InputError, match="config: anchors is unknown; the file is of a newer version"):
        RetinaNetConfig.from_dict(values)


@pytest.mark.parametrize("preset", FIRST)
@pytest.mark.parametrize("field", ["clip_boxes", "stride_in"])
def test_a_field_that_an_older_file_lacks_is_that_of_its_preset(preset: str, field: str) -> None:
    config = RetinaNetConfig.preset(preset, num_classes=3, anchor_scale=2)
    older = {name: value for name, value in config.as_dict().items() if name != field}
    assert RetinaNetConfig.from_dict(older) == config
