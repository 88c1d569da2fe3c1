"""Results that lie otherwise than the maps of their side, as their shapes tell. Needs numpy alone."""

from collections.abc import Iterator, Mapping, Sequence

from parity_tests.rule.record import Array
from parity_tests.sides.layouts import Layouts
from parity_tests.sides.side import ROOT, Call, Calls, input_names


def let_lie(layouts: Layouts, reference: Calls, port: Calls) -> dict[str, Sequence[int]]:
    """Have results of the port lie as the reference's where their shapes fit so, and not as the sides have their maps.

    Modules within whose kind tells nothing lie so where all that they take and give fits: of a convolution, rows that
    are taken for columns could look alike. Axes of length one tell nothing there: a convolution
    of one pixel has two of them more than a dense layer.

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
    for name in [name for name in port if name in reference and name != ROOT]:
        arrays = dict(_arrays(name, reference[name])), dict(_arrays(name, port[name]))
        layouts.let_differ_by_ones(arrays[0].items(), arrays[1])
        if "#" not in name and name not in layouts.of_taps and _lie_alike(layouts, name, *arrays):
            layouts.flat.add(name)
            found[name] = max((values.shape for values in arrays[1].values()), key=len)
    return found


def _lie_alike(layouts: Layouts, call: str, reference: Mapping[str, Array], port: Mapping[str, Array]) -> bool:
    """Whether what a module takes and gives has the shapes of the reference's as it is, and not as maps lie."""
    as_maps = {name: tuple(v.shape[axis] for axis in layouts.tap(call, name, v.ndim)) for name, v in port.items()}
    shapes = {name: values.shape for name, values in reference.items()}
    return shapes == {name: values.shape for name, values in port.items()} != as_maps


def _arrays(name: str, call: Call) -> Iterator[tuple[str, Array]]:
    """What goes into and out of a call, by name."""
    yield from zip(input_names(name, len(call.inputs)), call.inputs, strict=True)
    yield from ((name + place, values) for place, values in call.outputs.items())
