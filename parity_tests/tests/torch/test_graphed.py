"""A network as a graph: `torch.compile` can trace it whole, and what it gives is that of the network."""

from typing import Any

import pytest
import torch

from parity_tests.tests.support.detectors import SMALL, noise
from parity_tests.tests.support.lively import lively_detector
from torch_retinanet.engines.registry import build_engine
from torch_retinanet.inference import packed
from torch_retinanet.inference.graphed import GraphedNetwork, can_graph
from torch_retinanet.inference.way import find_way


def test_it_is_traced_whole_and_gives_what_the_network_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "can_pack", lambda device, dtype: False)  # as on a GPU
    model = lively_detector(SMALL).model.eval()
    graphed = GraphedNetwork(model, find_way("fp32", torch.device("cpu"), winograd=False), {"backend": "eager"})
    for height, width in ((64, 96), (96, 64), (128, 128)):
        images = noise(1, 3, height, width)
        with torch.no_grad():
            expected = model(images, apart=True)
        for found, own in zip(graphed(images), expected, strict=True):
            torch.testing.assert_close(found, own, rtol=1e-4, atol=1e-5)


def test_there_are_no_graphs_on_a_cpu() -> None:
    assert not can_graph(torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("engine", ["eager", "packed", "compiled"])
def test_on_a_gpu_each_engine_finds_what_the_detector_finds(engine: str, precision: Any) -> None:
    made = lively_detector(SMALL).to("cuda")
    built = build_engine(engine, made, precision)
    for _ in range(3):  # compiled, recorded, replayed
        for height, width in ((64, 96), (96, 64)):
            picture = (noise(3, height, width) * 255).byte()
            (found,), (plain,) = built.predict([picture]), made.predict([picture])
            assert abs(len(found["labels"]) - len(plain["labels"])) <= 0.1 * len(plain["labels"])
            if precision == "fp32":
                assert torch.equal(found["labels"], plain["labels"])
