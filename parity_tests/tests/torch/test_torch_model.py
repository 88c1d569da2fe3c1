"""The torch model as its users meet it: shapes, taps, determinism, pickling, compiling, exporting, wrong input."""

import pickle
from dataclasses import replace

import pytest
import torch
import torchvision
from torch import Tensor, nn

from torch_retinanet import InputError, RetinaNet, RetinaNetConfig
from torch_retinanet.weights.published.torchvision import torchvision_name


@pytest.fixture(scope="module")
def model() -> RetinaNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return RetinaNet(RetinaNetConfig.notebook(num_classes=10)).eval()


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


@torch.no_grad()
def test_images_become_boxes_and_scores_on_all_anchors(model: RetinaNet) -> None:
    assert model(noise(2, 3, 128, 128)).shape == (2, 3069, 14)


@torch.no_grad()
def test_documented_shapes_hold(model: RetinaNet) -> None:
    c3, c4, c5 = model.fpn.backbone(noise(1, 3, 96, 160))
    assert (c3.shape, c4.shape, c5.shape) == ((1, 512, 12, 20), (1, 1024, 6, 10), (1, 2048, 3, 5))
    levels = model.fpn(noise(1, 3, 96, 160))
    assert [level.shape for level in levels] == [(1, 256, h, w) for h, w in ((12, 20), (6, 10), (3, 5), (2, 3), (1, 2))]
    assert model.box_head(levels[0]).shape == (1, 36, 12, 20)


def test_attributes_have_the_names_of_the_notebook(model: RetinaNet) -> None:
    convolutions = [f"conv_c{i}_1x1" for i in (3, 4, 5)] + [f"conv_c{i}_3x3" for i in (3, 4, 5, 6, 7)]
    assert [name for name, _ in model.fpn.named_children()] == ["backbone", *convolutions]
    assert [name for name, _ in model.named_children()] == ["fpn", "cls_head", "box_head"]
    assert callable(model.fpn.upsample_2x)


@torch.no_grad()
def test_taps_change_nothing_and_end_in_the_result(model: RetinaNet) -> None:
    taps: dict[str, Tensor] = {}
    outputs = model(noise(2, 3, 64, 64), taps)
    assert torch.equal(outputs, model(noise(2, 3, 64, 64)))
    assert torch.equal(outputs, taps["outputs"])
    assert torch.equal(outputs, torch.cat([taps["deltas"], taps["logits"]], dim=-1))


@torch.no_grad()
def test_a_batch_of_two_is_two_batches_of_one(model: RetinaNet) -> None:
    images = noise(2, 3, 96, 64).double()
    model = pickle.loads(pickle.dumps(model)).double()
    singly = torch.cat([model(images[:1]), model(images[1:])])
    torch.testing.assert_close(model(images), singly, rtol=1e-12, atol=1e-12)


