"""Parts of the network are modules that are called: hooks fire, stages are sharded, features are extracted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torchvision.models.feature_extraction import create_feature_extractor

from parity_tests.tests.support.detectors import SMALL, noise
from torch_retinanet import RetinaNet, RetinaNetDetector

PARTS = [*(f"fpn.backbone.layer{i}" for i in (1, 2, 3, 4)), "fpn.backbone", "fpn", "cls_head", "box_head"]


@pytest.fixture
def model() -> RetinaNet:
    return RetinaNet(SMALL).eval()


@torch.no_grad()
@pytest.mark.parametrize("name", PARTS)
def test_a_hook_on_a_part_fires(model: RetinaNet, name: str) -> None:
    calls = []
    model.get_submodule(name).register_forward_hook(lambda *call: calls.append(call))
    model(noise(1, 3, 64, 96))
    assert len(calls) == (5 if name.endswith("head") else 1)


def test_a_hook_on_the_network_of_a_detector_fires() -> None:
    detector, calls = RetinaNetDetector(SMALL).eval(), []
    detector.model.register_forward_hook(lambda *call: calls.append(call))
    detector([noise(3, 64, 96)])
    assert len(calls) == 1


@torch.no_grad()
def test_features_are_extracted_from_the_backbone(model: RetinaNet) -> None:
    images = noise(1, 3, 64, 96)
    taps: dict[str, Tensor] = {}
    backbone = model.fpn.backbone
    found = create_feature_extractor(backbone, {"layer2": "c3", "layer4": "c5"})(images)
    backbone(images, taps)
    assert found.keys() == {"c3", "c5"}
    for name, values in found.items():
        assert torch.equal(values, taps[name])


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_stages_are_sharded_one_by_one(one_process: None) -> None:
    """FSDP2 gathers the weights of a stage as it is called."""
    torch.manual_seed(0)
    whole = RetinaNet(SMALL).eval()
    torch.manual_seed(0)
    sharded: nn.Module = RetinaNet(SMALL).eval()
    mesh = init_device_mesh("cpu", (1,))
    for name in PARTS[:4]:
        fully_shard(sharded.get_submodule(name), mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    images = noise(1, 3, 64, 96)
    assert torch.equal(sharded(images), whole(images))
