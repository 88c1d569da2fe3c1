"""What a user says of two models: names, layouts, what is skipped; what is refused, left out, or goes unseen."""

import re
import textwrap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

# isort: split
import keras
import numpy as np
import pytest

from parity_tests import Function, KerasModel, TorchModule, compare_models, ladder, randomise
from parity_tests.rule.errors import UsageError
from parity_tests.rule.result import Result
from parity_tests.tests.support import small_models
from parity_tests.tests.support.comparisons import compare, different
from parity_tests.tests.support.small_models import IMAGES, TAPS, Port, Renamed, keras_model, pictures


@pytest.fixture(scope="module")
def reference() -> KerasModel:
    return KerasModel(keras_model(), TAPS)


def test_the_example_of_the_package_runs(reference: KerasModel) -> None:
    code = textwrap.dedent((ladder.__doc__ or "").partition("\n\n")[2].partition("\n\nNeeds")[0])
    exec(code, {"keras_model": reference.model, "torch_model": Renamed(), "images": IMAGES})
    with pytest.raises(AssertionError, match=r"^different: norm is where it starts"):
        exec(code, {"keras_model": reference.model, "torch_model": Renamed(eps=1e-5), "images": IMAGES})


def missing(result: Result) -> dict[tuple[str, str], list[str]]:
    return {(c.side, c.kind): list(c.missing) for c in result.coverage if c.missing}


def test_a_table_of_modules_names_their_parameters_and_their_taps(reference: KerasModel) -> None:
    table = {"stem.0": "conv", "stem.1": "norm", "top": "dense"}
    result = compare_models(reference.model, Renamed(), IMAGES, names=table, dtypes=["float64"])
    assert (result.verdict, missing(result)) == ("equal", {})
    assert {"conv", "norm.input", "dense"} <= {record.name for record in result.records if record.rung == "forward"}
    one_by_one = {f"top.{theirs}": f"dense/{ours}" for theirs, ours in (("weight", "kernel"), ("bias", "bias"))}
    taps = {"conv": "stem.0", "norm": "stem.1", "act": "stem.2", "mix": "mix", "dense": "top"}
    settings: dict[str, Any] = {"names": {**table, **one_by_one}, "dtypes": ["float64"]}
    settings["names"].pop("top")
    assert compare_models(reference, TorchModule(Renamed(), taps), IMAGES, **settings).verdict == "equal"


def test_names_without_a_partner_make_it_incomplete_and_are_listed(reference: KerasModel) -> None:
    result = compare_models(reference.model, Renamed(), IMAGES, names={"stem.0": "conv", "stem.1": "norm"})
    assert missing(result) == {
        ("reference", "parameters"): ["dense/kernel", "dense/bias"],
        ("port", "parameters"): ["top.weight", "top.bias"],
        ("reference", "taps"): ["dense"],
        ("port", "taps"): ["top"],
    }
    assert result.verdict == "incomplete", "the dense layer has weights of its own"
    assert (
        "its weights were not carried over, dense/kernel of the reference and top.weight of the port" in result.summary
    )


def test_a_parameter_that_one_side_has_alone_is_incomplete_though_it_changes_nothing(reference: KerasModel) -> None:
    class More(Port):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    result = compare(reference, More())
    assert (result.exit_code, missing(result)) == (3, {("port", "parameters"): ["scale"]})
    assert result.summary == "incomplete: 1 name was not compared, first scale (parameters of the port)"
    skipped = compare(reference, More(), skip={"scale": "kept for later"})
    assert skipped.verdict == "equal"
    assert [dict(c.skipped) for c in skipped.coverage if c.skipped] == [{"scale": "kept for later"}]


def test_a_tap_that_one_side_has_alone_is_incomplete(reference: KerasModel) -> None:
    port = TorchModule(Port(), {name: path for name, path in TAPS.items() if name != "mix"})
    result = compare_models(reference, port, IMAGES, dtypes=["float64"])
    assert (result.verdict, missing(result)) == ("incomplete", {("reference", "taps"): ["mix"]})


