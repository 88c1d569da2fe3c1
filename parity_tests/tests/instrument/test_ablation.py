"""Conventions changed one at a time: each is found where it is, and unseen at just the sizes that hide it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity_tests import cli
from parity_tests.ablation import bench as measuring
from parity_tests.ablation import digits_model
from parity_tests.ablation.bench import COSTS, Bench
from parity_tests.ablation.conventions import NETWORK, NUMBERS, PICTURES, overrides
from parity_tests.ablation.digits_model import Weights, digits_config, fresh_detector
from parity_tests.ablation.effects import by_size, in_words, largest, largest_on_taps, refused, starts_at, unseen
from parity_tests.ablation.override import ROUNDING, Override
from parity_tests.ablation.photos import PHOTOS, photo_effect
from parity_tests.report import read_json
from parity_tests.report.ablation import as_markdown
from parity_tests.retinanet.blind_spots import BLIND_SPOTS, BlindSpot
from parity_tests.retinanet.comparison import PRESETS
from parity_tests.retinanet.inputs import random_images, random_variables, read_size, size_name
from parity_tests.retinanet.optimizers import OptimizerConventions
from parity_tests.retinanet.torch_side import TorchDetectorSide
from parity_tests.retinanet.torch_surroundings import Config
from parity_tests.rule.record import Record, Verdict, Where
from parity_tests.tests.support.pages import PAGES
from parity_tests.tests.support.paths import ROOT
from parity_tests.tests.support.planted import taps_made_by
from torch_retinanet.config.fields import conventions
from torch_retinanet.errors import InputError

NOT_MEASURED = {
    *("conv_bias", "shortcut_bias", "p6_layer", "p6_source", "min_level", "max_level", "pyramid_norm", "top_down"),
    *("head_norm", "gn_groups", "gn_conv_bias", "gn_eps"),
    "clip_anchors",
}
"""Those with which the network has other parameters, and one that is newer than the run that is kept."""

FIELDS = {field.name for config in (Config, OptimizerConventions) for field in conventions(config)}


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Drawn ones of the small model, other than a side has that was given none: none need be trained."""
    state = fresh_detector(digits_config(Config.preset("notebook")), 1).model.state_dict()
    return {name: value.numpy() for name, value in state.items()}


@pytest.fixture(scope="module")
def bench(weights: Weights) -> Bench:
    return Bench("notebook", weights, seed=0)


def turn_of(assignment: str, preset: str = "notebook") -> Override:
    return next(override for override in overrides(preset) if override.assignment == assignment)


@pytest.mark.parametrize("preset", [*PRESETS, "torchvision"])
def test_every_convention_is_changed_or_left_out_with_a_reason(preset: str) -> None:
    every = overrides(preset)
    assert {override.convention for override in every} >= FIELDS - {*NUMBERS}
    assert {override.convention for override in overrides("notebook")} == FIELDS
    left_out = {override.convention for override in every if override.left_out}
    assert left_out == {
        *("conv_bias", "shortcut_bias", "p6_layer", "p6_source", "min_level", "max_level"),
        *("head_norm", "gn_groups", "gn_conv_bias", "gn_eps", "top_down", "pyramid_norm"),
    }
    assert all(override.before != override.after for override in every)
    for override in every:
        if override.part != "optimizer":
            assert Config.preset(preset).with_convention(override.assignment) != Config.preset(preset)


def test_only_the_network_s_own_conventions_change_what_it_computes() -> None:
    base = Config.preset("notebook", num_classes=2)
    small = replace(base, backbone="resnet18", width=16)
    images, side = random_images((32, 64)), TorchDetectorSide(small, "float32", is_narrow=True)
    weights = random_variables({name: values.shape for name, values in side.parameters().items()})
    side.assign(weights)
    outputs = taps_made_by(side, images)["outputs"]
    assert len(np.unique(outputs)) > outputs.size / 2, "the pictures matter"
    for override in overrides("notebook"):
        if override.part in ("surroundings", "pictures"):
            other = TorchDetectorSide(small.with_convention(override.assignment), "float32", is_narrow=True)
            other.assign(weights)
            assert np.array_equal(taps_made_by(other, images)["outputs"], outputs), override.assignment
    assert not {*NETWORK} & {*PICTURES}


