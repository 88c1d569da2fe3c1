"""What several tests share: both sides of the notebook's model in float64, with the same random weights."""

from collections.abc import Iterator

import pytest

from parity_tests.bridge import Side, prepare
from parity_tests.compare import Array
from parity_tests.rungs import Run


@pytest.fixture(scope="session")
def variables() -> dict[str, Array]:
    """Random weights by Keras name."""
    return prepare("notebook")[1]


@pytest.fixture(scope="session")
def run(variables: dict[str, Array]) -> Run:
    """The default run of the notebook preset, whose models are built once."""
    return Run(preset="notebook", config=prepare("notebook")[0], variables=variables)


@pytest.fixture
def sides(run: Run) -> Iterator[tuple[Side, Side]]:
    """Reference and port in float64, given the run's weights back afterwards."""
    yield run.sides("float64")
    run.assign("float64")