def test_a_tap_that_is_never_run_is_incomplete_and_one_that_one_side_runs_is_different(reference: KerasModel) -> None:
    class Idle(Port):
        def __init__(self) -> None:
            super().__init__()
            self.idle = nn.ReLU()

    taps = TAPS | {"mix": "idle"}
    result = compare_models(reference, TorchModule(Idle(), taps), IMAGES, dtypes=["float64"], rungs=["forward"])
    assert "mix" in different(result)
    model = keras_model()
    model.idle = keras.layers.ReLU()
    both = compare_models(
        KerasModel(model, {"mix": "mix", "unused": "idle"}),
        TorchModule(Idle(), {"mix": "mix", "unused": "idle"}),
        IMAGES,
        dtypes=["float64"],
    )
    assert (both.verdict, missing(both)) == (
        "incomplete",
        {("reference", "taps"): ["unused"], ("port", "taps"): ["unused"]},
    )


def test_a_skipped_input_lets_a_module_have_what_arrives(reference: KerasModel) -> None:
    """As where one side pads within its convolution, and the other before it."""
    padded = TorchModule(nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 4, 3, stride=2)), {"conv": "1"})
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3, 2, "same", name="conv")])
    randomise(model)
    settings: dict[str, Any] = {"names": {"1": "conv"}, "dtypes": ["float64"]}
    settings["skip"] = {"conv.input": "the port pads in a module of its own"}
    result = compare_models(KerasModel(model, {"conv": "conv"}), padded, IMAGES, **settings)
    assert result.verdict == "equal", result.summary
    assert {"conv", "conv/kernel"} <= {record.name for record in result.records if record.where.mode == "isolated"}


def test_other_layouts_are_permutations_by_name() -> None:
    """Of sequences, which have three axes and lie alike by default."""
    model = keras.Sequential([keras.Input((7, 3)), keras.layers.Conv1D(4, 3, name="conv")])
    randomise(model)

    class Port1d(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(3, 4, 3)

        def forward(self, x: Tensor) -> Any:
            return self.conv(x)

    layouts = dict.fromkeys(("input", "conv", "output"), (0, 2, 1))
    assert compare_models(model, Port1d(), pictures(2, 7, 3), layouts=layouts).verdict == "equal"
    wrong = compare_models(model, Port1d(), pictures(2, 7, 3), layouts=layouts | {"output": (0, 1, 2)})
    first = next(record for record in wrong.records if record.verdict == "different")
    assert (first.name, first.reason) == ("output", "shape (2, 4, 5), and the reference has (2, 5, 4)")


REFUSED: dict[str, dict[str, Any]] = {
    "names: 'conv.wieght' is no parameter, module or tap of the port; nearest are conv.weight": {
        "names": {"conv.wieght": "conv/kernel"}
    },
    "names: 'cnov' is no parameter, module or tap of the reference; nearest are conv": {"names": {"conv": "cnov"}},
    "names: conv.weight and norm.weight both stand for conv/kernel": {
        "names": {"conv.weight": "conv/kernel", "norm.weight": "conv/kernel"}
    },
    "skip: 'mixed' is no parameter or tap of either side; nearest are mix": {"skip": {"mixed": "a reason"}},
    "skip: 'mix' has no reason": {"skip": {"mix": " "}},
    "layouts: 'conv/kernel' is (0, 1, 1, 2), and must name each axis from 0 on once": {
        "layouts": {"conv/kernel": (0, 1, 1, 2)}
    },
    "layouts: 'conv/kernel' is (1, 0), and the reference's conv/kernel has 4 axes": {
        "layouts": {"conv/kernel": (1, 0)}
    },
    "layouts: 'mix' is (1, 0), and the reference's mix has 4 axes, of shape (2, 4, 3, 4)": {"layouts": {"mix": (1, 0)}},
    "layouts: 'kernel' is no parameter or tap of the reference": {"layouts": {"kernel": (1, 0)}},
    "dtypes: 'float16' must be one of float64, float32": {"dtypes": ["float16"]},
    "names: 'conv' is given 1, and must be a name that is given another name": {"names": {"conv": 1}},
    "layouts: 'conv' is given 3, and must be a name that is given a permutation of axes": {"layouts": {"conv": 3}},
    "skip: 'conv' is given None, and must be a name that is given a reason": {"skip": {"conv": None}},
    "loss: <built-in function abs> must be two functions": {"loss": abs},
    "optimizers: (1, 2) must be two functions": {"optimizers": (1, 2)},
    "batches: str of <U1 must be an array of numbers": {"batches": ["x"]},
    "rungs: 'back' must be one of parameters, forward, backward, gradients": {"rungs": ["back"]},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_wrong_words_are_refused_in_a_sentence(sentence: str, reference: KerasModel) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(sentence)}"):
        compare_models(reference, TorchModule(Port(), TAPS), IMAGES, **REFUSED[sentence])


def test_wrong_sides_are_refused_in_a_sentence(reference: KerasModel) -> None:
    unbuilt = keras.Sequential([keras.layers.Dense(3)], name="fresh")
    number: Any = 3
    sides: dict[str, tuple[Any, Any]] = {
        "port: int must be a torch module, a Keras model or a function": (reference, 3),
        "port: function must be a torch module": (reference, TorchModule(lambda x: x)),
        "port: Port must be a Keras model": (reference, KerasModel(Port())),
        "port: int must be a function": (reference, Function(number)),
        "port taps: 'cnov' is no submodule of Port; nearest are conv": (reference, TorchModule(Port(), {"a": "cnov"})),
        "port taps: 'a/b' must be another name than input": (reference, TorchModule(Port(), {"a/b": "conv"})),
        "reference taps: 'cnov' is no layer of own; nearest are": (KerasModel(reference.model, {"a": "cnov"}), Port()),
        "reference: fresh has no weights yet, and must have been called once": (KerasModel(unbuilt), Port()),
    }
    with pytest.raises(UsageError, match=r"^model: abs \(function\) has no weights"):
        randomise(Function(abs))
    with pytest.raises(UsageError, match=r"^model: fresh has no weights yet"):
        randomise(unbuilt)
    for sentence, (left, right) in sides.items():
        with pytest.raises(UsageError, match=f"^{re.escape(sentence)}"):
            compare_models(left, right, IMAGES)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"layout": "nchw"}, "layout: 'nchw' must be one of channels_first, channels_last"),
        ({"taps": {"a": 3}}, "taps: {'a': 3} must be a dictionary of paths by name, or OwnTaps()"),
        ({"taps": ["conv"]}, "taps: ['conv'] must be a dictionary of paths by name, or OwnTaps()"),
    ],
)
def test_a_side_is_refused_where_it_is_made(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(sentence)}$"):
        TorchModule(Port(), **settings)


