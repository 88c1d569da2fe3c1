"""The first module that differs, cut out: what it is given, both weights, and a script that runs it by itself.

The script needs the frameworks and numpy, and nothing of this package.
"""

from pathlib import Path

import numpy as np

from parity_tests.ladder.comparison import Comparison
from parity_tests.rule.divergence import divergence
from parity_tests.rule.files import atomic_write
from parity_tests.rule.record import SIDES, Array, Record
from parity_tests.rule.result import Result
from parity_tests.sides.adapters import KerasModel, TorchModule
from parity_tests.sides.made import UNKNOWN, made_of
from parity_tests.sides.names import is_within
from parity_tests.sides.side import tap_of


def write_repro(two: Comparison, result: Result, folder: Path) -> str:
    """Write `repro.py` and `given.npz`, and say what was cut out, or why nothing was.

    Raises:
        OSError: where the folder cannot be written.
    """
    record = _first_module(two, result)
    if record is None:
        return "repro: no module that both sides have differs by itself; nothing was written"
    tap = tap_of(record.name)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "given.npz") as beside, beside.open("wb") as file:
        np.savez(file, allow_pickle=False, **_given(two, tap))
    script = _script(two, tap, record)
    with atomic_write(folder / "repro.py") as beside:
        beside.write_text(script, encoding="utf-8")
    lacks = f"; put your own model's module where it has {UNKNOWN}" if UNKNOWN in script else ""
    return f"repro: {tap} by itself is in {folder.name}/repro.py, with what it is given{lacks}"


def _first_module(two: Comparison, result: Result) -> Record | None:
    """The first module that makes something else of what the reference's is given, in float64."""
    parting = divergence(result.records)
    adapters = (two.reference, two.port)
    if parting is None or not all(isinstance(a, (TorchModule, KerasModel)) and not a.writes_taps for a in adapters):
        return None
    calls = two.reference_calls(two.sides, "float64")
    alone = [r for r in parting.origins if (r.rung, r.where.dtype, r.where.mode) == ("forward", "float64", "isolated")]
    return next((r for r in alone if r.name in calls and tap_of(r.name) in two.paths[0]), None)


def _given(two: Comparison, tap: str) -> dict[str, Array]:
    """What both are given and have, each as it lies on its side; names of weights are those within the module."""
    call = two.reference_calls(two.sides, "float64")[tap]
    inputs = {"reference": call.inputs, "port": two.to_port({tap: call})[tap].inputs}
    sides = {"reference": two.sides.reference("float64"), "port": two.sides.port("float64")}
    found: dict[str, Array] = {}
    for name, path in zip(SIDES, (two.paths[0][tap], two.paths[1][tap]), strict=True):
        found |= {f"{name} input {i}": values for i, values in enumerate(inputs[name])}
        of_module = {n: v for n, v in sides[name].parameters().items() if is_within(n, path)}
        found |= {f"{name} {n[len(path) + 1 :]}": value for n, value in of_module.items()}
    return found


def _script(two: Comparison, tap: str, record: Record) -> str:
    adapters, paths = (two.reference, two.port), (two.paths[0][tap], two.paths[1][tap])
    frameworks = ["torch" if isinstance(adapter, TorchModule) else "keras" for adapter in adapters]
    made = [made_of(adapter, path) for adapter, path in zip(adapters, paths, strict=True)]
    axes = two.layouts.tap(tap, tap, len(record.reference_shape or ()))
    lines = [
        f'"""{tap}: {record.reason}."""',
        "",
        "from pathlib import Path",
        "",
        *(["import keras"] if "keras" in frameworks else []),
        "import numpy as np",
        *(["import torch", "from torch import nn"] if "torch" in frameworks else []),
        *dict.fromkeys(each.imports for each in made if each.imports),
        "",
        'given = np.load(Path(__file__).with_name("given.npz"))',
    ]
    for name, framework, each in zip(SIDES, frameworks, made, strict=True):
        lines += ["", *RUN[framework].format(name=name, made=each.expression).splitlines()]
    lines += [
        "",
        f"difference = np.abs(reference_makes - port_makes.transpose({axes})).max()",
        'print(f"largest difference {difference:.1e}, of values up to {np.abs(reference_makes).max():.1e}")',
        "",
    ]
    return "\n".join(lines)


RUN = {
    "torch": """\
{name} = {made}
{name}.double().eval()
weights = {{key: given[f"{name} {{key}}"] for key in {name}.state_dict() if f"{name} {{key}}" in given}}
{name}.load_state_dict({{key: torch.from_numpy(value) for key, value in weights.items()}}, strict=False)
inputs = [torch.from_numpy(given[key]) for key in given if key.startswith("{name} input ")]
{name}_makes = {name}(*inputs).detach().numpy()""",
    "keras": """\
keras.config.set_floatx("float64")
{name} = {made}
inputs = [given[key] for key in given if key.startswith("{name} input ")]
{name}(*inputs)  # which builds it
for variable in {name}.variables:
    if f"{name} {{variable.name}}" in given:
        variable.assign(given[f"{name} {{variable.name}}"])
{name}_makes = keras.ops.convert_to_numpy({name}(*inputs))""",
}
"""How each framework runs a module; the precision is float64."""
