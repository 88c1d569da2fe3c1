"""Results that lie otherwise than the maps of their side, as their shapes tell. Needs numpy alone."""

from collections.abc import Iterator, Mapping, Sequence

from parity_tests.rule.record import Array
from parity_tests.sides.layouts import LAST_TO_SECOND, Layouts
from parity_tests.sides.side import ROOT, Call, Calls, input_names

SECOND = "one side has the channels of its steps second, and the other last"


def let_lie(layouts: Layouts, reference: Calls, port: Calls) -> dict[str, str]:
    """Have results of the port lie as the reference's where their shapes fit so, and not as the sides have their maps.

    Modules within whose kind tells nothing lie so where all that they take and give fits: of a convolution, rows that
    are taken for columns could look alike. Axes of length one tell nothing there: a convolution
    of one pixel has two of them more than a dense layer. Steps lie with their channels second where nothing else fits:
    within wherever it is so, and in what the model returns if what it takes is said to lie so.

    Returns:
        What is said of those, by name.
    """
    found = dict[str, str]()
    expected = reference.get(ROOT, Call()).outputs
    for place, values in port.get(ROOT, Call()).outputs.items():
        name, axes = ROOT + place, range(values.ndim)
        usual = layouts.tap(ROOT, name, values.ndim)
        alike = place in expected and values.shape == expected[place].shape
        if alike and values.shape != tuple(values.shape[axis] for axis in usual) and name not in layouts.table:
            layouts.table[name], found[name] = tuple(axes), _alike(values.shape)
        elif _are_exchanged(layouts, name, expected.get(place), values):
            layouts.table[name], found[name] = LAST_TO_SECOND, SECOND
    for name in [name for name in port if name in reference and name != ROOT]:
        arrays = dict(_arrays(name, reference[name])), dict(_arrays(name, port[name]))
        layouts.let_differ_by_ones(arrays[0].items(), arrays[1])
        if "#" not in name and name not in layouts.of_taps and _lie_alike(layouts, name, *arrays):
            layouts.flat.add(name)
            found[name] = _alike(max((values.shape for values in arrays[1].values()), key=len))
        elif "#" not in name and name not in layouts.exchanged and _fit_exchanged(*arrays):
            layouts.exchanged.add(name)
            found[name] = SECOND
    return found


def _alike(shape: Sequence[int]) -> str:
    return f"{shape} lies on both sides alike, and is taken for no map"


def _are_exchanged(layouts: Layouts, name: str, reference: Array | None, port: Array) -> bool:
    """Whether an output has its steps where the port's inputs are said to have theirs, and fits so alone."""
    said = [axes for of, axes in layouts.table.items() if of.partition(".")[0] == "input"]
    if LAST_TO_SECOND not in said or name in layouts.table or reference is None:
        return False
    return _fit_exchanged({name: reference}, {name: port})


def _fit_exchanged(reference: Mapping[str, Array], port: Mapping[str, Array]) -> bool:
    """Whether all arrays of steps that a module takes and gives have their channels elsewhere, as their shapes tell."""
    steps = [
        (values.shape, port[name].shape) for name, values in reference.items() if name in port and values.ndim == 3
    ]
    exchanged = [tuple(one[axis] for axis in LAST_TO_SECOND) == other for one, other in steps]
    return bool(steps) and all(exchanged) and any(one != other for one, other in steps)


def _lie_alike(layouts: Layouts, call: str, reference: Mapping[str, Array], port: Mapping[str, Array]) -> bool:
    """Whether what a module takes and gives has the shapes of the reference's as it is, and not as maps lie."""
    as_maps = {name: tuple(v.shape[axis] for axis in layouts.tap(call, name, v.ndim)) for name, v in port.items()}
    shapes = {name: values.shape for name, values in reference.items()}
    return shapes == {name: values.shape for name, values in port.items()} != as_maps


def _arrays(name: str, call: Call) -> Iterator[tuple[str, Array]]:
    """What goes into and out of a call, by name."""
    yield from zip(input_names(name, len(call.inputs)), call.inputs, strict=True)
    yield from ((name + place, values) for place, values in call.outputs.items())
