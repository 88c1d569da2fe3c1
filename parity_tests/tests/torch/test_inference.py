"""The network for inference against float64 of the plain one: each ingredient, whole networks, and detections.

Budgets are the instrument's: float32 may round three times as much as the plain network in float32 does, and never
more than its units of the largest value.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from parity_tests.rule.budgets import CASCADED, ISOLATED, float32_budget, largest_difference
from parity_tests.tests.support.detectors import SMALL, detector, noise
from parity_tests.tests.support.lively import lively_detector
from torch_retinanet import InputError, RetinaNetConfig, RetinaNetDetector
from torch_retinanet.inference import packed, winograd
from torch_retinanet.inference.cells import as_map, as_rows, map_addresses, tile_addresses, windows
from torch_retinanet.inference.folding import Folded, folded
from torch_retinanet.inference.graphed import GraphedNetwork
from torch_retinanet.inference.network import InferenceNetwork
from torch_retinanet.inference.packed import PackedConv, can_pack
from torch_retinanet.inference.tiled_heads import TiledHeads
from torch_retinanet.inference.way import InferenceWay, find_way, tables
from torch_retinanet.inference.winograd import WinogradConv, suits, transforms

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(not can_pack(CPU, torch.float32), reason="this processor has no oneDNN kernels")
IN_BF16 = pytest.mark.skipif(not can_pack(CPU, torch.bfloat16), reason="this processor has no bfloat16 in oneDNN")
PLAIN, WINOGRAD = InferenceWay(torch.float32, CPU, winograd=False), InferenceWay(torch.float32, CPU, winograd=True)
WIDE = replace(SMALL, width=128, head_depth=2, min_side=96, max_side=160, score_threshold=0.05)


def assert_within_budget(fast: Tensor, plain32: Tensor, plain64: Tensor, units: int) -> None:
    """The fast way's float32 is as near to float64 as the plain way's may be."""
    reference = plain32.detach().numpy()
    own = largest_difference(reference, plain64.detach().numpy())
    error = largest_difference(fast.detach().numpy(), plain64.detach().numpy())
    assert error <= float32_budget(units, reference, (own, error))


def conv(channels: int, filters: int, **options: Any) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(channels, filters, **{"kernel_size": 3, "padding": 1, **options})


def channels_last(*shape: int) -> Tensor:
    return (noise(*shape) - 0.5).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("affine", [True, False])
def test_batchnorm_is_folded_into_its_convolution(affine: bool) -> None:
    first, norm = conv(3, 8, bias=False), nn.BatchNorm2d(8, eps=1e-3, affine=affine).eval()
    norm.running_mean, norm.running_var = noise(8), noise(8) + 0.5
    x, one = noise(2, 3, 9, 7).double(), folded(first, norm)
    expected = norm.double()(first.double()(x))
    torch.testing.assert_close(F.conv2d(x, one.weight, one.bias, padding=1), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("options", [{}, {"kernel_size": 1, "padding": 0}, {"stride": 2}, {"groups": 4, "bias": False}])
@pytest.mark.parametrize("relu", [False, True])
def test_a_packed_convolution_is_the_plain_one(options: dict[str, Any], relu: bool) -> None:
    plain, x = conv(8, 16, **options), channels_last(2, 8, 13, 10)
    packed = PackedConv(folded(plain), torch.float32, CPU)
    expected32, expected64 = plain(x), conv(8, 16, **options).double()(x.double())
    after = F.relu if relu else nn.Identity()
    assert_within_budget(packed(x, relu=relu), after(expected32), after(expected64), ISOLATED)
    total = channels_last(*expected32.shape)
    sums = after(expected32 + total), after(expected64 + total)
    assert_within_budget(
        packed.added_to(x, total.clone(memory_format=torch.preserve_format), relu=relu), *sums, ISOLATED
    )


@pytest.mark.parametrize("m", [2, 4])
def test_winograd_transforms_are_exact_in_float64(m: int) -> None:
    inputs, kernel, outputs = transforms(m)
    row, weights = np.random.default_rng(0).normal(size=m + 2), np.array([0.3, -1.2, 0.7])
    found = outputs @ ((inputs @ row) * (kernel @ weights))
    np.testing.assert_allclose(found, np.correlate(row, weights), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("m", "dtype", "units"), [(4, torch.float32, 24), pytest.param(2, torch.bfloat16, 4, marks=IN_BF16)]
)
@pytest.mark.parametrize("size", [(1, 1), (5, 9), (12, 16)])
def test_winograd_rounds_a_few_units_of_the_largest_value(
    m: int, dtype: torch.dtype, units: int, size: tuple[int, int]
) -> None:
    plain, x = conv(64, 48), channels_last(2, 64, *size).to(dtype)
    fast = WinogradConv(folded(plain), m, dtype, relu=False)
    reads = windows(map_addresses(2, *size), m).contiguous()
    found = as_map(fast(as_rows(x), reads), tile_addresses(2, *size, m))
    exact = plain.double()(x.double())
    assert (found - exact).abs().max() <= units * torch.finfo(dtype).eps * exact.abs().max()


@torch.no_grad()
def test_any_number_of_threads_may_follow_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.compile` compiles anew for each, and refuses the ninth; here a third."""
    ordinary, before = torch.compile, torch.get_num_threads()
    monkeypatch.setattr(torch, "compile", lambda kind, **options: ordinary(kind, backend="eager", fullgraph=True))
    winograd.compiled.cache_clear()
    fast, (reads, _) = WinogradConv(folded(conv(24, 16)), 4, torch.float32, relu=True), tables(1, 10, 11, 4)
    try:
        with torch._dynamo.config.patch(recompile_limit=2):
            for threads in (1, 2, 3, 4):
                torch.set_num_threads(threads)
                assert fast(torch.ones(110, 24), reads).isfinite().all()
    finally:
        torch.set_num_threads(before)
        winograd.compiled.cache_clear()


