"""A detector as a traced program finds what it finds as it is called: in all conventions that a program has."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from parity_tests.tests.support.exported import loud_detector
from torch_retinanet import InputError, RetinaNetConfig, RetinaNetDetector
from torch_retinanet.config import PRESETS
from torch_retinanet.engines.comparison import FoundObjects, distance
from torch_retinanet.postprocess import DecodePredictions
from torch_retinanet.preprocess import padded_size, resized_size
from torch_retinanet.traced.candidates import LevelOutputs, anchors_at
from torch_retinanet.traced.operators import suppress_in_torch
from torch_retinanet.traced.program import DetectionProgram
from torch_retinanet.traced.sizes import traced_size

SIZES = [(64, 96), (65, 131), (160, 70), (33, 150), (1, 40)]
"""Heights and widths of pictures: as the network is fed, odd, tall, wide, and of one row."""

CHANGES: dict[str, dict[str, Any]] = {
    "all_classes": {"nms_classes": "all"},
    "anchor_row_column": {"output_order": "anchor_row_column"},
    "all_levels": {"topk_per_level": 0, "detections_per_picture": 0},
    "clip_detections": {"clip_boxes": False, "clip_detections": True},
    "pad_always": {"pad_always": True, "clip_at": "padded"},
    "few": {"topk_per_level": 7},
    "clip_anchors": {"clip_anchors": True},
    "few_of_each_class": {"topk_per_class": 9},
    "first_class": {"first_class": "none"},
}
"""Conventions that no preset below has."""

TRACEABLE = [name for name in PRESETS if name not in ("detectron2", "mmdet", "mmdet_caffe", "fizyr")]


def detections(found: dict[str, Tensor]) -> FoundObjects:
    return FoundObjects(*(found[name].numpy() for name in ("boxes", "scores", "labels")))


def assert_same(detector: RetinaNetDetector, *, batch: int = 2) -> None:
    program = DetectionProgram(detector.model, detector.config)
    counts = []
    for seed, (height, width) in enumerate(SIZES):
        images = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            found, expected = program(images), detector(list(images))
        for i, one in enumerate(expected):
            count = int(found["count"][i])
            cut = {name: found[name][i, :count] for name in ("boxes", "scores", "labels")}
            assert distance(detections(one), detections(cut)).reason == "", (height, width)
            assert all(not found[name][i, count:].any() for name in cut)
            counts.append(count)
    assert sum(counts) > 10


@pytest.mark.parametrize("preset", TRACEABLE)
def test_a_program_finds_what_a_detector_of_a_preset_finds(preset: str) -> None:
    given = PRESETS[preset]
    groups = {"gn_groups": 8} if given.head_norm == "group" else {}
    sides = {"min_side": 0} if preset == "monai" else {}
    padding = {"pad_multiple": 128} if given.pad_multiple > 128 else {}  # not the whole picture that it stands for
    assert_same(loud_detector(preset, **groups, **sides, **padding))


@pytest.mark.parametrize("name", CHANGES)
def test_a_program_finds_what_a_detector_of_other_conventions_finds(name: str) -> None:
    assert_same(loud_detector(**CHANGES[name]))


@pytest.mark.parametrize("name", ["detectron2", "mmdet", "fizyr"])
def test_a_convention_that_no_program_has_is_named_with_what_to_do(name: str) -> None:
    with pytest.raises(
        InputError, match=r"^(resize_library|resized_to): .* --raw .*; or train with \1='(torch|real)'$"
    ):
        DetectionProgram(nn.Identity(), PRESETS[name])  # type: ignore[arg-type]


@pytest.mark.parametrize("doubles", [True, False])
@pytest.mark.parametrize("preset", ["torchvision", "yhenon", "keras_io", "cvisionai", "deepforest"])
def test_sizes_are_those_of_pictures_whatever_precision_a_runtime_has(preset: str, doubles: bool) -> None:
    config, random = RetinaNetConfig.preset(preset), np.random.default_rng(0)
    sizes = [(49, 49), (98, 49), (721, 721), *random.integers(1, 1500, (300, 2)).tolist()]
    for height, width in sizes:
        expected = resized_size((height, width), config)
        size = traced_size(height, width, config, doubles=doubles)
        assert tuple(map(int, size.pixels)) == expected.pixels
        padded = tuple(int(times) * config.pad_multiple for times in size.multiples)
        assert padded == padded_size([expected], config)


@pytest.mark.slow
def test_sizes_are_traced_again_after_a_trace() -> None:
    class Sizes(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            height, width = images.shape[-2:]
            size = traced_size(height, width, RetinaNetConfig.preset("torchvision"), doubles=False)
            return torch.stack(size.pixels)

    for _ in range(2):
        program = torch.export.export(Sizes(), (torch.rand(1, 3, 49, 98),)).module()
        assert program(torch.rand(1, 3, 49, 98)).tolist() == [
            *resized_size((49, 98), RetinaNetConfig.torchvision()).pixels
        ]


@pytest.mark.parametrize("preset", ["torchvision", "keras_io", "monai", "keras_cv"])
def test_anchors_by_their_index_are_those_of_the_generator(preset: str) -> None:
    detector = loud_detector(preset, **({"gn_groups": 8, "min_side": 0} if preset == "monai" else {}))
    config, start = detector.config, 0
    expected = detector.anchors.get_anchors(128, 192)
    for number, count in zip(config.levels, detector.anchors.anchors_per_level(128, 192), strict=True):
        rows, columns = -(-128 // 2**number), -(-192 // 2**number)
        level = LevelOutputs(number, torch.empty(0), torch.empty(0), rows, columns, 128, 192)
        found = anchors_at(level, torch.arange(count), config)
        apart = (found - expected[start : start + count]).abs().max()
        assert apart <= 4 * torch.finfo(torch.float32).eps * expected.abs().max()
        start += count


def test_suppression_keeps_boxes_of_pictures_and_classes_apart() -> None:
    box = torch.tensor([0.1, 0.2, 10.3, 9.7])
    boxes = box.expand(2, 4, 4)
    scores, groups = (
        torch.tensor([[0.9, 0.8, 0.7, -1], [0.6, 0.9, 0.8, 0.7]]),
        torch.tensor([[0, 0, 1, 0], [0, 0, 1, 1]]),
    )
    kept = suppress_in_torch(boxes, scores, groups, 2, 0.5)
    assert kept.tolist() == [[True, False, True, False], [False, True, True, False]]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch, about itself
def test_torch_exports_a_detector_as_it_is_called() -> None:
    detector = loud_detector()
    pictures = [torch.rand(3, height, width) for height, width in ((48, 64), (64, 40))]
    program = torch.export.export(detector, (pictures,)).module()
    others = [torch.rand_like(picture) for picture in pictures]
    with torch.no_grad():
        for expected, found in zip(detector(others), program(others), strict=True):
            assert distance(detections(expected), detections(found)).reason == ""
        detector.model.state_dict()["cls_head.1.bias"].fill_(-100)  # so that nothing is found
        program.load_state_dict(detector.model.state_dict(prefix="model."), strict=False)
        assert [len(found["scores"]) for found in program(others)] == [0, 0]


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch, about itself
def test_a_detector_is_traced_for_a_size() -> None:
    class OnePicture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.detector = loud_detector()

        def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
            return tuple(self.detector([picture])[0].values())

    one = OnePicture()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is fixed in a trace
        program = torch.jit.trace(one, torch.rand(3, 48, 64), check_trace=False)  # type: ignore[no-untyped-call]
    other = torch.rand(3, 48, 64)
    with torch.no_grad():
        expected, found = one(other), program(other)
    sides = [FoundObjects(*(values.numpy() for values in side)) for side in (expected, found)]
    assert distance(*sides).reason == ""


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of torch, about itself
def test_what_cannot_be_traced_is_said_in_a_sentence() -> None:
    detector = loud_detector()
    with pytest.raises(InputError, match=r"^torch\.jit\.script: a detector cannot be scripted; use torch\.export"):
        torch.jit.script(detector)
    with pytest.raises(InputError, match=r"^torch\.fx\.symbolic_trace: .*; torch\.export\.export gives a graph"):
        torch.fx.symbolic_trace(detector.model)

    class OwnDecoding(DecodePredictions):
        pass

    detector.decode_predictions = OwnDecoding(detector.config)
    with pytest.raises(InputError, match=r"^decode_predictions: a part of your own cannot be traced"):
        torch.export.export(detector, ([torch.rand(3, 48, 64)],))
