"""Results that lie otherwise than the maps of their side, as their shapes tell. Needs numpy alone."""

from collections.abc import Iterator, Sequence

from parity_tests.rule.record import Array
from parity_tests.sides.layouts import Layouts
from parity_tests.sides.side import ROOT, Call, Calls, input_names


def let_lie(layouts: Layouts, reference: Calls, port: Calls) -> dict[str, Sequence[int]]:
    """Have results of the port lie as the reference's where their shapes fit so, and not as the sides have their maps.

    Of modules within, rows that are taken for columns could look alike. Axes of length one tell nothing there: a
    convolution of one pixel has two of them more than a dense layer.

    Returns:
        The shapes of outputs, by name.
    """
    found = dict[str, Sequence[int]]()
    expected = reference.get(ROOT, Call()).outputs
    for place, values in port.get(ROOT, Call()).outputs.items():
        name, axes = ROOT + place, range(values.ndim)
        usual = layouts.tap(ROOT, name, values.ndim)
        alike = place in expected and values.shape == expected[place].shape
        if alike and values.shape != tuple(values.shape[axis] for axis in usual) and name not in layouts.table:
            layouts.table[name], found[name] = tuple(axes), values.shape
    for name in [name for name in port if name in reference and name != ROOT]:
        layouts.let_differ_by_ones(_arrays(name, reference[name]), dict(_arrays(name, port[name])))
    return found


def _arrays(name: str, call: Call) -> Iterator[tuple[str, Array]]:
    """What goes into and out of a call, by name."""
    yield from zip(input_names(name, len(call.inputs)), call.inputs, strict=True)
    yield from ((name + place, values) for place, values in call.outputs.items())
