"""What is carried between the frameworks can be wrong: faults of names, layouts and taps are caught and named."""

import pytest

from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.torch_side import TorchDetectorSide
from parity_tests.tests.support.carry_faults import CARRY_FAULTS
from parity_tests.tests.support.changed_conventions import CONVENTIONS, FORWARD, KERAS_IO, PARAMETERS, STATISTICS
from parity_tests.tests.support.planted import where_it_starts, with_port
from parity_tests.tests.support.port_faults import PORT_FAULTS


@pytest.mark.planted
@pytest.mark.parametrize("fault", CARRY_FAULTS)
def test_a_fault_of_what_is_carried_is_named_at_its_tap(
    run: DetectorComparison, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, name = CARRY_FAULTS[fault]
    port = TorchDetectorSide(run.config, "float64", is_narrow=True)
    plant(monkeypatch)
    assert where_it_starts(with_port(run, port, sizes=[(32, 64)]), "forward", "32x64") == name


def test_there_are_sixty_faults_at_least() -> None:
    conventions = [assignment for faults in CONVENTIONS.values() for assignment in faults]
    tables = (conventions, FORWARD, STATISTICS, PARAMETERS, KERAS_IO, PORT_FAULTS, CARRY_FAULTS)
    assert sum(map(len, tables)) >= 60