def test_only_3x3_convolutions_with_stride_1_go_winograds_way() -> None:
    others: list[dict[str, Any]] = [{"stride": 2}, {"kernel_size": 1, "padding": 0}, {"groups": 4}, {"padding": 0}]
    assert suits(folded(conv(8, 8)))
    assert not any(suits(folded(conv(8, 8, **options))) for options in others)


@given(st.integers(1, 2), st.integers(1, 11), st.integers(1, 11), st.sampled_from([2, 4]))
@settings(max_examples=30, deadline=None)
def test_windows_hold_each_pixel_and_its_neighbours(batch: int, height: int, width: int, m: int) -> None:
    """A picture whose pixels are their own addresses, in tiles: each window is the picture cut out, with -1 around."""
    addresses = tile_addresses(batch, height, width, m)
    assert len(torch.unique(addresses)) == batch * height * width
    cut = windows(addresses, m).T.reshape(batch, -(-height // m), -(-width // m), m + 2, m + 2)
    framed = F.pad(addresses, (1, m + 2, 1, m + 2), value=-1)
    for down in range(cut.shape[1]):
        for across in range(cut.shape[2]):
            y, x = down * m, across * m
            assert torch.equal(cut[:, down, across], framed[:, y : y + m + 2, x : x + m + 2])


SIZES = [(96, 96), (33, 47)]
CONVENTIONS = {
    "torchvision": RetinaNetConfig.torchvision(num_classes=5),
    "keras_io": RetinaNetConfig.keras_io(num_classes=5),
    "notebook": RetinaNetConfig.notebook(num_classes=5),
    "torchvision_v2": RetinaNetConfig.preset("torchvision_v2", 5),
}


@pytest.mark.parametrize("preset", CONVENTIONS)
@torch.no_grad()
def test_outputs_are_those_of_the_network_in_each_published_convention(preset: str) -> None:
    config = replace(CONVENTIONS[preset], backbone="resnet18", width=128)
    model = lively_detector(config).model
    fast, images = InferenceNetwork(model, WINOGRAD), noise(2, 3, 64, 96) * 4 - 2
    plain32 = model(images, apart=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = fast(images)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for one, single, exact in zip(found, plain32, model.double()(images.double(), apart=True), strict=True):
        assert_within_budget(one, single, exact, CASCADED)


@pytest.mark.parametrize(
    "changes",
    [
        {"backbone": "resnet50", "stride_in": "1x1", "conv_bias": True},
        pytest.param({"backbone": "resnext50_32x4d"}, marks=pytest.mark.slow),
        {"top_down": "output", "upsample": "bilinear_2x"},
        {"pyramid_norm": "batch", "head_norm": "batch"},
        {"min_level": 2, "max_level": 5},
        {"p6_layer": "pool", "max_level": 6},
        {"output_order": "anchor_row_column", "width": 64},
    ],
)
@torch.no_grad()
def test_outputs_are_those_of_the_network_in_rarer_conventions(changes: dict[str, Any]) -> None:
    model, images = lively_detector(replace(WIDE, **changes)).model, noise(1, 3, 64, 96) * 4 - 2
    fast, plain32 = InferenceNetwork(model, WINOGRAD), model(images, apart=True)
    found = fast(images)
    for one, single, exact in zip(found, plain32, model.double()(images.double(), apart=True), strict=True):
        assert_within_budget(one, single, exact, CASCADED)


@pytest.fixture(scope="module")
def wide() -> RetinaNetDetector:
    return lively_detector(WIDE)


@pytest.mark.parametrize(
    ("m", "depth"),
    [(4, 2), (4, 5), pytest.param(2, 1, marks=IN_BF16), pytest.param(2, 4, marks=[IN_BF16, pytest.mark.slow])],
)
@torch.no_grad()
def test_boxes_where_a_class_is_found_are_those_of_the_whole_map_for_every_threshold(m: int, depth: int) -> None:
    """Also at borders of maps, and of tiles; elsewhere they are not needed."""
    dtype = {4: torch.float32, 2: torch.bfloat16}[m]
    model = lively_detector(replace(WIDE, head_depth=depth, width=256), spread=0.5).model
    network = InferenceNetwork(model, InferenceWay(dtype, CPU, winograd=True))
    images = noise(2, 3, 256, 320) * 4 - 2
    deltas, logits = network(images)
    best, shares = logits.float().sigmoid().amax(dim=-1), []
    for above in [0.0, *best.flatten().quantile(torch.tensor([0.5, 0.9, 0.99, 0.999])).tolist(), 1.0]:
        some, same = network(images, above=above)
        found = best > above
        assert torch.equal(same, logits)
        assert (some[found] - deltas[found]).abs().max().nan_to_num() <= 1e-5 if found.any() else True
        shares.append((some != 0).any(dim=-1).float().mean().item())
    assert shares[0] > 0.99
    assert shares[-1] == 0
    assert 0 < shares[-2] < 0.9, "boxes are left out"


@pytest.mark.parametrize("size", [(97, 131), (160, 61), *(pytest.param(s, marks=pytest.mark.slow) for s in SIZES)])
@pytest.mark.parametrize("preset", CONVENTIONS)
def test_detections_are_those_of_the_detector(preset: str, size: tuple[int, int]) -> None:
    config = replace(CONVENTIONS[preset], backbone="resnet18", width=128, min_side=96, max_side=160, head_depth=2)
    made = lively_detector(config, middle=-1.5)
    fast, picture = made.optimize(), noise(3, *size)
    for threshold in (0.05, 0.4):
        ours, plain = (one.predict(picture, score_threshold=threshold)[0] for one in (fast, made))
        assert len(plain["labels"]) > 0
        assert_same_detections(ours, plain)


def assert_same_detections(ours: dict[str, Tensor], plain: dict[str, Tensor]) -> None:
    """As many, and each with its label and box; two whose scores are as near as rounding may change places."""
    assert len(ours["labels"]) == len(plain["labels"])
    torch.testing.assert_close(ours["scores"], plain["scores"], rtol=0, atol=2e-5)
    extent = plain["boxes"].abs().amax(dim=-1) + 1
    apart = (ours["boxes"][:, None] - plain["boxes"]).abs().amax(dim=-1) / extent
    apart[ours["labels"][:, None] != plain["labels"]] = torch.inf
    apart[(ours["scores"][:, None] - plain["scores"]).abs() > 2e-5] = torch.inf
    assert apart.amin(dim=0).max() < 1e-4
    assert apart.amin(dim=1).max() < 1e-4


def test_an_optimised_detector_leaves_the_other_as_it_is(wide: RetinaNetDetector) -> None:
    fast, names = wide.optimize(winograd=False), set(wide.state_dict())
    assert fast.network is not None
    assert wide.network is None
    assert set(wide.state_dict()) == names == set(fast.state_dict())
    taps: dict[str, Tensor] = {}
    fast.model(noise(1, 3, 64, 64), taps)
    assert "cls.p3.0" in taps


def test_a_detector_in_training_mode_stays_in_it() -> None:
    made = lively_detector(WIDE).train()
    fast = made.optimize(winograd=False)
    fast.predict(noise(3, 64, 64))
    assert made.training
    assert made.model.fpn.backbone.bn1.training
    assert not fast.training


def test_an_optimised_detector_takes_changed_settings(wide: RetinaNetDetector) -> None:
    fast = wide.optimize(winograd=False)
    fast.score_threshold = 0.9
    assert all((found["scores"] > 0.9).all() for found in fast.predict(noise(3, 96, 96)))
    assert wide.score_threshold == WIDE.score_threshold


def test_what_an_optimised_detector_cannot_do_is_refused(wide: RetinaNetDetector) -> None:
    fast = wide.optimize(winograd=False)
    unknown: Any = "fp8"
    with pytest.raises(InputError, match=r"^train: an optimised detector cannot be trained"):
        fast.train()
    with pytest.raises(InputError, match=r"^to: an optimised detector cannot be moved"):
        fast.to("cpu")
    with pytest.raises(InputError, match=r"^precision: 'fp8' must be one of fp32, bf16, fp16$"):
        wide.optimize(precision=unknown)
    with pytest.raises(InputError, match=r"^precision: 'fp16' must be one that the detector's device has"):
        wide.optimize(precision="fp16")


def test_a_detector_in_float64_is_optimised_in_float32() -> None:
    fast = detector(SMALL).optimize(winograd=False)
    assert fast.predict(noise(3, 96, 96))[0]["scores"].dtype == torch.float32


def test_without_a_compiler_convolutions_are_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise RuntimeError("no compiler")

    from torch_retinanet.inference import way

    way._compiles.cache_clear()
    monkeypatch.setattr(way, "WinogradConv", fails)
    assert not find_way("fp32", CPU, winograd=True).winograd
    way._compiles.cache_clear()


@IN_BF16
def test_bfloat16_rounds_as_a_plain_network_in_bfloat16_does(wide: RetinaNetDetector) -> None:
    images = noise(1, 3, 96, 128) * 4 - 2
    fast = InferenceNetwork(wide.model, InferenceWay(torch.bfloat16, CPU, winograd=True))
    with torch.no_grad():
        exact = wide.model(images, apart=True)
        plain = lively_detector(WIDE).model.bfloat16()(images.bfloat16(), apart=True)
    for found, own, reference in zip(fast(images), plain, exact, strict=True):
        assert (found - reference).abs().mean() <= 2 * (own - reference).abs().mean()


def test_heads_without_norm_go_winograds_way_and_others_do_not(wide: RetinaNetDetector) -> None:
    assert isinstance(InferenceNetwork(wide.model, WINOGRAD).tiled, TiledHeads)
    assert InferenceNetwork(wide.model, PLAIN).tiled is None
    normed = lively_detector(replace(CONVENTIONS["torchvision_v2"], backbone="resnet18", width=128))
    assert InferenceNetwork(normed.model, WINOGRAD).tiled is None


def test_a_folded_convolution_says_what_it_is() -> None:
    one = folded(conv(4, 6, bias=False))
    assert isinstance(one, Folded)
    assert one.bias.tolist() == [0] * 6


def test_a_graph_is_traced_whole_and_gives_what_the_network_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "can_pack", lambda device, dtype: False)  # as on a GPU
    model = lively_detector(SMALL).model.eval()
    graphed = GraphedNetwork(model, PLAIN, {"backend": "eager"})
    images = noise(1, 3, 64, 96)
    with torch.no_grad():
        expected = model(images, apart=True)
    for found, own in zip(graphed(images), expected, strict=True):
        torch.testing.assert_close(found, own, rtol=1e-4, atol=1e-5)
