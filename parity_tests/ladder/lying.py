"""Results of four axes and more that are no maps: shapes tell that they lie on both sides alike. Needs numpy alone."""

from collections.abc import Sequence

from parity_tests.sides.layouts import Layouts
from parity_tests.sides.side import ROOT, Call, Calls


def let_lie(layouts: Layouts, reference: Calls, port: Calls) -> dict[str, Sequence[int]]:
    """Have results of the port lie as the reference's where their shapes fit so, and not as the sides have their maps.

    Of modules within, rows that are taken for columns could look alike.

    Returns:
        The shapes of those, by name.
    """
    found = dict[str, Sequence[int]]()
    expected = reference.get(ROOT, Call()).outputs
    for place, values in port.get(ROOT, Call()).outputs.items():
        name, axes = ROOT + place, range(values.ndim)
        usual = layouts.tap(ROOT, name, values.ndim)
        alike = place in expected and values.shape == expected[place].shape
        if alike and values.shape != tuple(values.shape[axis] for axis in usual) and name not in layouts.table:
            layouts.table[name], found[name] = tuple(axes), values.shape
    return found
