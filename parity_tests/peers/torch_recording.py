"""What the recordings of all peers in PyTorch share: weights, inputs, and how answers are taken."""

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from parity_tests.peers.recording import Recording, Tuning, entry, tuned_value
from parity_tests.peers.values import noise, true_boxes

DTYPES = {"float64": torch.float64, "float32": torch.float32}
CLASSES = 7

WANTED_LOGITS = 2.0
WANTED_DELTAS = 0.4
CLASS_BIAS = -6.5
"""What is aimed at: scores of a few hundred anchors are above 0.05."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options of every peer's script."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="the folder that is written")
    parser.add_argument("--seed", type=int, default=0, help="of all weights and pictures")
    parser.add_argument("--whole", action="store_true", help="keep every element of every answer")
    return parser


def versions(*modules: Any) -> dict[str, str]:
    """The versions of Python, torch and the given modules."""
    found = {"python": sys.version.split()[0], "numpy": np.__version__, "torch": torch.__version__.split("+")[0]}
    return found | {module.__name__: module.__version__.split("+")[0] for module in modules}


def values(model: nn.Module, seed: int, tuning: Tuning) -> dict[str, Tensor]:
    """The state dict of a model with values by its names; counters stay."""
    state = model.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point():
            tensor.copy_(torch.from_numpy(tuned_value(name, tuple(tensor.shape), seed, tuning)))
    return state


def tune(
    model: nn.Module, answer: Callable[[], tuple[Tensor, Tensor]], seed: int, last: tuple[str, str], *, spread: float
) -> Tuning:
    """The tuning of the last layers of both heads, by powers of two, so that logits and deltas are of order one.

    Args:
        model: filled with untuned values.
        answer: gives its logits and deltas.
        seed: of its values.
        last: the prefixes of the last class and box layer.
        spread: the standard deviation of deltas that is wanted.
    """
    model.load_state_dict(values(model, seed, {}))
    with torch.no_grad():
        logits, deltas = answer()
    scales = [
        2.0 ** round(math.log2(wanted / float(found.std())))
        for wanted, found in ((WANTED_LOGITS, logits), (spread, deltas))
    ]
    return {
        f"{last[0]}.weight": (scales[0], 0.0),
        f"{last[0]}.bias": (1.0, CLASS_BIAS),
        f"{last[1]}.weight": (scales[1], 0.0),
    }


def entries(
    state: Mapping[str, Tensor], tuning: Tuning, source: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """The weights of a state dict as the layout lists them; `source` has the name a value was drawn by, if another."""
    found = []
    for name, tensor in state.items():
        more = {"value": source[name]} if source and source.get(name, name) != name else {}
        found.append(entry(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), tuning, **more))
    return found


def inputs(size: tuple[int, int], count: int, seed: int) -> Tensor:
    """Normalised pictures `[B,3,H,W]` in float32."""
    return torch.from_numpy(noise(f"{size[0]}x{size[1]}", (count, 3, *size), seed))


def truths(size: tuple[int, int], count: int, seed: int, classes: int = CLASSES) -> list[tuple[Tensor, Tensor]]:
    """Boxes `[N,4]` in float64 and labels `[N]` of each picture; the second picture has none."""
    found = []
    for number in range(count):
        boxes = true_boxes(f"{size[0]}x{size[1]}/{number}", 0 if number == 1 else 4, *size, seed)
        found.append((torch.from_numpy(boxes), torch.arange(len(boxes)) * 2 % classes))
    return found


def arrays(value: Tensor) -> np.ndarray:
    """A tensor's values."""
    return np.asarray(value.detach().cpu().numpy())


def levels(record: Recording, where: str, prefix: str, first: int, maps: Iterable[Tensor]) -> None:
    """Keeps maps by the names of their levels."""
    for number, level in enumerate(maps, first):
        record.add(f"{where}/{prefix}{number}", arrays(level))


def gradients(
    record: Recording, where: str, losses: Mapping[str, Tensor], logits: Tensor, deltas: Tensor, positives: np.ndarray
) -> None:
    """Keeps losses, and the gradients of their sum by logits and deltas; `positives` are rows of picture and anchor."""
    for name, value in losses.items():
        record.add_all(f"{where}/loss/{name}", arrays(value))
    total = sum(losses.values(), torch.zeros((), dtype=logits.dtype))
    by_logits, by_deltas = torch.autograd.grad(total, (logits, deltas), retain_graph=True)
    record.add(f"{where}/grad_logits", arrays(by_logits))
    record.add_rows(f"{where}/grad_logits_positive", arrays(by_logits), positives)
    record.add_rows(f"{where}/grad_deltas_positive", arrays(by_deltas), positives)


def weight_gradients(
    record: Recording, where: str, model: nn.Module, losses: Mapping[str, Tensor], names: Iterable[str]
) -> None:
    """Keeps the sums of the magnitudes of the gradients of those of the named weights that are trained."""
    known = dict(model.named_parameters())
    total = sum(losses.values(), torch.zeros(()))
    chosen = {name: known[name] for name in names if name in known and known[name].requires_grad}
    found = torch.autograd.grad(total, list(chosen.values()))
    for name, gradient in zip(chosen, found, strict=True):
        record.add_all(f"{where}/grad_sum/{name}", arrays(gradient.abs().sum()))


def detections(record: Recording, where: str, boxes: Tensor, scores: Tensor, labels: Tensor) -> None:
    """Keeps the detections of a picture, all of them."""
    record.add_all(f"{where}/boxes", arrays(boxes))
    record.add_all(f"{where}/scores", arrays(scores))
    record.add_all(f"{where}/labels", arrays(labels).astype(np.int32))


def module_versions(state: Any) -> dict[str, int]:
    """The versions other than 1 in the metadata that `Module.state_dict` adds, by the names of modules."""
    found = {name: about["version"] for name, about in state._metadata.items() if "version" in about}
    return {name: version for name, version in found.items() if version != 1}
