"""Batches of a training run are drawn as they are read, and are the same in whichever order that is."""

from collections.abc import Iterator
from itertools import islice

import pytest

from parity_tests.retinanet.inputs import Scene
from parity_tests.retinanet.scenes import DigitInputs, DrawnWhenRead, matching_digits
from parity_tests.rule.digest import digest_of

SIZE, BATCH, COUNT = (32, 64), 2, 5


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return list(islice(matching_digits(SIZE, BATCH), COUNT))


def counted(scenes: list[Scene], drawn: list[int]) -> Iterator[Scene]:
    for i, scene in enumerate(scenes):
        drawn.append(i)
        yield scene


def test_a_batch_is_drawn_when_it_is_read(scenes: list[Scene]) -> None:
    drawn: list[int] = []
    batches = DrawnWhenRead(counted(scenes, drawn), COUNT)
    assert len(batches) == COUNT
    assert drawn == []
    assert digest_of(batches[0]) == digest_of(scenes[0])
    assert drawn == [0]
    assert digest_of(batches[2]) == digest_of(scenes[2])
    assert digest_of(batches[1]) == digest_of(scenes[1])
    assert drawn == [0, 1, 2]
    assert digest_of(batches[-2]) == digest_of(scenes[-2])
    assert drawn == [0, 1, 2, 3]
    assert digest_of(batches[1:3]) == digest_of(scenes[1:3])
    with pytest.raises(IndexError):
        batches[COUNT]


def test_a_run_is_asked_with_the_same_batches_however_they_are_read(scenes: list[Scene]) -> None:
    later = DigitInputs().training(SIZE, BATCH, COUNT)
    assert digest_of(later[3:4]) == digest_of(scenes[3:4])
    assert digest_of((later, "train")) == digest_of((scenes, "train"))


def test_a_batch_that_is_changed_is_not_changed_for_the_next_run(scenes: list[Scene]) -> None:
    for batch in (DigitInputs().training(SIZE, BATCH, COUNT)[0], *DigitInputs().training(SIZE, BATCH, COUNT)[:1]):
        for values in (batch.images, *batch.boxes, *batch.labels):
            values[:] = 0
    assert digest_of(DigitInputs().training(SIZE, BATCH, COUNT)[0]) == digest_of(scenes[0])
