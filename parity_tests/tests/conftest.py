"""What several tests share: both sides of the notebook's model with random weights, and files of it.

The frameworks are imported in the order in which they live together, but for the process that hands the tests out.
"""

import gc
import importlib
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.inputs import random_variables
from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.record import Array

if TYPE_CHECKING:
    from parity_tests.retinanet.keras_side import KerasDetectorSide


def pytest_configure(config: pytest.Config) -> None:
    """Both frameworks, wherever tests run; what their modules hold stays, and no collection need look at it again."""
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        importlib.import_module("parity_tests.retinanet.frameworks")
        gc.collect()
        gc.freeze()


LONGEST_FIRST = ("training", "instrument", "keras", "cli", "torch")
"""Folders of tests that take long: files are handed out one by one, and a long one at the end would go on alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first; what is in one file stays in its order."""
    places = {folder: place for place, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(places)))


def pytest_collection_finish() -> None:
    """No collection of garbage need look at thousands of tests either."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a CUDA device where there is none, before its fixtures are made."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> None:
    """Each fixture draws the same weights in each run, whatever was set up before it."""
    seed_defaults(fixturedef.argname)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Each test draws the same weights in each run, whatever ran before it."""
    seed_defaults(item.name)


def seed_defaults(name: str) -> None:
    """The generators that a layer draws from where it is given none: PyTorch's, and Python's for Keras.

    By name, so that a test does not draw the very weights that a fixture of it has drawn.
    """
    import torch

    seed = zlib.crc32(name.encode())
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():  # where there is none, torch.manual_seed keeps what it would do, with the whole stack
        torch.cuda.manual_seed_all(seed)
    random.seed(seed)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many planted faults were caught, of those that were planted."""
    ended = {how: terminalreporter.stats.get(how, []) for how in ("passed", "failed", "error", "skipped")}
    caught, *missed = (sum("planted" in getattr(one, "keywords", ()) for one in reports) for reports in ended.values())
    if caught or any(missed):
        terminalreporter.write_line(f"planted faults: {caught} of {caught + sum(missed)} caught and named")


@pytest.fixture
def awkward() -> Path:
    """The folder of awkward pictures; without it the test is skipped."""
    from parity_tests.tests.support.paths import shared

    return shared("awkward")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """What torch computes on one thread, whatever the machine has."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> Iterator[str]:
    """Keras in each precision."""
    from keras import config

    before = config.floatx(), config.dtype_policy()
    config.set_floatx(request.param)
    config.set_dtype_policy(request.param)
    yield request.param
    config.set_floatx(before[0])
    config.set_dtype_policy(before[1])


@pytest.fixture(scope="session")
def models() -> DetectorComparison:
    """The default comparison of the preset notebook with narrow networks, whose models are built once."""
    from parity_tests.tests.support.planted import narrow_run

    return narrow_run("notebook")


@pytest.fixture(scope="session")
def whole() -> DetectorComparison:
    """The default comparison of the preset notebook, of the whole network."""
    from parity_tests.retinanet.setup import start_run

    return start_run("notebook")


@pytest.fixture(scope="session")
def variables(models: DetectorComparison) -> dict[str, Array]:
    """Random weights by Keras name."""
    return dict(models.weights)


@pytest.fixture(scope="module")
def run(models: DetectorComparison) -> Iterator[DetectorComparison]:
    """The default comparison; models get its weights when a file of tests begins."""
    from parity_tests.tests.support.planted import ANSWERS

    models.sides.restore()
    yield models
    ANSWERS.clear()
    gc.collect()  # optimisers of Keras hold themselves, and two copies of all weights
    gc.freeze()  # models of other files stay


@pytest.fixture
def sides(run: DetectorComparison) -> Iterator[tuple[DetectorSide, DetectorSide]]:
    """Reference and port in float64, given the run's weights back afterwards."""
    yield run.sides.reference("float64"), run.sides.port("float64")
    run.sides.restore()


@pytest.fixture(scope="session")
def keras_side() -> "KerasDetectorSide":
    """A reference whose weights and statistics are all random."""
    from parity_tests.retinanet.keras_side import KerasDetectorSide
    from parity_tests.tests.support.keras_values import CLASSES

    side = KerasDetectorSide("notebook", CLASSES, "float32")
    side.assign(random_variables({name: value.shape for name, value in side.parameters().items()}))
    return side


@pytest.fixture(scope="session")
def files(keras_side: "KerasDetectorSide", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reference as Keras itself writes it, and as torch has it from there."""
    from torch_retinanet import load_model, save_weights

    folder = tmp_path_factory.mktemp("files")
    keras_side.model.save(folder / "model.keras")
    keras_side.model.save_weights(folder / "model.weights.h5")
    save_weights(load_model(folder / "model.keras"), folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def imagenet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the format in which `keras.applications` publishes those of ImageNet."""
    import h5py
    import keras

    path = tmp_path_factory.mktemp("imagenet") / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    model = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3))
    shapes = {f"{layer.name}/{variable.name}": variable.shape for layer in model.layers for variable in layer.weights}
    values = random_variables(shapes)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{variable.name}:0" for variable in layer.weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name in names:
                group[name] = values[name.removesuffix(":0")]
    return path
