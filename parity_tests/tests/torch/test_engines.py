"""Engines: each runtime detects what the detector does; the fastest is chosen by measurement and remembered."""

import platform
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from parity_tests.tests.support.detectors import SMALL, noise
from parity_tests.tests.support.lively import lively_detector
from torch_retinanet import InputError, RetinaNetDetector
from torch_retinanet.engines import choice
from torch_retinanet.engines.choice import MeasuredChoice, choose, seconds_for
from torch_retinanet.engines.registry import RUNTIMES, build_engine, usable
from torch_retinanet.predict import Engine, detect_pictures

PICTURE = (noise(3, 64, 96) * 255).byte()


@pytest.fixture(scope="module")
def made() -> RetinaNetDetector:
    return lively_detector(SMALL)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.ci if name == "compiled" else () if one.by_auto else pytest.mark.slow)
        for name, one in RUNTIMES.items()
    ],
)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_each_runtime_finds_what_the_detector_finds(made: RetinaNetDetector, name: str, precision: Any) -> None:
    if RUNTIMES[name].missing(made, precision):
        pytest.skip(f"{name}: {RUNTIMES[name].missing(made, precision)}")
    (found,), (plain,) = build_engine(name, made, precision).predict([PICTURE]), made.predict([PICTURE])
    assert len(plain["labels"]) > 5
    if precision == "fp32":
        assert torch.equal(found["labels"], plain["labels"])
    assert abs(len(found["labels"]) - len(plain["labels"])) <= 0.1 * len(plain["labels"])
    assert found["scores"].dtype == torch.float32


class Slow:
    """A measurement by name: how long each runtime is said to take."""

    def __init__(self, **seconds: float) -> None:
        self.seconds, self.calls = seconds, 0

    def __call__(self, engine: Engine, picture: Tensor) -> float:
        self.calls += 1
        return list(self.seconds.values())[(self.calls - 1) % len(self.seconds)]


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runtimes, whichever this machine has."""
    monkeypatch.setattr(choice, "usable", lambda *given: [RUNTIMES["eager"], RUNTIMES["packed"]])


def chosen(
    made: RetinaNetDetector, folder: Path, measure: Slow, picture: Tensor = PICTURE, **options: Any
) -> MeasuredChoice:
    return choose(made, picture, folder=folder, measure=measure, **options)[0]


@pytest.mark.usefixtures("two")
def test_the_fastest_is_chosen_and_remembered(made: RetinaNetDetector, tmp_path: Path) -> None:
    measure = Slow(eager=2.0, packed=1.0)
    assert chosen(made, tmp_path, measure) == MeasuredChoice("packed", {"eager": 2.0, "packed": 1.0}, remembered=False)
    again = chosen(made, tmp_path, measure)
    assert again == MeasuredChoice("packed", {"eager": 2.0, "packed": 1.0}, remembered=True)
    assert measure.calls == 2
    assert again.in_words() == (
        "engine packed is the fastest here (eager 2 s, packed 1 s for a picture; measured earlier)"
    )


@pytest.mark.usefixtures("two")
def test_another_torch_model_size_precision_or_machine_is_measured_anew(
    made: RetinaNetDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = Slow(eager=1.0, packed=2.0)
    chosen(made, tmp_path, measure)
    other = lively_detector(SMALL)
    with torch.no_grad():
        next(iter(other.model.cls_head.parameters()))[0] += 1e-3
    assert not chosen(other, tmp_path, measure).remembered
    assert not chosen(made, tmp_path, measure, PICTURE[:, :48]).remembered
    assert not chosen(made, tmp_path, measure, precision="bf16").remembered
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    assert not chosen(made, tmp_path, measure).remembered
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert not chosen(made, tmp_path, measure).remembered
    assert chosen(made, tmp_path, measure).remembered


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("content", ["", "{", "[]", '{"eager": "x", "packed": 1}', '{"eager": 1}'])
def test_a_damaged_memory_is_measured_anew(made: RetinaNetDetector, tmp_path: Path, content: str) -> None:
    measure = Slow(eager=1.0, packed=2.0)
    chosen(made, tmp_path, measure)
    (file,) = tmp_path.iterdir()
    file.write_text(content)
    assert not chosen(made, tmp_path, measure).remembered
    assert chosen(made, tmp_path, measure).remembered


@pytest.mark.usefixtures("two")
def test_a_folder_that_cannot_be_written_costs_a_measurement_and_no_more(
    made: RetinaNetDetector, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    choice = chosen(made, tmp_path / "file", Slow(eager=1.0, packed=2.0))
    assert not choice.remembered
    assert choice.in_words().endswith("measured now; the cache folder cannot be written)")


@pytest.mark.usefixtures("two")
def test_a_user_without_a_home_remembers_nothing(made: RetinaNetDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", fails)
    found, _ = choose(made, PICTURE, measure=Slow(eager=1.0, packed=2.0))
    assert not found.kept


def test_a_measurement_is_the_fastest_of_some_warm_pictures() -> None:
    class CountedEngine:
        pictures = 0

        def predict(self, pictures: Any, **options: Any) -> list[dict[str, Tensor]]:
            self.pictures += len(pictures)
            return []

    engine = CountedEngine()
    assert seconds_for(engine, PICTURE) >= 0
    assert engine.pictures == choice.ROUNDS + 1


def test_the_cache_folder_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert choice.cache_folder() == tmp_path / "torch_retinanet" / "engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert choice.cache_folder() == Path.home() / ".cache" / "torch_retinanet" / "engines"


def test_a_runtime_that_cannot_run_is_refused_and_not_measured(
    made: RetinaNetDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = replace(RUNTIMES["compiled"], missing=lambda *given: "it needs a compiler")
    monkeypatch.setitem(RUNTIMES, "compiled", missing)
    with pytest.raises(InputError, match=r"^engine: compiled cannot run here in fp32; it needs a compiler$"):
        build_engine("compiled", made)
    assert [runtime.name for runtime in usable(made, "fp32")] == ["eager", "packed"]


def test_pictures_are_detected_by_any_engine(tmp_path: Path) -> None:
    class Nothing:
        def predict(self, pictures: Any, **options: Any) -> list[dict[str, Tensor]]:
            return [{"boxes": torch.zeros(0, 4)} for _ in pictures]

    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    found: Iterable[Any] = detect_pictures(Nothing(), [tmp_path / "a.png"])
    assert [len(one.detections["boxes"]) for one in found] == [0]
