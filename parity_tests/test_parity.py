"""The proof: the default run, with every rung, and what its command says. Budgets are those of the comparison."""

import json
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from PIL import Image

from parity_tests import cli, inputs, rungs
from parity_tests.bridge import Config, KerasSide, Side, TorchSide, prepare
from parity_tests.compare import CASCADED, ISOLATED, Array, Record, verdict_of
from parity_tests.errors import InputError
from parity_tests.inputs import random_images, size_name
from parity_tests.report import last_line
from parity_tests.rungs import RUNGS, Run
from parity_tests.rungs.forward import FORWARD_SIZES
from parity_tests.rungs.shapes import REFUSED, SWEEP

TAPS = (
    *("stem", *(f"conv{s}_block{j}" for s, n in ((2, 3), (3, 4), (4, 6), (5, 3)) for j in range(1, n + 1))),
    *("c3", "c4", "c5", "lateral3", "lateral4", "lateral5", "merged4", "merged3", "p3", "p4", "p5", "p6", "p7"),
    *(f"{head}.p{level}.{i}" for level in range(3, 8) for head in ("cls", "box") for i in range(5)),
    *("logits", "deltas", "outputs"),
)
EPS = float(np.finfo(np.float64).eps)


@pytest.fixture(scope="module")
def records(run: Run) -> list[Record]:
    """All records of the default run."""
    return [record for cases in RUNGS.values() for case in cases(run) for record in case.compare()]


def of(records: Sequence[Record], rung: str, case: str) -> dict[str, Record]:
    return {record.name: record for record in records if record.rung == rung and record.case == case}


def test_the_default_run_is_equal(records: list[Record]) -> None:
    assert [record for record in records if record.verdict != "equal"] == []
    assert verdict_of(records) == "equal"


@pytest.mark.parametrize("size", FORWARD_SIZES, ids=size_name)
@pytest.mark.parametrize(("mode", "units"), [("isolated", ISOLATED), ("cascaded", CASCADED)])
def test_every_tap_is_within_its_roundings_in_float64(
    records: list[Record], size: inputs.Size, mode: str, units: int
) -> None:
    taps = of(records, "forward", f"{size_name(size)} float64 {mode}")
    assert tuple(taps) == TAPS
    for record in taps.values():
        assert record.difference is not None
        assert record.scale
        assert record.difference <= units * EPS * record.scale


@pytest.mark.parametrize("size", FORWARD_SIZES, ids=size_name)
@pytest.mark.parametrize("mode", ["isolated", "cascaded"])
def test_every_tap_is_compared_in_float32_in_a_batch_of_two(
    records: list[Record], size: inputs.Size, mode: str
) -> None:
    taps = of(records, "forward", f"{size_name(size)} float32 {mode}")
    assert tuple(taps) == TAPS
    assert {record.reference_shape[0] for record in taps.values() if record.reference_shape} == {2}


def test_a_training_step_leaves_the_same_statistics(records: list[Record]) -> None:
    names = of(records, "forward", "128x128 float64 training")
    assert len(names) == 2 * 53
    assert all("/moving_" in name for name in names)


