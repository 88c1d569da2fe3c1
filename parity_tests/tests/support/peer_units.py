"""Units of ReLUs that a peer's run in float32 had on the other side of 0, as the page of peers lists them."""

from collections.abc import Sequence

from parity_tests.peers.recorded import Recorded
from parity_tests.peers.relus import Unit, compare_gradients, relu_inputs
from parity_tests.tests.support.pages import PAGES
from parity_tests.tests.support.peers import most_used
from torch_retinanet import RetinaNetDetector

ROWS_OF_UNITS = {line for line in PAGES["docs/peers.md"].splitlines() if line.startswith("| `")}
"""The rows of all tables of the page."""


def unit_rows(
    preset: str, recorded: Recorded, detector: RetinaNetDetector, size: tuple[int, int], units: Sequence[Unit]
) -> set[str]:
    """A row of a preset for each unit: its input in float64, and the largest difference of gradients without and with.

    Differences are shares of the budget. Masks are of float64, so that they are the same on every machine.
    """
    exact = relu_inputs(recorded, detector, size, "float64")
    together = _largest_share(recorded, detector, size, units)
    rows = set()
    for unit in units:
        without = _largest_share(recorded, detector, size, [other for other in units if other != unit])
        value, place = exact[unit.relu][unit.place].item(), " ".join(map(str, unit.place))
        at = f"| `{preset}` | {size[0]}x{size[1]} | {unit.relu} | {place} | {value:.0e} |"
        rows.add(f"{at} {without:.1f} | {together:.1f} |")
    return rows


def _largest_share(
    recorded: Recorded, detector: RetinaNetDetector, size: tuple[int, int], units: Sequence[Unit]
) -> float:
    return most_used(compare_gradients(recorded, detector, size, switched=units))[0]