def test_the_same_seed_gives_the_same_model() -> None:
    states = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(3)
            states.append(RetinaNet(RetinaNetConfig.notebook()).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@torch.no_grad()
def test_it_is_picklable(model: RetinaNet) -> None:
    copy = pickle.loads(pickle.dumps(model))
    assert torch.equal(copy(noise(1, 3, 64, 64)), model(noise(1, 3, 64, 64)))


@pytest.mark.ci
@torch.no_grad()
def test_it_is_captured_whole_by_the_compiler(model: RetinaNet) -> None:
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.equal(compiled(noise(1, 3, 64, 96)), model(noise(1, 3, 64, 96)))


@pytest.mark.slow
@torch.no_grad()
def test_it_compiles_to_machine_code(model: RetinaNet) -> None:
    compiled = torch.compile(model, fullgraph=True)
    torch.testing.assert_close(compiled(noise(2, 3, 128, 128)), model(noise(2, 3, 128, 128)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("max_level", [pytest.param(6, marks=pytest.mark.ci), pytest.param(7, marks=pytest.mark.slow)])
def test_it_exports_with_a_dynamic_batch_and_picture_size(max_level: int) -> None:
    """From sides of 160: below, levels have a single pixel, which `torch.export` takes for a constant.

    What `torch.export` has to prove grows with each level of stride 2.
    """
    config = RetinaNetConfig.notebook(num_classes=10, max_level=max_level)
    model = RetinaNet(replace(config, backbone="resnet18", width=16, head_depth=1)).eval()
    height, width = (32 * torch.export.Dim(f"cells_{side}", min=5, max=64) for side in ("high", "wide"))
    sizes = {"images": {0: torch.export.Dim("batch", max=64), 2: height, 3: width}}
    exported = torch.export.export(model, (noise(2, 3, 160, 192),), dynamic_shapes=sizes).module()
    for shape in ((1, 3, 160, 160), (3, 3, 256, 192)):
        torch.testing.assert_close(exported(noise(*shape)), model(noise(*shape)))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (noise(3, 64, 64), r"images: shape \(3, 64, 64\) must be \(B,3,H,W\)"),
        (noise(1, 1, 64, 64), r"images: shape \(1, 1, 64, 64\) must be \(B,3,H,W\)"),
        (noise(1, 64, 64, 3), r"images: shape \(1, 64, 64, 3\) must be \(B,3,H,W\)"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), "images: dtype torch.uint8 must be a floating type"),
        (noise(1, 3, 100, 64), "images: sides 100x64 do not divide by 32"),
        (noise(1, 3, 0, 64), r"images: shape \(1, 3, 0, 64\) must be .* sides of a pixel or more"),
    ],
)
def test_wrong_images_are_refused_in_a_sentence(model: RetinaNet, images: Tensor, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        model(images)


def test_only_upsampling_times_two_needs_sides_that_divide_by_32() -> None:
    config = replace(RetinaNetConfig.notebook(), upsample="nearest_to_size")
    with torch.no_grad():
        assert RetinaNet(config).eval()(noise(1, 3, 100, 75)).shape[0] == 1


SMALL = replace(RetinaNetConfig.keras_io(num_classes=3), backbone="resnet18", width=32, head_depth=2)


@torch.no_grad()
def test_backbone_width_and_depth_are_those_of_the_config() -> None:
    model = RetinaNet(SMALL).eval()
    assert [c.shape[1] for c in model.fpn.backbone(noise(1, 3, 64, 64))] == [128, 256, 512]
    assert {level.shape[1] for level in model.fpn(noise(1, 3, 64, 64))} == {32}
    assert len(model.cls_head) == len(model.box_head) == 3
    taps: dict[str, Tensor] = {}
    assert model(noise(2, 3, 64, 96), taps).shape == (2, 9 * (96 + 24 + 6 + 2 + 1), 7)
    assert {"conv5_block2", "cls.p3.2"} <= taps.keys()


@pytest.mark.parametrize("backbone", ["resnet34", "resnet101"])
def test_other_residual_networks_of_torchvision_fit(backbone: str) -> None:
    model = RetinaNet(RetinaNetConfig.from_dict(SMALL.as_dict() | {"backbone": backbone})).eval()
    assert model(noise(1, 3, 64, 64)).shape[0] == 1


def test_he_normal_heads_start_at_the_prior_whatever_they_see() -> None:
    model = RetinaNet(replace(SMALL, head_init="he_prior")).eval()
    deltas, logits = model(noise(1, 3, 64, 64)).split([4, 3], dim=-1)
    torch.testing.assert_close(logits.sigmoid(), torch.full_like(logits, 0.01))
    assert not deltas.any()
    assert next(model.cls_head.parameters()).std().item() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.1)


def test_orthogonal_heads_keep_what_comes_in_apart_and_start_at_the_prior() -> None:
    model = RetinaNet(replace(SMALL, head_init="orthogonal_prior"))
    kernels = [conv.weight for conv in model.cls_head.modules() if isinstance(conv, nn.Conv2d)]
    for kernel in kernels:
        rows = kernel.flatten(1)
        torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)))
    bias = list(model.cls_head.parameters())[-1]
    torch.testing.assert_close(bias.sigmoid(), torch.full_like(bias, 0.01))
    assert not list(model.box_head.parameters())[-1].any()


@torch.no_grad()
def test_the_torchvision_preset_is_the_network_of_torchvision() -> None:
    theirs = torchvision.models.detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None).double().eval()
    state = theirs.state_dict()
    for value in state.values():
        if value.ndim == 1:
            nn.init.uniform_(value, 0.5, 1.5)
    ours = RetinaNet(RetinaNetConfig.torchvision()).double().eval()
    ours.load_state_dict({name: state.pop(torchvision_name(name)) for name in ours.state_dict()})
    assert not state, "every tensor of torchvision's has its place"
    images = noise(2, 3, 96, 160).double()
    output = theirs.head(list(theirs.backbone(images).values()))
    expected = torch.cat([output["bbox_regression"], output["cls_logits"]], dim=-1)
    torch.testing.assert_close(ours(images), expected, rtol=1e-12, atol=1e-12)


def test_a_fresh_torchvision_preset_gives_each_class_the_prior() -> None:
    model = RetinaNet(RetinaNetConfig.torchvision())
    bias = list(model.cls_head.parameters())[-1]
    torch.testing.assert_close(bias.sigmoid(), torch.full_like(bias, 0.01))
    assert not any(name.endswith("conv1.bias") for name, _ in model.named_parameters())