@pytest.mark.parametrize(
    ("assignment", "name"),
    [
        ("stride2_padding=symmetric", "p6"),
        ("anchor_stride=picture_over_cells", "anchors"),
        ("head_init=normal_prior", "cls_head/0/kernel"),
    ],
)
def test_an_override_starts_where_it_is_and_is_unseen_at_the_sizes_that_hide_it(
    bench: Bench, assignment: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "NETWORK_SIZES", ((32, 32), (64, 64), (96, 96), (120, 120)))
    monkeypatch.setattr(measuring, "OBJECT_SIZES", ((64, 64), (128, 128)))
    found = bench.shows(turn_of(assignment))
    assert found["starts_at"] == name
    spot = next((spot for spot in BLIND_SPOTS if spot.override == assignment), None)
    if spot:
        assert found["unseen"] == [size for size in found["seen"] if not spot.shows(read_size(size))]
        assert 0 < len(found["unseen"]) < len(found["seen"])
    assert found["refused"] == (["120x120"] if name == "p6" else [])


@pytest.mark.slow
def test_an_override_shows_alike_whatever_was_changed_before_it(
    weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the model as it is answers is kept, and no override changes it."""
    monkeypatch.setattr(measuring, "NETWORK_SIZES", ((32, 32),))
    monkeypatch.setattr(measuring, "OBJECT_SIZES", ((128, 128),))
    changed = [turn_of(assignment) for assignment in ("bn_momentum=0.1", "anchor_stride=picture_over_cells")]
    used, fresh = Bench("notebook", weights, seed=0), Bench("notebook", weights, seed=0)
    found = [used.shows(override) for override in changed]
    assert [fresh.shows(override) for override in reversed(changed)] == found[::-1]
    assert used.shows(changed[0]) == found[0]
    assert [shown["unseen"] for shown in found] == [["32x32"], ["128x128"]]


def test_what_happens_to_photos_shows_at_the_sizes_where_it_happens() -> None:
    config = Config.preset("keras_io")

    def seen(assignment: str) -> dict[str, float]:
        other = config.with_convention(assignment)
        return {size_name(size): photo_effect(config, other, size) for size in PHOTOS}

    everywhere = [size_name(size) for size in PHOTOS]
    smoothed = [size for size in everywhere if size != "1080x1920"]
    assert unseen(seen("resize_antialias=True")) == smoothed, "made smaller there alone"
    assert unseen(seen("resize_rounding=double")) == [size for size in everywhere if size != "334x500"]
    assert unseen(seen("padded_from=cut")) == ["800x800", "800x1333"]
    assert unseen(seen("max_side=1024")) == ["800x800"]
    assert unseen(seen("channel_order=rgb")) == []


def test_a_model_that_refuses_the_digits_has_no_costs_and_says_why(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(changed: Override) -> dict[str, Any]:
        raise InputError("images: sides 120x120 do not divide by 32")

    monkeypatch.setattr(bench, "costs", refuses)
    row = bench.row(ROUNDING)
    assert [row[cost] for cost in COSTS] == 4 * [None]
    assert row["note"].endswith("the model refuses the digits (images: sides 120x120 do not divide by 32).")


@pytest.mark.ci
def test_costs_are_measured_beside_the_model_as_it_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits_model, "STEPS", 2)
    monkeypatch.setattr(digits_model, "LOSS_PICTURES", 3)
    monkeypatch.setattr(digits_model, "TESTED", {digits_model.SQUARE: 3})
    costs = bench.costs(turn_of("focal_gamma=1.5"))
    assert costs["loss"] > 0.01
    assert costs["loss_after_20"] > 0.01
    assert (costs["detections"], costs["map"]) == (0, 0)
    moved = bench.costs(ROUNDING)
    assert 0 < abs(moved["loss"]) < 1e-5
    assert bench.costs(turn_of("nms_iou=0.4"))["loss_after_20"] is None


def record(name: str, verdict: Verdict, case: str, **values: Any) -> Record:
    """A record of the forward rung, of a case in words: `32x32 float64 cascaded`."""
    size, dtype, mode = [*case.split(), "", ""][:3]
    where = Where(size=read_size(size), dtype=dtype, mode=mode)
    return Record(rung="forward", where=where, name=name, verdict=verdict, **values)


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


def test_a_size_that_the_model_refuses_is_neither_seen_nor_unseen_unless_the_override_shows_before() -> None:
    def refusing(verdict: Verdict, **values: Any) -> list[Record]:
        refusal = record("outputs", "incomplete", "120x120", reason="the reference refuses the images after lateral5")
        return [refusal, record("stem", verdict, "120x120 float64 cascaded", **values)]

    hidden = refusing("equal", difference=0.0, scale=1.0)
    assert (by_size(hidden), refused(hidden)) == ({}, ["120x120"])
    shown = refusing("different", difference=1.0, scale=2.0)
    assert (by_size(shown), refused(shown)) == ({"120x120": 0.5}, [])
    only_changed_goes_on = refusing("different")
    assert (by_size(only_changed_goes_on), refused(only_changed_goes_on)) == ({"120x120": None}, [])
    nothing_found = [replace(record("det.set", "incomplete", "64x64 float64 cascaded"), rung="detections")]
    assert (by_size(nothing_found), refused(nothing_found)) == ({"64x64": 0.0}, [])


def row(convention: str, **values: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("starts_at", "activations", "loss", "loss_after_20", "detections", "map"))
    words = {"convention": convention, "from": "a", "to": "b", "meaning": "", "note": ""}
    return words | nothing | {"seen": {}, "unseen": [], "refused": []} | values


def test_the_table_says_of_every_override_where_it_is_unseen_with_notes_below() -> None:
    hidden, everywhere = {"32x32": 0.0, "64x64": 0.5}, {"32x32": 0.0, "64x64": 0.0}
    rows = [
        row(ROUNDING.convention, loss=4e-8),
        row("p7_relu", starts_at="p7", seen={"32x32": 0.5}),
        row("upsample", starts_at="p6", seen=hidden, unseen=["32x32"]),
        row("bn_momentum", starts_at="mean", seen=everywhere, unseen=[*everywhere], note="In statistics."),
        row("bn_running_var", starts_at="mean", seen=everywhere, unseen=[*everywhere], note="In statistics."),
        row("eps", starts_at="kernel", loss_after_20=0.0),
        row("infinite_norm", loss_after_20=0.0, note="In infinite norms."),
    ]
    table, _, below = as_markdown({"rows": rows}).partition("\n\n")
    cells = [line.removesuffix(" |").rpartition("| ")[2] for line in table.splitlines()[2:]]
    marked = "all sizes <sup>1</sup>"
    assert cells == ["–", "", "32x32", marked, marked, "–", "never seen <sup>2</sup>"]
    assert below == "1. In statistics.\n2. In infinite norms.\n"
    assert as_markdown({"rows": rows[:3]}).endswith("| 32x32 |\n")


def test_the_last_line_counts_conventions_and_their_turns() -> None:
    rows = [row(ROUNDING.convention), row("bn_eps"), row("upsample", seen={"32x32": 0.0}, unseen=["32x32"])]
    one_each = "2 conventions changed, one at a time; at some picture sizes 1 of them cannot be seen"
    assert in_words(rows) == one_each
    words = "2 conventions changed, one at a time, in 3 overrides; at some picture sizes 1 of them cannot be seen"
    assert in_words([*rows, row("bn_eps")]) == words
    assert in_words(rows[:2]) == "1 conventions changed, one at a time; no picture size hides any of them"


def test_the_table_of_the_page_is_that_of_the_run_that_is_kept() -> None:
    ablation = read_json(ROOT / "docs" / "ablation.json").ablation
    assert ablation is not None
    page = PAGES["docs/ablation.md"]
    assert as_markdown(ablation) in page
    assert ablation["summary"] == in_words(ablation["rows"])
    assert ablation["summary"] in page
    assert {row["convention"] for row in ablation["rows"]} >= FIELDS - NOT_MEASURED


@pytest.mark.parametrize("spot", [spot for spot in BLIND_SPOTS if spot.override], ids=lambda spot: spot.override)
def test_the_sizes_that_hide_a_convention_are_those_that_runs_warn_of(spot: BlindSpot) -> None:
    ablation = read_json(ROOT / "docs" / "ablation.json").ablation
    assert ablation is not None
    [found] = [row for row in ablation["rows"] if f"{row['convention']}={row['to']}" == spot.override]
    assert found["unseen"] == [size for size in found["seen"] if not spot.shows(read_size(size))]


@pytest.mark.slow
def test_the_command_trains_turns_and_writes_what_a_run_takes_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / f"ablation.{name}" for name in ("json", "html", "markdown")}
    written = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    assert cli.main(["ablate", "--conventions", "p7_relu", "min_side", "--steps", "2", *written]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("2 conventions changed, one at a time; ")
    ablation = read_json(files["json"]).ablation
    assert ablation is not None
    starts = {row["convention"]: row["starts_at"] for row in ablation["rows"]}
    assert starts == {ROUNDING.convention: None, "p7_relu": "p7", "min_side": "images"}
    assert files["markdown"].read_text(encoding="utf-8") == as_markdown(ablation)
    assert "min_side" in files["html"].read_text(encoding="utf-8")


def test_wrong_usage_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ablate", "--conventions", "p8_relu"]) == 2
    assert capsys.readouterr().err.startswith("retinanet-parity: --conventions: 'p8_relu' must be of stride_in, ")
    assert cli.main(["ablate", "--steps", "0"]) == 2
    assert capsys.readouterr().err == "retinanet-parity: --steps: 0 must be at least 1\n"
    with pytest.raises(SystemExit, match="2"):
        cli.main(["ablate", "--seed", "-1"])
    assert "'-1' must be a whole number" in capsys.readouterr().err
    assert cli.main(["ablate", "--markdown", str(tmp_path / "no" / "table.md")]) == 2
    assert "lies in a folder that does not exist" in capsys.readouterr().err
    run = tmp_path / "run.json"
    run.write_text("{}")
    assert cli.main(["--ablation", str(run)]) == 2
    assert "must be the format" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (("rows",), None, "$.ablation: 'rows' is a required property"),
        (("rows", 2, "seen"), None, "$.ablation.rows[2]: 'seen' is a required property"),
        (("rows", 0, "loss"), "3e-5", "$.ablation.rows[0].loss: '3e-5' is not of type 'number', 'null'"),
        (("rows", 0), 5, "$.ablation.rows[0]: 5 is not of type 'object'"),
    ],
)
def test_an_ablation_that_does_not_keep_the_schema_is_refused_before_anything_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: tuple[str | int, ...], value: Any, sentence: str
) -> None:
    broken = json.loads((ROOT / "docs" / "ablation.json").read_text(encoding="utf-8"))
    *path, last = place
    inner = broken["ablation"]
    for step in path:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    file = tmp_path / "run.json"
    file.write_text(json.dumps(broken))
    assert cli.main(["--ablation", str(file)]) == 2
    assert capsys.readouterr().err == f"retinanet-parity: {file}: {sentence}\n"