def test_the_sweep_has_sizes_of_every_kind() -> None:
    p5 = [(height // 32, width // 32) for height, width in SWEEP]
    assert len(SWEEP) >= 12
    assert (32, 32) in SWEEP
    assert {height % 2 for height, _ in p5} == {width % 2 for _, width in p5} == {0, 1}
    assert any(height > width for height, width in p5)
    assert any(height < width for height, width in p5)


@pytest.mark.parametrize("size", SWEEP, ids=size_name)
def test_anchors_are_nine_for_each_cell_of_each_level(records: list[Record], size: inputs.Size) -> None:
    taps = of(records, "shapes", size_name(size))
    shapes = [(taps[level].reference_shape, taps[level].port_shape) for level in ("p3", "p4", "p5", "p6", "p7")]
    expected = 9 * sum(reference[1] * reference[2] for reference, _ in shapes if reference)
    assert taps["anchors"].reference_shape == taps["anchors"].port_shape == (expected,)
    assert all(reference == port for reference, port in shapes)


def test_there_are_3069_anchors_at_128x128(records: list[Record]) -> None:
    assert of(records, "shapes", "128x128")["anchors"].port_shape == (3069,)


@pytest.mark.parametrize("size", REFUSED, ids=size_name)
def test_sizes_that_do_not_divide_by_32_are_refused_by_both_at_the_same_tap(
    records: list[Record], size: inputs.Size
) -> None:
    taps = of(records, "shapes", size_name(size))
    assert tuple(taps) == (*TAPS[: TAPS.index("merged4")], "anchors")
    assert taps["anchors"].reference_shape is taps["anchors"].port_shape is None


def test_every_variable_is_compared(records: list[Record], variables: dict[str, Array]) -> None:
    compared = of(records, "parameters", "fresh")
    assert set(compared) == {*variables, "count"}


def test_a_run_at_a_size_that_the_reference_refuses_is_incomplete(run: Run) -> None:
    refused = Run(preset="notebook", config=run.config, variables=run.variables, sizes=[(120, 120)], _sides=run._sides)
    for rung in ("shapes", "forward"):
        records = RUNGS[rung](refused)[0].compare()
        assert any(record.verdict == "incomplete" for record in records)
        assert verdict_of(records) != "equal"


def test_both_sides_hold_the_same_weights_after_the_transfer(sides: tuple[Side, Side]) -> None:
    reference, port = (side.variables() for side in sides)
    assert reference.keys() == port.keys()
    for name, values in reference.items():
        assert np.array_equal(values, port[name]), name


def test_fed_taps_are_what_a_module_goes_on_with(sides: tuple[Side, Side]) -> None:
    images = random_images((64, 64))
    for side in sides:
        own = side.forward(images)
        given = own | {"p6": own["p6"] + 1}
        fed = side.forward(images, given=given)
        assert np.array_equal(fed["p6"], own["p6"])
        assert not np.array_equal(fed["p7"], own["p7"])
        assert np.array_equal(fed["p5"], own["p5"])


def test_models_leave_the_global_precision_and_generators_alone() -> None:
    torch_state, numpy_state, python_state = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    KerasSide("notebook", 1, "float64")
    TorchSide(Config.notebook(1), "float64")
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy().name == "float32"
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert str(np.random.get_state()) == numpy_state
    assert random.getstate() == python_state


def test_noise_is_sign_symmetric_and_varies_along_both_axes() -> None:
    images = random_images((64, 96))
    assert images.shape == (2, 64, 96, 3)
    assert -1 <= images.min() < -0.5 < 0.5 < images.max() <= 1
    assert abs(images.mean()) < 0.05
    assert not np.array_equal(images[0], images[1])
    assert np.array_equal(images, random_images((64, 96)))


def write_photo(path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


FAST = ["--rungs", "forward", "--dtype", "float64", "--sizes", "32x64"]


def test_the_command_prints_tables_and_writes_every_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "parity.json"
    photo = write_photo(tmp_path / "photo.png")
    assert cli.main([*FAST, "--image", str(photo), "--json", str(target)]) == 0
    output = capsys.readouterr().out
    assert re.search(r"^ p6 +2x1x1x256 +2x256x1x1 +\d\.\de-\d+ +\d+% +equal", output, re.MULTILINE)
    assert output.splitlines()[-1] == "equal: 83 taps agree, in 626 comparisons"
    report = json.loads(target.read_text())
    assert (report["verdict"], report["exit_code"], report["summary"]) == ("equal", 0, output.splitlines()[-1])
    assert len(report["records"]) == 626
    assert all(0 <= record["used"] <= 1 for record in report["records"])
    assert report["settings"]["image"] == ["photo.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parity.json", "photo.png"]


AWKWARD = Path(__file__).parent.parent.parent / "shared" / "data" / "awkward"


UNREADABLE = {
    *("broken_data_stream.png", "truncated_image.png", "truncated_jpeg.jpg"),
    *("16bit.cropped.tif", "i_trns.png"),  # 16 bits, which Pillow would cut off
}
needs_awkward = pytest.mark.skipif(not AWKWARD.is_dir(), reason="no folder of awkward pictures beside the project")


@needs_awkward
@pytest.mark.parametrize("name", sorted(UNREADABLE))
def test_an_unreadable_picture_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{AWKWARD / name}: ")):
        inputs.read_pictures([AWKWARD / name])


@needs_awkward
def test_any_other_awkward_picture_is_read() -> None:
    paths = [path for path in AWKWARD.iterdir() if path.suffix in (".png", ".jpg", ".mpo")]
    pictures = inputs.read_pictures([path for path in paths if path.name not in UNREADABLE])
    batch = inputs.picture_batch(pictures, (32, 64))
    assert batch.shape == (len(pictures), 32, 64, 3)
    assert (batch >= -1).all()
    assert (batch <= 1).all()


@pytest.mark.parametrize("suffix", [".weights.h5", ".safetensors"])
def test_the_command_takes_weights_from_a_file_of_either_side(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"model{suffix}"
    if suffix == ".safetensors":
        from torch_retinanet import RetinaNet, RetinaNetConfig, save_weights

        save_weights(RetinaNet(RetinaNetConfig.notebook(3)), path)
    else:
        KerasSide("notebook", 3, "float32").model.save_weights(path)
    assert cli.main([*FAST, "--weights", str(path)]) == 0
    output = capsys.readouterr().out
    assert f"weights: model{suffix};" in output
    assert "2x396x7" in output, "three classes"


def test_weights_that_are_not_finite_are_no_difference_but_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    side = KerasSide("notebook", 1, "float32")
    broken = {name: np.full_like(v, np.nan) if name.endswith("beta") else v for name, v in side.variables().items()}
    side.assign(broken)
    side.model.save_weights(tmp_path / "model.weights.h5")
    assert cli.main([*FAST, "--weights", str(tmp_path / "model.weights.h5")]) == 2
    assert "holds NaN or infinite values in fpn/backbone/conv1_bn/beta" in capsys.readouterr().err


def test_the_run_has_the_weights_of_the_file(tmp_path: Path) -> None:
    side = KerasSide("notebook", 3, "float32", seed=5)
    side.model.save_weights(tmp_path / "model.weights.h5")
    config, variables = prepare("notebook", tmp_path / "model.weights.h5")
    assert config.num_classes == 3
    assert all(np.array_equal(variables[name], values) for name, values in side.variables().items())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--preset", "fizyr"], "preset: 'fizyr' must be one of notebook, torchvision"),
        (["--preset", "torchvision"], "--preset: 'torchvision' has no Keras reference; there is one for notebook"),
        (["--sizes", "128"], "--sizes: '128' must be HEIGHTxWIDTH in pixels, as 128x128"),
        (["--sizes", "0x64"], "--sizes: '0x64' must be HEIGHTxWIDTH in pixels, as 128x128"),
        (["--sizes", "32000x32000"], "--sizes: '32000x32000' must have 2097152 pixels at most"),
        (["--sizes", "99999999999999999968x32"], "--sizes: '99999999999999999968x32' must have"),
        (["--sizes", "64x64", "100x64"], "--sizes: 100x64 does not divide by 32, which preset notebook needs"),
        (["--image", "nowhere.png"], "nowhere.png: there is no such file"),
        (["--image", __file__], f"{__file__}: not a picture that Pillow can read"),
        (["--weights", "nowhere.keras"], "nowhere.keras: there is no such file"),
        (["--weights", "{empty}.keras"], "{empty}.keras: not a whole .keras archive"),
        (["--weights", "{empty}.weights.h5"], "{empty}.weights.h5: not a whole HDF5 file"),
        (["--weights", "{empty}.safetensors"], "{empty}.safetensors: not a whole safetensors file"),
        (["--image", "{empty}.png"], "{empty}.png: not a picture that Pillow can read"),
        (["--dtype", "half"], "argument --dtype: invalid choice: 'half'"),
        (["--json", "."], "--json: . must be a file in a folder that can be written to"),
        (["--turn", "p7_relu=never"], "p7_relu: 'never' must be one of 'after', 'before'"),
        (["--json", "nowhere/parity.json"], "--json: nowhere/parity.json lies in a folder that does not exist"),
    ],
)
def test_wrong_usage_ends_in_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = str(tmp_path / "empty")
    for suffix in (".keras", ".weights.h5", ".safetensors", ".png"):
        Path(empty + suffix).touch()
    with pytest.raises(SystemExit) as ending:
        sys.exit(cli.main([argument.format(empty=empty) for argument in arguments]))
    assert ending.value.code == 2
    output, error = capsys.readouterr()
    assert output == ""
    assert error.count("\n") == 1
    assert error.startswith(f"retinanet-parity: {sentence.format(empty=empty)}")


@pytest.mark.parametrize(
    ("backend", "sentence"),
    [("torch", "'torch' runs torch's own kernels and is no independent"), ("abacus", "'abacus' must be tensorflow")],
)
def test_only_an_independent_backend_judges(
    backend: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    assert cli.main([]) == 2
    assert f"KERAS_BACKEND: {sentence}" in capsys.readouterr().err


def test_a_fault_of_the_instrument_itself_never_says_that_the_models_differ(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fault(*arguments: object) -> None:
        raise AssertionError("a fault")

    monkeypatch.setattr(cli, "_run", fault)
    assert cli.main([]) == 3
    assert "AssertionError: a fault" in capsys.readouterr().err


def test_the_last_line_says_what_was_compared() -> None:
    def record(rung: str, name: str) -> Record:
        return Record(rung=rung, case="", name=name, verdict="equal")

    variable, shape, tap = record("parameters", "cls_head/0/kernel"), record("shapes", "p3"), record("forward", "p3")
    assert last_line([variable]) == "equal: 1 variables agree, in 1 comparisons"
    assert last_line([variable, shape]) == "equal: 1 taps agree in shape, in 2 comparisons"
    assert last_line([variable, shape, tap]) == "equal: 1 taps agree, in 3 comparisons"


def test_the_command_knows_the_rungs_of_the_ladder() -> None:
    assert tuple(RUNGS) == cli.RUNGS


def test_what_cannot_be_run_is_incomplete_and_never_green(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def out_of_memory(*arguments: object) -> list[Record]:
        raise MemoryError

    monkeypatch.setattr(rungs, "_statistics_after_training", out_of_memory)
    assert cli.main(FAST) == 3
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("incomplete: 1 comparisons could not be made, first all (MemoryError:")
