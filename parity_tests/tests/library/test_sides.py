"""What a side of any framework can do: run fed and not, in training mode, back, with taps of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

# isort: split
import keras
import numpy as np
import pytest

from parity_tests import KerasModel, OwnTaps, TorchModule, compare_models, randomise
from parity_tests.rule.errors import UsageError
from parity_tests.rule.record import Array
from parity_tests.sides.layouts import Layouts
from parity_tests.sides.side import Call, Side, TrainableSide
from parity_tests.tests.support.small_models import IMAGES, TAPS, Port, TappedKeras, keras_model, pictures, tap

PORT_IMAGES = IMAGES.transpose(0, 3, 1, 2)


class TappedPort(nn.Module):
    """Two layers that write what they make."""

    def __init__(self, slope: float = 0.0) -> None:
        super().__init__()
        self.first, self.second, self.slope = nn.Linear(3, 4), nn.Linear(4, 2), slope

    def forward(self, x: Tensor, taps: Any = None) -> Any:
        if not len(x):
            raise UsageError("x: is empty")
        x = tap(taps, "first", self.first(x))
        x = tap(taps, "act", nn.functional.leaky_relu(x, self.slope))
        if len(x) == 1:
            raise UsageError("x: one row is too few")
        return tap(taps, "second", self.second(x))


ROWS = pictures(5, 3)


def tapped_keras() -> TappedKeras:
    model = TappedKeras()
    model(ROWS)
    randomise(model)
    return model


def own(model: Any) -> TrainableSide:
    kind = KerasModel if isinstance(model, keras.Model) else TorchModule
    return kind(model, OwnTaps()).open("float64", None)


@pytest.fixture(params=["torch", "keras"])
def written(request: pytest.FixtureRequest) -> TrainableSide:
    """A side with taps of its own."""
    side = own(TappedPort() if request.param == "torch" else tapped_keras())
    return side


def output(calls: Mapping[str, Call], name: str) -> Array:
    return calls[name].outputs[""]


def test_taps_of_its_own_are_a_call_each_in_the_order_written_and_say_where(written: TrainableSide) -> None:
    calls = written.forward([ROWS])
    assert list(calls) == ["first", "act", "second"]
    assert all(list(call.outputs) == [""] and not call.inputs for call in calls.values())
    file, _, line = written.sources["act"].rpartition(":")
    text = (Path(__file__).parents[3] / file).read_text().splitlines()[int(line) - 1]
    assert 'tap(taps, "act",' in text


def test_a_model_is_fed_by_what_it_reads_back(written: TrainableSide) -> None:
    calls = written.forward([ROWS])
    other = np.full_like(output(calls, "first"), -3.0)
    fed = written.forward([ROWS], fed={"first": Call(outputs={"": other})})
    assert np.array_equal(output(fed, "first"), output(calls, "first"))
    assert (output(fed, "act") == 0).all()


def test_gradients_by_taps_fed_and_not(written: TrainableSide) -> None:
    calls = written.forward([ROWS])
    seed = {"second": pictures(5, 2).astype(np.float64)}
    back = written.backward([ROWS], seed)
    last = next(values for name, values in back.gradients.items() if name.startswith("second") and values.ndim == 2)
    assert back.loss is None
    assert back.calls["second"].output_gradients[""] == pytest.approx(seed["second"])
    kernel = next(v for n, v in written.parameters().items() if n.startswith("second") and v.ndim == 2)
    expected = seed["second"] @ (kernel.T if kernel.shape == (4, 2) else kernel)
    assert back.calls["act"].output_gradients[""] == pytest.approx(expected)
    assert last.shape == kernel.shape
    upstream = np.ones_like(output(calls, "act"))
    given = {**back.calls, "act": Call(outputs=calls["act"].outputs, output_gradients={"": upstream})}
    fed = written.backward([ROWS], seed, fed=given)
    by_first = fed.calls["first"].output_gradients[""]
    assert np.array_equal(by_first, (output(calls, "first") > 0).astype(float)), "what the activation makes of ones"
    assert fed.loss is None
    assert fed.gradients.keys() == back.gradients.keys()


def test_a_model_that_refuses_half_way_gives_the_taps_up_to_there() -> None:
    side = own(TappedPort())
    assert list(side.forward([ROWS[:1]])) == ["first", "act"]
    assert list(side.forward([ROWS[:0]])) == []
    with pytest.raises(UsageError):
        side.backward([ROWS[:1]], lambda y: y.sum())


def test_what_is_no_tensor_is_refused_as_a_tap() -> None:
    class TapsShape(nn.Linear):
        def forward(self, x: Tensor, taps: Any = None) -> Any:
            taps["shape"] = x.shape
            return super().forward(x)

    with pytest.raises(UsageError, match=r"^taps: 'shape' is a Size, and the model must write a tensor there"):
        own(TapsShape(3, 3)).forward([ROWS])


def test_models_with_taps_of_their_own_are_compared_on_every_rung() -> None:
    reference = KerasModel(tapped_keras(), OwnTaps())
    right = compare_models(reference, TorchModule(TappedPort(), OwnTaps()), ROWS)
    assert right.verdict == "equal", right.summary
    assert {record.rung for record in right.records} == {"parameters", "forward", "backward", "gradients"}
    assert {record.name for record in right.records} >= {"first", "act", "second", "first/kernel"}
    wrong = compare_models(reference, TorchModule(TappedPort(0.1), OwnTaps()), ROWS, dtypes=["float64"])
    assert next(r.name for r in wrong.records if r.verdict == "different" and r.where.mode == "isolated") == "act"
    assert {"reference", "port"} == set(wrong.sources["act"])


class InFloat32(TappedKeras):
    """A reference that computes in float32, whatever it is fed."""

    def call(self, x: Any, taps: Any = None) -> Any:
        return super().call(keras.ops.cast(x, "float32"), taps)


def test_the_summary_says_that_taps_of_its_own_were_judged_as_float32() -> None:
    model = InFloat32()
    model(ROWS)
    randomise(model)
    result = compare_models(KerasModel(model, OwnTaps()), TorchModule(TappedPort(), OwnTaps()), ROWS)
    words = "; 3 of the taps are judged as float32, in which the reference computes"
    assert result.summary.endswith(words), result.summary


@pytest.fixture(params=["torch", "keras"])
def hooked(request: pytest.FixtureRequest) -> Side:
    """A side whose modules are tapped."""
    if request.param == "keras":
        return KerasModel(keras_model(), TAPS).open("float64", TAPS)
    return TorchModule(Port(), TAPS).open("float64", TAPS)


def images_of(side: Side) -> list[Array]:
    return [PORT_IMAGES if any(name.endswith(".weight") for name in side.parameters()) else IMAGES]


def test_training_mode_moves_statistics_which_assigning_restores(hooked: Side) -> None:
    before, images = hooked.parameters(), images_of(hooked)
    assert hooked.forward(images, training=True)["norm"].outputs[""].mean() == pytest.approx(
        hooked.forward(images, training=True)["norm"].outputs[""].mean()
    )
    moved = hooked.parameters()
    changed = {name for name, values in before.items() if not np.array_equal(values, moved[name])}
    assert {name.rpartition("/")[2].rpartition(".")[2] for name in changed} <= {
        *("moving_mean", "moving_variance", "running_mean", "running_var")
    }
    assert len(changed) == 2
    hooked.backward(images, {"": np.ones((2, 5))}, training=True)
    assert not np.array_equal(hooked.parameters()[min(changed)], moved[min(changed)])
    hooked.assign(before)
    assert all(np.array_equal(values, before[name]) for name, values in hooked.parameters().items())


def test_each_module_alone_runs_back_from_what_it_is_fed(hooked: Side) -> None:
    images = images_of(hooked)
    back = hooked.backward(images, {"": np.ones((2, 5))})
    fed = hooked.backward(images, {}, fed={name: call for name, call in back.calls.items() if name != "output"})
    assert (fed.loss, fed.gradients) == (None, {})
    assert fed.calls["act"].input_gradients[0] == pytest.approx(back.calls["norm"].output_gradients[""])
    by_parameter = fed.calls["norm"].parameter_gradients
    assert len(by_parameter) == 2
    assert all(gradient == pytest.approx(back.gradients[name]) for name, gradient in by_parameter.items())


def test_flat_taps_lie_alike_on_both_sides() -> None:
    lie = Layouts("channels_last", "channels_first", {}, {"boxes"})
    assert lie.tap("boxes#2", "boxes#2", 4) == (0, 1, 2, 3)
    assert lie.tap("map", "map", 4) == (0, 2, 3, 1)


def test_assigning_restores_the_count_of_batches_of_a_cumulative_average() -> None:
    side = TorchModule(nn.BatchNorm1d(3, momentum=None)).open("float64", {})
    start, moved = side.parameters(), []
    for _ in range(2):
        side.assign(start)
        side.forward([ROWS], training=True)
        moved.append(side.parameters()["running_mean"])
    assert np.array_equal(moved[0], moved[1])
    assert moved[0] == pytest.approx(ROWS.mean(0))


def test_a_line_that_writes_a_tap_itself_is_its_source() -> None:
    class Direct(nn.Linear):
        def forward(self, x: Tensor, taps: Any = None) -> Tensor:
            taps["scaled"] = super().forward(2 * x)  # here
            scaled: Tensor = taps["scaled"]
            return scaled

    side = own(Direct(3, 3))
    assert list(side.forward([ROWS])) == ["scaled"]
    line = int(side.sources["scaled"].rpartition(":")[2])
    assert Path(__file__).read_text().splitlines()[line - 1].endswith("# here")


def test_a_tap_that_is_called_like_the_output_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^port taps: 'output' is the model's own result"):
        TorchModule(nn.Sequential(nn.Linear(3, 3)), {"output": "0"}).tap_paths("port", [])