def test_a_layer_of_keras_is_run_as_a_model_is() -> None:
    layer = keras.layers.Dense(2, name="dense")
    layer.build((None, 3))
    result = compare_models(KerasModel(layer), nn.Linear(3, 2), np.ones((2, 3)), rungs=["forward"])
    assert result.verdict == "equal", result.summary


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [("x", "str of <U1"), ([["a"]], "list of <U1"), ({}, "dict of object"), (None, "NoneType of object")],
)
def test_inputs_are_arrays_of_numbers(reference: KerasModel, inputs: Any, kind: str) -> None:
    with pytest.raises(UsageError, match=f"^inputs: {kind} must be an array of numbers$"):
        compare_models(reference, Port(), inputs)


def test_what_cannot_be_made_an_array_is_refused_with_the_cause(reference: KerasModel) -> None:
    wrong: Any = ([[[1], [1, 2]]], torch.zeros(2, requires_grad=True))
    for inputs in wrong:
        with pytest.raises(UsageError, match=r"^inputs: \w+ is no array \(\w+Error: "):
            compare_models(reference, Port(), inputs)


def test_a_permutation_may_be_an_array_of_integers(reference: KerasModel) -> None:
    right: Any = {"conv": np.array([0, 2, 3, 1])}
    result = compare_models(reference, TorchModule(Port(), TAPS), IMAGES, layouts=right, rungs=["forward"])
    assert (result.verdict, result.settings["layouts"]) == ("equal", {"conv": [0, 2, 3, 1]})
    for wrong in (np.array([[0], [1]]), (0.0, 1.0), ("a", 0)):
        given: Any = {"conv": wrong}
        with pytest.raises(UsageError, match=r"^layouts: 'conv' is given .* given a permutation of axes$"):
            compare_models(reference, TorchModule(Port(), TAPS), IMAGES, layouts=given)


def test_a_loss_is_one_number(reference: KerasModel) -> None:
    for loss, found in {abs: "an array of shape (2, 5)", lambda y: 3.0: "a float"}.items():
        with pytest.raises(UsageError, match=re.escape(f"loss: gives {found}, and must give a tensor of one number")):
            compare_models(reference, TorchModule(Port(), TAPS), IMAGES, rungs=["gradients"], loss=(loss, loss))


