"""Modules that fit several others and share the words of their paths with one alone."""

import pytest

from parity_tests.sides.spelling import alike_in_words


@pytest.mark.parametrize(
    ("reference", "port", "found"),
    [
        (["click", "value"], ["heads.value", "heads.click"], {"heads.click": "click", "heads.value": "value"}),
        (["hm_1", "wh_1"], ["hm.0", "wh.0"], {"hm.0": "hm_1", "wh.0": "wh_1"}),
        (["filter0", "filter1"], ["filters.0", "filters.1"], {"filters.0": "filter0", "filters.1": "filter1"}),
        (["conv1", "conv2"], ["conv.0", "conv.1"], {}),  # numbers that start elsewhere may mean another order
        (["pool", "aspp1"], ["convs.0", "convs.3"], {}),
        (["left", "right"], ["left", "middle"], {}),  # words of which one is left tell nothing
        (["a", "b"], ["a.b", "b.a"], {}),
        (["click"], ["heads.click", "other"], {}),
    ],
)
def test_words_that_one_alone_shares_tell_which_is_meant(
    reference: list[str], port: list[str], found: dict[str, str]
) -> None:
    assert alike_in_words(reference, port) == found
