"""What is to be found in a picture, and what does not count."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

NO_CLASS = -1
"""The label of what is ignored whatever class is found there."""


def ignored_of(target: Mapping[str, Tensor]) -> Tensor:
    """Which boxes (G,) of a target are ignored: `ignored`, and none where it does not say so."""
    if "ignored" in target:
        return target["ignored"].bool()
    return torch.zeros(len(target["labels"]), dtype=torch.bool, device=target["labels"].device)


def for_each_class(target: Mapping[str, Tensor], labels: Iterable[int]) -> dict[str, Tensor]:
    """A target whose boxes of no class stand there once for each of `labels`."""
    plain = {name: values.as_subclass(Tensor).cpu() for name, values in target.items() if isinstance(values, Tensor)}
    classless = plain["labels"] == NO_CLASS
    if not classless.any():
        return plain
    copies = [
        {name: values[classless] for name, values in plain.items()}
        | {"labels": torch.full((int(classless.sum()),), label, dtype=plain["labels"].dtype)}
        for label in labels
    ]
    return {name: torch.cat([values[~classless], *(copy[name] for copy in copies)]) for name, values in plain.items()}