def test_two_arrays_of_one_name_are_refused(reference: KerasModel) -> None:
    taps = {"mix": "mix", "mix.input": "act"}
    with pytest.raises(UsageError, match=r"^taps: two arrays would be called 'mix.input'"):
        compare_models(KerasModel(reference.model, taps), TorchModule(Port(), taps), IMAGES, rungs=["forward"])


def warnings_about(model: Any, images: Any = IMAGES) -> set[str]:
    result = compare_models(model, Port(), images, dtypes=["float64"], rungs=["parameters"])
    return {warning.partition(":")[0] for warning in result.warnings}


def test_what_hides_mistakes_is_warned_of_and_random_weights_do_not(reference: KerasModel) -> None:
    assert warnings_about(reference.model) == {"mode"}
    assert warnings_about(reference.model, pictures(2, 8, 8, 3)) == {"mode", "inputs"}
    assert warnings_about(reference.model, pictures(1, 8, 6, 3)) == {"mode", "inputs"}
    assert warnings_about(reference.model, abs(IMAGES)) == {"mode", "inputs"}
    fresh = keras.models.clone_model(reference.model)
    assert warnings_about(fresh) == {"mode", "weights"}
    taps = [compare_models(KerasModel(fresh, {}), TorchModule(Port(), {}), IMAGES, rungs=["parameters"])]
    assert any(warning.startswith("taps: there are none") for warning in taps[0].warnings)


def test_random_weights_are_the_same_for_a_seed_and_none_is_constant() -> None:
    ports = [Port(), Port(), Port()]
    for port, seed in zip(ports, (1, 1, 2), strict=True):
        randomise(port, seed)
    first, again, other = (port.state_dict() for port in ports)
    floating = [name for name, value in first.items() if value.is_floating_point()]
    assert all(torch.equal(first[name], again[name]) and first[name].std() > 0 for name in floating)
    assert not any(torch.equal(first[name], other[name]) for name in floating)
    assert (first["norm.running_var"] > 0).all()


def test_it_says_where_a_tap_is_made(reference: KerasModel) -> None:
    sources = compare(reference, Port(), rungs=["parameters"]).sources
    file, _, line = sources["conv"]["port"].rpartition(":")
    lines = Path(small_models.__file__).read_text().splitlines()
    assert (Path(file).name, lines[int(line) - 1]) == ("small_models.py", "class Same(nn.Conv2d):")
    line = sources["norm"]["port"].rpartition(":")[2]
    assert lines[int(line) - 1].strip().startswith("self.norm = ")
    assert "reference" not in sources["conv"], "a functional model has no line of its own"


def test_weights_that_are_no_float32_numbers_are_rounded_on_both_sides() -> None:
    wide = nn.Linear(3, 4).double()
    with torch.no_grad():
        wide.weight.copy_(torch.linspace(-1, 1, 12).view(4, 3))  # in float32, 1e-12 more is the same number for each
    result = compare_models(wide, nn.Linear(3, 4), pictures(2, 3), transfer=False)
    assert "weight" in {record.name for record in result.records if record.verdict == "different"}
    narrow = nn.Linear(3, 4)
    narrow.load_state_dict(wide.state_dict())
    with torch.no_grad():
        wide.weight += 1e-12
    assert compare_models(wide, narrow, pictures(2, 3), transfer=False).verdict == "equal"
    assert wide.weight.dtype is torch.float64


def test_whole_numbers_are_fed_and_compared_as_they_are() -> None:
    model = keras.Sequential([keras.Input((4,), dtype="int32"), keras.layers.Embedding(9, 3, name="words")])
    randomise(model)

    class Words(nn.Module):
        def __init__(self, shift: int) -> None:
            super().__init__()
            self.words, self.shift = nn.Embedding(9, 3), shift

        def forward(self, x: Tensor) -> Any:
            return self.words((x + self.shift) % 9)

    tokens = np.arange(8, dtype=np.int32).reshape(2, 4)
    assert compare_models(model, Words(0), tokens).verdict == "equal"
    assert different(compare_models(model, Words(1), tokens, dtypes=["float64"])) == ["words.input"]
