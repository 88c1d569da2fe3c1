"""Batches are held against single pictures by the rule of certificates; none are made where that finds others."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from torch_retinanet.engines.together import CheckedBatches

PICTURES = [torch.zeros(3, 8, 8)] * 3


class Jittery:
    """An engine whose boxes move by some pixels where several pictures go together; it remembers how many did."""

    def __init__(self, by: float, count: int = 1) -> None:
        self.by, self.count = by, count
        self.together: list[int] = []

    def predict(self, pictures: Sequence[Any], *, batch_size: int = 8, **options: Any) -> list[dict[str, Tensor]]:
        self.together.append(batch_size)
        moved = self.by * (batch_size > 1)
        found = {"boxes": torch.tensor([[0.0, 0, 100, 100 + moved]]), "scores": torch.ones(1), "labels": torch.ones(1)}
        return [{name: values[: self.count] for name, values in found.items()} for _ in pictures]


@pytest.mark.parametrize(
    ("by", "afterwards", "words"),
    [
        (0.0, 8, "batches of 8 find what single pictures find, at most 0.000 of what rounding may cost"),
        (0.01, 8, "batches of 8 find what single pictures find, at most 0.819 of what rounding may cost"),
        (0.1, 1, "batches of 8 find other than single pictures (boxes of label 1.0 with score 1.000000 differ by 0.1"),
        (30.0, 1, "is expected and missing); pictures go one by one"),
    ],
)
def test_batches_that_find_something_else_are_not_made(
    by: float, afterwards: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Jittery(by)
    checked = CheckedBatches(engine)
    bottoms = [float(one["boxes"][0, 3]) for _ in range(2) for one in checked.predict(PICTURES)]
    assert engine.together == [1, 8, afterwards]
    assert bottoms == pytest.approx([100 + by * (afterwards > 1)] * len(bottoms), abs=1e-4)
    assert words in capsys.readouterr().err


def test_a_picture_alone_is_no_batch(capsys: pytest.CaptureFixture[str]) -> None:
    engine = Jittery(30.0)
    CheckedBatches(engine).predict(PICTURES[:1])
    assert len(engine.together) == 1
    assert not capsys.readouterr().err


def test_pictures_on_which_nothing_is_found_decide_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    engine = Jittery(30.0, count=0)
    checked = CheckedBatches(engine)
    checked.predict(PICTURES)
    assert not capsys.readouterr().err
    engine.count = 1
    checked.predict(PICTURES)
    assert "pictures go one by one" in capsys.readouterr().err
