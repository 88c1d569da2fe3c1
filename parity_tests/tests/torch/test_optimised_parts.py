"""What the user put into a network acts in an optimised detector too, which is no second owner of its weights."""

import copy
import pickle
from collections.abc import Callable
from types import MethodType

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torchvision.models.resnet import BasicBlock

from parity_tests.rule.budgets import CASCADED, float32_budget, largest_difference
from parity_tests.tests.support.detectors import SMALL, noise
from parity_tests.tests.support.lively import lively_detector
from torch_retinanet import InputError, RetinaNetDetector
from torch_retinanet.inference import packed, way
from torch_retinanet.inference.plain import is_plain
from torch_retinanet.model import RetinaNet


class HalvedBlock(BasicBlock):  # type: ignore[misc]
    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = BasicBlock.forward(self, x) / 2
        return halved


def halved(module: nn.Module, given: object, output: Tensor) -> Tensor:
    return output / 2


def replaced(name: str, part: Callable[[], nn.Module]) -> Callable[[RetinaNet], None]:
    return lambda network: network.set_submodule(name, part())


def hooked(name: str) -> Callable[[RetinaNet], None]:
    return lambda network: setattr(
        network.get_submodule(name), "hook", network.get_submodule(name).register_forward_hook(halved)
    )


def own_block(network: RetinaNet) -> None:
    network.fpn.backbone.layer1[0].__class__ = HalvedBlock


def own_forward(network: RetinaNet) -> None:
    block = network.fpn.backbone.layer2[0]
    block.forward = MethodType(HalvedBlock.forward, block)


def whole_network(network: RetinaNet) -> None:
    network.register_forward_hook(lambda module, given, found: (found[0] / 2, found[1] / 2))


CHANGES: dict[str, Callable[[RetinaNet], None]] = {
    "another activation in a block": replaced("fpn.backbone.layer1.0.relu", nn.SiLU),
    "another norm in a block": replaced("fpn.backbone.layer1.0.bn1", lambda: nn.GroupNorm(4, 64)),
    "a norm without statistics": replaced("fpn.backbone.bn1", lambda: nn.BatchNorm2d(64, track_running_stats=False)),
    "a block of one's own": own_block,
    "a forward of one's own": own_forward,
    "a hook in the backbone": hooked("fpn.backbone.layer1"),
    "a hook in the pyramid": hooked("fpn.conv_c4_3x3"),
    "a mirrored border": replaced(
        "fpn.conv_c3_3x3", lambda: nn.Conv2d(SMALL.width, SMALL.width, 3, padding=1, padding_mode="reflect")
    ),
    "a weight that is computed": lambda network: weight_norm(network.fpn.conv_c3_3x3) and None,
    "another activation in a head": replaced("cls_head.0.1", nn.SiLU),
    "a hook in a head": hooked("box_head.0"),
    "a hook at the network": whole_network,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@torch.no_grad()
def test_parts_of_the_users_own_act(change: Callable[[RetinaNet], None]) -> None:
    made, images = lively_detector(SMALL), noise(1, 3, 64, 96)
    change(made.model)
    fast = made.optimize(winograd=False).network
    assert fast is not None
    precise = copy.deepcopy(made.model).double()
    plain, exact = made.model(images, apart=True), precise(images.double(), apart=True)
    for ours, reference, true in zip(fast(images), plain, exact, strict=True):
        own = largest_difference(reference.numpy(), true.numpy())
        error = largest_difference(ours.numpy(), true.numpy())
        assert error <= float32_budget(CASCADED, reference.numpy(), (own, error))


@torch.no_grad()
def test_without_onednn_a_network_is_folded_and_computed_by_plain_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "can_pack", lambda device, dtype: False)
    monkeypatch.setattr(way, "can_pack", lambda device, dtype: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_convolution_pointwise", None)
    made, picture = lively_detector(SMALL), noise(3, 64, 96)
    (found,), (expected,) = made.optimize().predict(picture), made.predict(picture)
    assert len(expected["scores"]) > 5
    assert torch.equal(found["labels"], expected["labels"])
    torch.testing.assert_close(found["boxes"], expected["boxes"], rtol=0, atol=1e-3)


def test_plain_networks_are_known() -> None:
    for changes in ({}, {"head_norm": "batch"}, {"bn_running_var": "population"}, {"stem_padding": "same"}):
        network = lively_detector(SMALL.changed(**changes)).model
        assert is_plain(network.fpn.backbone, network.cls_head, network.box_head)


@pytest.fixture
def pair() -> tuple[RetinaNetDetector, RetinaNetDetector]:
    made = lively_detector(SMALL)
    return made, made.optimize(winograd=False)


def test_a_copy_of_an_optimised_detector_finds_the_same(pair: tuple[RetinaNetDetector, RetinaNetDetector]) -> None:
    fast, picture = pair[1], noise(3, 64, 96)
    (found,) = fast.predict(picture)
    (again,) = copy.deepcopy(fast).predict(picture)
    assert len(found["scores"]) > 5
    assert all(torch.equal(found[name], again[name]) for name in found)


def test_what_would_act_on_the_other_detector_alone_is_refused(
    pair: tuple[RetinaNetDetector, RetinaNetDetector],
) -> None:
    made, fast = pair
    with pytest.raises(InputError, match=r"^load_state_dict: an optimised detector keeps its weights"):
        fast.load_state_dict(made.state_dict())
    with pytest.raises(InputError, match=r"^freeze: an optimised detector cannot be trained"):
        fast.freeze(stages=1)
    with pytest.raises(InputError, match=r"^pickle: an optimised detector cannot be pickled"):
        pickle.dumps(fast)


def test_modes_and_settings_of_an_optimised_detector_are_its_own() -> None:
    made = lively_detector(SMALL).train()
    fast = made.optimize(winograd=False)
    fast.eval()
    fast.score_threshold = 0.9
    assert made.model.fpn.backbone.bn1.training
    assert made.model.config == made.config == SMALL
