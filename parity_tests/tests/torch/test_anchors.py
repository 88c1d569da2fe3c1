"""Anchors: those of torchvision in its preset, those of the keras.io example by hand, and one convention at a time."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import _default_anchorgen

from torch_retinanet import InputError, RetinaNet, RetinaNetConfig
from torch_retinanet.anchors import AnchorGenerator, cells

SIZES = [(128, 128), (96, 160), (800, 1344), (100, 75), (32, 32)]


def anchors(config: RetinaNetConfig, height: int = 128, width: int = 128) -> Tensor:
    return AnchorGenerator(config).get_anchors(height, width, dtype=torch.float64)


def widths_and_heights(boxes: Tensor) -> Tensor:
    return boxes[:, 2:] - boxes[:, :2]


@pytest.mark.parametrize("size", SIZES)
def test_the_torchvision_preset_has_the_anchors_of_torchvision(size: tuple[int, int]) -> None:
    maps = [torch.zeros(1, 1, *cells(*size, stride)) for stride in (8, 16, 32, 64, 128)]
    theirs = _default_anchorgen()(ImageList(torch.zeros(1, 3, *size), [size]), maps)[0]
    assert torch.equal(AnchorGenerator(RetinaNetConfig.torchvision()).get_anchors(*size), theirs)


@pytest.mark.parametrize("size", SIZES)
def test_levels_divide_the_anchors_among_them(size: tuple[int, int]) -> None:
    box = AnchorGenerator(RetinaNetConfig.keras_io())
    assert sum(box.anchors_per_level(*size)) == len(box.get_anchors(*size))
    assert AnchorGenerator(RetinaNetConfig.keras_io()).anchors_per_level(128, 128) == [2304, 576, 144, 36, 9]


def test_the_first_anchors_of_the_keras_io_example_by_hand() -> None:
    """Area 32 squared, ratio w/h 1/2: 22.6 wide, 45.3 high, in the middle of the first cell of 8 pixels."""
    first = anchors(RetinaNetConfig.keras_io())[:9]
    half = torch.tensor([16 / 2**0.5, 16 * 2**0.5], dtype=torch.float64)
    centre = torch.tensor([4.0, 4.0], dtype=torch.float64)
    torch.testing.assert_close(first[0], torch.cat([centre - half, centre + half]), rtol=1e-15, atol=1e-14)
    torch.testing.assert_close(widths_and_heights(first)[1], 2 * half * 2 ** (1 / 3), rtol=1e-15, atol=0)
    torch.testing.assert_close(widths_and_heights(first)[6], 2 * half.flip(0), rtol=1e-15, atol=0)


def test_cells_run_along_the_row_first() -> None:
    centres = anchors(RetinaNetConfig.keras_io(), 96, 160).reshape(-1, 2, 2).mean(1)[::9]
    assert centres[:2].tolist() == [[4, 4], [12, 4]]
    assert centres[20].tolist() == [4, 12]


def test_ratio_w_to_h_is_the_transpose_of_h_to_w() -> None:
    wide, high = (anchors(replace(RetinaNetConfig.keras_io(), anchor_ratio=r)) for r in ("w/h", "h/w"))
    torch.testing.assert_close(widths_and_heights(wide)[:9], widths_and_heights(high)[:9].flip(1))


def test_orders_within_a_cell_hold_the_same_anchors() -> None:
    """The permutation of detectron2's order, which is its own inverse."""
    config = RetinaNetConfig.keras_io()
    by_scale = anchors(replace(config, anchor_order="scale_ratio"))[:9]
    assert torch.equal(anchors(config)[:9], by_scale[[0, 3, 6, 1, 4, 7, 2, 5, 8]])


def test_the_corner_of_a_cell_is_half_a_cell_from_its_middle() -> None:
    config = RetinaNetConfig.keras_io()
    shift = anchors(config) - anchors(replace(config, anchor_centre="corner"))
    assert torch.unique(shift.round(decimals=9)).tolist() == [4, 8, 16, 32, 64]


def test_the_pixel_before_the_middle_is_that_of_an_odd_cell() -> None:
    """97 pixels have 13 cells of 7 pixels, 7 of 13, 4 of 24, 2 of 48 and 1 of 97."""
    config = replace(RetinaNetConfig.torchvision(), anchor_rounding="none")
    middle, before = (anchors(replace(config, anchor_centre=c), 97, 97) for c in ("half_cell", "half_cell_down"))
    assert torch.unique((middle - before)[: 9 * 13 * 13].round(decimals=9)).tolist() == [0.5]
    assert torch.unique((middle - before).round(decimals=9)).tolist() == [0, 0.5]


