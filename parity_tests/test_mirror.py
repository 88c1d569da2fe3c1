"""The mirror can fail: each convention turned the wrong way is found by the command, and named where it starts."""

import importlib
from typing import Any

import pytest

from parity_tests import bridge, cli
from parity_tests.bridge import Config, Side, TorchSide
from parity_tests.compare import Array
from parity_tests.rungs import Run
from parity_tests.test_ladder import CONVENTIONS
from torch_retinanet.conventions import conventions
from torch_retinanet.optimizers import OptimizerConfig

NOTEBOOK = ["--preset", "notebook"]
FORWARD = [*NOTEBOOK, "--rungs", "forward", "--dtype", "float64"]
ONE_SIZE = [*NOTEBOOK, "--dtype", "float64", "--sizes", "64x64"]

TURNED = {
    "stride_in=3x3": ("forward", "conv3_block1"),
    "conv_bias=False": ("forward", "stem"),
    "bn_eps=1e-5": ("forward", "stem"),
    "bn_eps=1e-3": ("forward", "stem"),
    "bn_momentum=0.1": ("forward", "fpn/backbone/conv1_bn/moving_mean"),
    "bn_running_var=sample": ("forward", "fpn/backbone/conv1_bn/moving_variance"),
    "stem_padding=same": ("forward", "stem"),
    "stride2_padding=symmetric": ("forward", "p6"),
    "p6_source=p5": ("forward", "p6"),
    "p7_relu=before": ("forward", "p7"),
    "upsample=bilinear_2x": ("forward", "merged4"),
    "output_order=anchor_row_column": ("forward", "logits"),
    "body_init=torchvision": ("parameters", "fpn/backbone/conv1_conv/kernel"),
    "head_init=normal_prior": ("parameters", "cls_head/0/kernel"),
}
"""Every convention the wrong way, the rung that shows it, and the tap or variable where it starts."""


@pytest.fixture(autouse=True)
def one_reference(run: Run, variables: dict[str, Array], monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference in float64 is the same for every turned port, and is built once."""
    build, (reference, _) = bridge.build_sides, run.sides("float64")

    def build_sides(preset: str, config: Config, dtype: str, turns: Any = None) -> tuple[Side, Side]:
        if dtype == "float64":
            return reference, TorchSide(config, dtype)
        return build(preset, config, dtype)

    for module in ("run", "parameters"):
        monkeypatch.setattr(importlib.import_module(f"parity_tests.rungs.{module}"), "build_sides", build_sides)
    preparing = importlib.import_module("parity_tests.bridge.prepare")
    monkeypatch.setattr(preparing, "random_variables", lambda shapes: variables)


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("turned", TURNED)
def test_a_turned_convention_is_named_where_it_starts(turned: str, capsys: pytest.CaptureFixture[str]) -> None:
    rung, name = TURNED[turned]
    assert cli.main([*ONE_SIZE, "--rungs", rung, "--turn", turned]) == 1
    assert last_line(capsys).startswith(f"different: it starts at {name} ({rung} ")


PICTURE_SIDE = {
    *("channel_order", "pixel_mean", "pixel_std", "padding_value", "resize_antialias", "min_side", "max_side"),
    *("resize_rounding", "padded_from", "pad_multiple"),
}
"""Conventions of what is done to pictures before the network, which test_preprocess.py holds to their sources."""


def test_every_convention_is_turned_on_some_rung() -> None:
    turned = {name.partition("=")[0] for name in (*TURNED, *(name for rung in CONVENTIONS.values() for name in rung))}
    of_optimizer = {field.name for field in conventions(OptimizerConfig)}  # test_optimizers.py turns each of these
    assert turned - of_optimizer | PICTURE_SIDE == {field.name for field in conventions(Config)}


@pytest.mark.parametrize("turned", ["conv_bias=False", "p6_source=p5"])
def test_a_convention_that_changes_the_variables_shows_in_them_too(
    turned: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*NOTEBOOK, "--rungs", "parameters", "--turn", turned]) == 1
    variable = {"conv_bias=False": "fpn/backbone/conv1_conv/bias", "p6_source=p5": "fpn/conv_c6_3x3/kernel"}[turned]
    assert last_line(capsys).startswith(f"different: it starts at {variable} (parameters ")


@pytest.mark.parametrize(
    ("size", "starts_at"),
    [
        ("64x64", "p6"),  # C5 has a side of 2, which is even
        ("128x96", "p6"),  # of 4 and 3: one even side is enough
        ("96x96", "p7"),  # C5 has 3, P6 has 2
        ("32x32", None),  # C5 and P6 have 1
        ("160x160", None),  # C5 has 5, P6 has 3
    ],
)
def test_the_padding_of_p6_and_p7_shows_where_the_level_below_has_an_even_side_and_only_there(
    size: str, starts_at: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        *NOTEBOOK,
        "--rungs",
        "forward",
        "--dtype",
        "float64",
        "--sizes",
        size,
        "--turn",
        "stride2_padding=symmetric",
    ]
    assert cli.main(arguments) == (0 if starts_at is None else 1)
    start = "equal: 83 taps agree" if starts_at is None else f"different: it starts at {starts_at} "
    assert last_line(capsys).startswith(start)


def test_upsampling_to_size_shows_only_at_sizes_that_the_notebook_refuses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    turned = ["--turn", "upsample=nearest_to_size"]
    assert cli.main([*ONE_SIZE, "--rungs", "forward", *turned]) == 0
    assert cli.main([*NOTEBOOK, "--rungs", "shapes", *turned]) == 1
    assert last_line(capsys).startswith(
        "different: it starts at merged4 (shapes 120x120: missing in the reference, at a refused size)"
    )
