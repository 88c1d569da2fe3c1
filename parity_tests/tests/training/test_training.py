"""A run of training: what it draws, how fast it learns, what it keeps, and what it refuses."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn

from torch_retinanet import InputError
from torch_retinanet.train import TrainConfig
from torch_retinanet.train.ema import MovingAverage
from torch_retinanet.train.metrics_log import Means
from torch_retinanet.train.sampler import EpochSampler
from torch_retinanet.train.schedule import Schedule, rate_share


class TestDraws:
    def test_every_picture_is_drawn_once_in_each_epoch_in_another_order(self) -> None:
        draws = EpochSampler(pictures=10, batch=5, seed=3)
        drawn = [draw for batch in draws.batches(0, 4) for draw in batch]
        epochs = [[draw.picture for draw in drawn[start : start + 10]] for start in (0, 10)]
        assert [draw.number for draw in drawn] == list(range(20))
        assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
        assert epochs[0] != epochs[1]

    def test_going_on_from_a_step_draws_what_would_have_come(self) -> None:
        draws = EpochSampler(pictures=7, batch=3, accumulate=2)
        assert list(draws.batches(5, 9)) == list(draws.batches(0, 9))[10:]

    def test_processes_share_the_batches_of_a_step(self) -> None:
        alone = list(EpochSampler(pictures=7, batch=3, accumulate=4).batches(2, 5))
        shared = [
            list(EpochSampler(pictures=7, batch=3, accumulate=2, process=p, processes=2).batches(2, 5)) for p in (0, 1)
        ]
        assert [batch for pair in zip(*shared, strict=True) for batch in pair] == alone

    def test_epochs_are_filled_up_to_whole_steps(self) -> None:
        assert EpochSampler(pictures=10, batch=4).steps(epochs=1) == 3
        assert EpochSampler(pictures=10, batch=4, accumulate=5).steps(epochs=4) == 2


class TestSchedule:
    def test_one_cycle_is_that_of_torch(self) -> None:
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=40, pct_start=0.25)
        for step in range(40):
            ours = rate_share(step, 40, schedule="one_cycle", warm_up=0.25)
            assert ours == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
            optimizer.step()
            theirs.step()

    @pytest.mark.parametrize("schedule", ["constant", "step", "cosine"])
    def test_the_rate_rises_along_a_line_to_its_largest(self, schedule: Schedule) -> None:
        shares = [rate_share(step, 100, schedule=schedule, warm_up=0.1) for step in range(11)]
        assert shares == pytest.approx([*(n / 11 for n in range(1, 11)), 1], rel=1e-9)

    def test_steps_drop_the_rate_to_a_tenth_after_two_thirds_and_eight_ninths(self) -> None:
        shares = [rate_share(step, 90, schedule="step", warm_up=0) for step in (0, 59, 60, 79, 80, 89)]
        assert shares == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])

    def test_a_cosine_ends_near_nothing(self) -> None:
        assert rate_share(50, 100, schedule="cosine", warm_up=0) == pytest.approx(0.5)
        assert rate_share(99, 100, schedule="cosine", warm_up=0) < 1e-3

    @pytest.mark.parametrize("schedule", get_args(Schedule))
    @pytest.mark.parametrize(("steps", "warm_up"), [(1, 0.0), (1, 1.0), (2, 0.5), (7, 1.0), (1000, 0.15)])
    def test_no_rate_leaves_0_to_1(self, schedule: Schedule, steps: int, warm_up: float) -> None:
        shares = [rate_share(step, steps, schedule=schedule, warm_up=warm_up) for step in range(steps)]
        assert 0 <= min(shares) <= max(shares) <= 1


class TestMovingAverage:
    def test_it_follows_the_weights_slowly_and_takes_counters_over(self) -> None:
        model = nn.BatchNorm1d(1)
        average = MovingAverage(model, decay=0.9)
        nn.init.constant_(model.weight, 2.0)
        assert model.num_batches_tracked is not None
        model.num_batches_tracked.fill_(5)
        average.update(model, step=1000)
        assert average.tensors["weight"].item() == pytest.approx(0.9 * 1 + 0.1 * 2)
        assert average.tensors["num_batches_tracked"] == 5
        assert model.weight.item() == 2

    def test_first_steps_are_remembered_less(self) -> None:
        model = nn.Linear(1, 1)
        average = MovingAverage(model, decay=0.999)
        nn.init.constant_(model.weight, 3.0)
        before = average.tensors["weight"].item()
        average.update(model, step=0)
        assert average.tensors["weight"].item() == pytest.approx(0.1 * before + 0.9 * 3)


class TestMeans:
    def test_a_clock_that_stands_still_has_no_speed(self) -> None:
        means = Means()
        means.add({"seconds": 0.0, "pictures": 2, "waited": 0.0, "loss": 1.5})
        assert means.words() == "loss 1.500"
        taken = means.take()
        assert taken["loss"] == 1.5
        assert math.isnan(taken["pictures_a_second"])
        assert math.isnan(taken["waited"])


CONFIG = TrainConfig(data=Path("pictures"))


class TestSettings:
    def test_they_survive_the_way_through_toml(self, tmp_path: Path) -> None:
        import tomli_w

        given: dict[str, Any] = {
            "conventions": ("anchor_scale=2",),
            "ema": 0.99,
            "scale": (0.5, 2.0),
            "clip_norm": 0.0,
            "rate": 1.0,
        }
        config = replace(CONFIG, val=Path("others"), **given)
        (tmp_path / "config.toml").write_text(tomli_w.dumps(config.as_dict()))
        assert TrainConfig.from_toml(tmp_path / "config.toml") == config

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ('data = "d"\nbatches = 3', "config.toml: 'batches' is no setting of a training run"),
            ('data = "d"\nbatch = "3"', "config.toml: batch: '3' must be a whole number"),
            ("batch = 3", "config.toml: 'data' is missing, and a training run needs it"),
            ('data = "d"\noptimizer = "lion"', "config.toml: optimizer: 'lion' must be one of adamw, sgd"),
            ("data = ", "config.toml: not a TOML file"),
            ('data = "d"\nrate = -1.0', "config.toml: rate: -1.0 must be at least 0"),
        ],
    )
    def test_a_wrong_file_is_refused_in_a_sentence(self, text: str, sentence: str, tmp_path: Path) -> None:
        (tmp_path / "config.toml").write_text(text)
        with pytest.raises(InputError, match=sentence):
            TrainConfig.from_toml(tmp_path / "config.toml")

    @pytest.mark.parametrize(
        ("setting", "sentence"),
        [
            ({"batch": 0}, "batch: 0 must be at least 1"),
            ({"steps": 0}, "steps: 0 must be at least 1"),
            ({"frozen_stages": 6}, "frozen_stages: 6 must be at most 5"),
            ({"rate": float("inf")}, "rate: inf must be at most"),
            ({"min_sides": (10**9,)}, r"min_sides: \(1000000000,\) must be pixels, from 1 to 32768"),
            ({"flip": 1.5}, "flip: 1.5 must be from 0 to 1"),
            ({"rate": float("nan")}, "rate: nan must be at least 0"),
            ({"schedule": "linear"}, "schedule: 'linear' must be one of constant, step, cosine, one_cycle"),
            ({"scale": (2.0, 1.0)}, r"scale: \(2.0, 1.0\) must be two factors above 0, the smaller one first"),
            ({"ema": 1.0}, "ema: 1.0 must be from 0 to below 1"),
            ({"conventions": "anchor_scale=2"}, "conventions: 'anchor_scale=2' must be a list of texts"),
            ({"min_sides": (320, 400.5)}, r"min_sides: \(320, 400.5\) must be a list of whole numbers"),
            ({"min_sides": 320}, "min_sides: 320 must be a list of whole numbers"),
            ({"scale": (0.5,)}, r"scale: \(0.5,\) must be two factors above 0"),
            ({"scale": [2, 1]}, r"scale: \(2.0, 1.0\) must be two factors above 0"),
            ({"scale": 2.0}, "scale: 2.0 must be a list of numbers"),
            ({"epochs": 1.5}, "epochs: 1.5 must be a whole number"),
            ({"steps": True}, "steps: True must be a whole number"),
            ({"rate": "fast"}, "rate: 'fast' must be a number"),
            ({"strict": "no"}, "strict: 'no' must be True or False"),
            ({"backbone": 18}, "backbone: 18 must be a text"),
            ({"val": 3}, "val: 3 must be a path"),
            ({"data": None}, "data: None must be a path"),
            ({"device": "gpu"}, "device: 'gpu' must be one of cpu, cuda, mps"),
        ],
    )
    def test_a_wrong_value_is_refused_in_a_sentence(self, setting: dict[str, Any], sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            replace(CONFIG, **setting)

    def test_what_is_nearly_of_the_type_is_made_so(self) -> None:
        config = TrainConfig(
            data="pictures", val="others", conventions=["anchor_scale=2"], min_sides=[64, 96], scale=(1, np.float64(2))
        )
        assert config == replace(
            CONFIG, val=Path("others"), conventions=("anchor_scale=2",), min_sides=(64, 96), scale=(1.0, 2.0)
        )
        numbers: dict[str, Any] = {"epochs": np.int64(3), "rate": np.float32(0.5), "clip_norm": 2, "strict": np.True_}
        kinds = {name: type(value) for name, value in vars(replace(config, **numbers)).items()}
        assert {kinds[name] for name in numbers} == {int, float, bool}
        assert {type(value) for value in config.scale} == {float}

    def test_the_model_has_the_conventions_that_are_asked_for(self) -> None:
        config = replace(CONFIG, backbone="resnet18", width=64, min_side=128, conventions=("anchor_scale=2",))
        model = config.model_config(num_classes=3)
        assert (model.num_classes, model.backbone, model.width, model.anchor_scale) == (3, "resnet18", 64, 2.0)
        assert (model.min_side, model.max_side, model.stride_in) == (128, 1333, "3x3")
        with pytest.raises(InputError, match="anchor_size"):
            replace(CONFIG, conventions=("anchor_size=2",)).model_config(3)