def test_anchors_end_at_the_border_of_the_picture_where_a_convention_says_so() -> None:
    config = RetinaNetConfig.keras_io()
    whole, cut = (anchors(replace(config, clip_anchors=c), 70, 97) for c in (False, True))
    limits = torch.tensor([97.0, 70.0, 97.0, 70.0])
    assert torch.equal(cut, torch.minimum(whole.clamp(min=0), limits))
    assert not torch.equal(cut, whole)


def test_steps_by_the_pictures_share_differ_where_the_side_does_not_divide() -> None:
    config = replace(RetinaNetConfig.keras_io(), anchor_centre="corner")
    shares = replace(config, anchor_stride="picture_over_cells")
    assert torch.equal(anchors(config), anchors(shares))
    assert anchors(shares, 160, 160).max() < anchors(config, 160, 160).max()


def test_a_smaller_scale_shrinks_all_anchors_about_their_centres() -> None:
    config = RetinaNetConfig.keras_io()
    small = anchors(replace(config, anchor_scale=2.0))
    torch.testing.assert_close(widths_and_heights(small) * 2, widths_and_heights(anchors(config)))
    assert torch.equal((small[:, :2] + small[:, 2:]).round(), (anchors(config)[:, :2] + anchors(config)[:, 2:]).round())


def test_anchors_lie_in_the_order_of_the_outputs() -> None:
    """Maps kept whole: the first anchor of all cells comes before the second of any."""
    config = replace(RetinaNetConfig.keras_io(), output_order="anchor_row_column")
    by_cell = anchors(config)[:2304].reshape(9, 256, 4).transpose(0, 1)
    assert torch.equal(by_cell.reshape(-1, 4), anchors(RetinaNetConfig.keras_io())[:2304])


def test_precision_is_that_asked_for() -> None:
    box = AnchorGenerator(RetinaNetConfig.keras_io())
    assert box.get_anchors(64, 64).dtype == torch.float32
    assert torch.equal(box.get_anchors(64, 64, dtype=torch.float64).float(), box.get_anchors(64, 64))


def test_anchors_that_are_changed_are_not_changed_for_the_next_who_asks() -> None:
    anchors = AnchorGenerator(RetinaNetConfig.keras_io())
    expected = anchors.get_anchors(64, 32, dtype=torch.float64).clone()
    anchors.get_anchors(64, 32, dtype=torch.float64).zero_()
    assert torch.equal(AnchorGenerator(RetinaNetConfig.keras_io()).get_anchors(64, 32, dtype=torch.float64), expected)


@pytest.mark.parametrize(
    ("scales", "ratios"), [((1.0,), (1.0, 2.0)), ((1.0, 1.5), (0.5, 1.0, 2.0)), ((1.0,) * 5, (1.0,) * 3)]
)
def test_a_cell_has_as_many_anchors_as_scales_times_ratios(
    scales: tuple[float, ...], ratios: tuple[float, ...]
) -> None:
    config = RetinaNetConfig.keras_io(2, anchor_scales=scales, anchor_ratios=ratios, backbone="resnet18", width=16)
    count = len(scales) * len(ratios)
    found = AnchorGenerator(config).get_anchors(64, 96)
    assert len(found) == count * (8 * 12 + 4 * 6 + 2 * 3 + 1 * 2 + 1)
    assert RetinaNet(config)(torch.zeros(1, 3, 64, 96)).shape == (1, len(found), 6)
    sides = found[:count, 2:] - found[:count, :2]
    expected = [(32 * s * r**0.5, 32 * s / r**0.5) for r in ratios for s in scales]
    torch.testing.assert_close(sides, torch.tensor(expected))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"anchor_scales": ()}, r"anchor_scales: \(\) must be numbers, at least one, from "),
        ({"anchor_ratios": (0.0, 1.0)}, r"anchor_ratios: \(0.0, 1.0\) must be 2 numbers from "),
        ({"anchor_ratios": 1.0}, "anchor_ratios: 1.0 must be numbers, at least one, from "),
    ],
)
def test_anchors_that_are_none_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        RetinaNetConfig.keras_io(2, **changes)
