"""Conventions turned one at a time: each is found where it is, and unseen at just the sizes that hide it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests import cli
from parity_tests.ablation.effects import by_size, in_words, largest, largest_on_taps, starts_at, unseen
from parity_tests.ablation.remember import Remembering
from parity_tests.ablation.turns import ROUNDING, Turn
from parity_tests.blind_spots import BLIND_SPOTS, BlindSpot
from parity_tests.bridge import digits_model
from parity_tests.bridge.bench import NETWORK_SIZES, Bench
from parity_tests.bridge.digits_model import digits_config, fresh_detector
from parity_tests.bridge.photos import PHOTOS, photo_effect
from parity_tests.bridge.torch_side import Config, TorchSide
from parity_tests.bridge.turns import NETWORK, NUMBERS, PICTURES, turns
from parity_tests.compare import Record, Verdict
from parity_tests.inputs import random_images, read_size, size_name
from parity_tests.report import read_json
from parity_tests.report.ablation import as_markdown
from parity_tests.rungs import PRESETS
from torch_retinanet.conventions import conventions
from torch_retinanet.optimizers import OptimizerConfig

ROOT = Path(__file__).parent.parent
FIELDS = {field.name for config in (Config, OptimizerConfig) for field in conventions(config)}


@pytest.fixture(scope="module")
def bench() -> Bench:
    """The small model with fresh weights: where a turn shows does not need trained ones."""
    state = fresh_detector(digits_config(Config.preset("notebook")), 0).model.state_dict()
    return Bench("notebook", {name: value.numpy() for name, value in state.items()}, seed=0)


def turn_of(assignment: str, preset: str = "notebook") -> Turn:
    return next(turn for turn in turns(preset) if turn.assignment == assignment)


@pytest.mark.parametrize("preset", [*PRESETS, "torchvision"])
def test_every_convention_is_turned_or_left_out_with_a_reason(preset: str) -> None:
    every = turns(preset)
    assert {turn.convention for turn in every} >= FIELDS - {*NUMBERS}
    assert {turn.convention for turn in turns("notebook")} == FIELDS
    assert {turn.convention for turn in every if turn.left_out} == {"conv_bias", "p6_source"}
    assert all(turn.before != turn.after for turn in every)
    for turn in every:
        if turn.part != "optimizer":
            assert Config.preset(preset).with_convention(turn.assignment) != Config.preset(preset)


def test_only_the_network_s_own_conventions_change_what_it_computes() -> None:
    base = Config.preset("notebook", num_classes=2)
    small = replace(base, backbone="resnet18", width=8)
    images = random_images((32, 64))
    outputs = TorchSide(small, "float32").forward(images)["outputs"]
    for turn in turns("notebook"):
        if turn.part in ("surroundings", "pictures"):
            other = TorchSide(small.with_convention(turn.assignment), "float32").forward(images)["outputs"]
            assert np.array_equal(other, outputs), turn.assignment
    assert not {*NETWORK} & {*PICTURES}


@pytest.mark.parametrize(
    ("assignment", "name"),
    [
        ("stride2_padding=symmetric", "p6"),
        ("anchor_stride=picture_over_cells", "anchors"),
        ("head_init=normal_prior", "cls_head/0/kernel"),
    ],
)
def test_a_turn_starts_where_it_is_and_is_unseen_at_the_sizes_that_hide_it(
    bench: Bench, assignment: str, name: str
) -> None:
    found = bench.shows(turn_of(assignment))
    assert found["starts_at"] == name
    spot = next((spot for spot in BLIND_SPOTS if spot.turn == assignment), None)
    if spot:
        reached = {size_name(size): size for size in NETWORK_SIZES if all(side % 32 == 0 for side in size)}
        looked_at = [size for size in found["seen"] if size in reached]
        assert [s for s in looked_at if s in found["unseen"]] == [s for s in looked_at if not spot.shows(reached[s])]


def test_what_happens_to_photos_shows_at_the_sizes_where_it_happens() -> None:
    config = Config.preset("keras_io")

    def seen(assignment: str) -> dict[str, float]:
        other = config.with_convention(assignment)
        return {size_name(size): photo_effect(config, other, size) for size in PHOTOS}

    smoothed = seen("resize_antialias=True")
    assert [size for size, effect in smoothed.items() if effect > 1e-3] == ["1080x1920"], "made smaller there alone"
    assert [size for size, effect in smoothed.items() if not effect] == ["800x800", "800x1333"]
    assert "800x800" in unseen(seen("max_side=1024"))
    rounding = seen("resize_rounding=double")
    assert max(rounding, key=lambda size: rounding[size]) == "334x500"
    assert unseen(seen("channel_order=rgb")) == []


def test_costs_are_measured_beside_the_model_as_it_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits_model, "STEPS", 2)
    monkeypatch.setattr(digits_model, "TESTED", {digits_model.SQUARE: 3})
    costs = bench.costs(turn_of("focal_gamma=1.5"))
    assert costs["loss"] > 0.01
    assert costs["loss_after_20"] > 0.01
    assert (costs["detections"], costs["map"]) == (0, 0)
    moved = bench.costs(ROUNDING)
    assert 0 < abs(moved["loss"]) < 1e-5
    assert bench.costs(turn_of("nms_iou=0.4"))["loss_after_20"] is None


def record(name: str, verdict: Verdict, case: str, **values: Any) -> Record:
    return Record(rung="forward", case=case, name=name, verdict=verdict, **values)


def test_effects_are_read_off_the_records_size_by_size() -> None:
    records = [
        record("p5", "equal", "32x32 float64 cascaded", difference=1e-16, scale=1.0),
        record("p6", "equal", "32x32 float64 cascaded", difference=0.0, scale=1.0),
        record("p6", "different", "64x64 float64 isolated", difference=3.0, scale=2.0),
        record("p6", "different", "64x64 float64 cascaded", difference=0.5, scale=2.0),
        record("merged4", "different", "120x120 float64 cascaded"),
        record("conv1_bn/moving_mean", "different", "96x160 float64 training", difference=1.0, scale=1.0),
    ]
    seen = by_size(records)
    assert seen == {"32x32": 0.0, "64x64": 1.5, "120x120": None}
    assert unseen(seen) == ["32x32"]
    assert (starts_at(records), largest_on_taps(records)) == ("p6", 0.25)
    assert (largest([]), largest([0.0, None]), largest([0.5, None])) == (0.0, None, 0.5)
    assert starts_at(records[:2]) is None


def test_what_was_asked_before_is_answered_from_memory() -> None:
    class Counting:
        sources: Mapping[str, str] = {}

        def __init__(self) -> None:
            self.count = 0

        def anchors(self, size: object) -> int:
            self.count += 1
            return self.count

    side: Any = Remembering(Counting())  # type: ignore[arg-type]
    answers = []
    for case in ("anchors 32x32", "anchors 64x64", "anchors 32x32"):
        side.begin(case)
        answers.append([side.anchors(None), side.anchors(None)])
    assert answers == [[1, 2], [3, 4], [1, 2]]


def test_the_table_of_the_readme_is_that_of_the_run_that_is_kept() -> None:
    ablation = read_json(ROOT / "docs" / "ablation.json").ablation
    assert ablation is not None
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert as_markdown(ablation) in readme
    assert in_words(ablation) in readme
    assert {row["convention"] for row in ablation["rows"]} >= FIELDS - {"conv_bias", "p6_source"}


@pytest.mark.parametrize("spot", [spot for spot in BLIND_SPOTS if spot.turn], ids=lambda spot: spot.turn)
def test_the_sizes_that_hide_a_convention_are_those_that_runs_warn_of(spot: BlindSpot) -> None:
    ablation = read_json(ROOT / "docs" / "ablation.json").ablation
    assert ablation is not None
    [row] = [row for row in ablation["rows"] if f"{row['convention']}={row['to']}" == spot.turn]
    refused = [] if spot.rung == "anchors" or spot.turn == "upsample=nearest_to_size" else ["120x120"]
    measured = [size for size in row["unseen"] if size not in refused]
    assert measured == [size for size in row["seen"] if size not in refused and not spot.shows(read_size(size))]


def test_wrong_usage_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ablate", "--conventions", "p8_relu"]) == 2
    assert capsys.readouterr().err.startswith("retinanet-parity: --conventions: 'p8_relu' must be of stride_in, ")
    assert cli.main(["ablate", "--steps", "0"]) == 2
    assert capsys.readouterr().err == "retinanet-parity: --steps: 0 must be at least 1\n"
    assert cli.main(["ablate", "--markdown", str(tmp_path / "no" / "table.md")]) == 2
    assert "lies in a folder that does not exist" in capsys.readouterr().err
    run = tmp_path / "run.json"
    run.write_text("{}")
    assert cli.main(["--ablation", str(run)]) == 2
    assert "must be the format" in capsys.readouterr().err
