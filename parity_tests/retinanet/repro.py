"""The first module of the network that differs, cut out: what it is fed, both weights, and a script that runs it.

The script builds both networks and feeds each module what the reference made before it; only the weights of the module
itself count then. It needs both packages of models, and nothing of this one.
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from parity_tests.retinanet.comparison import DetectorComparison
from parity_tests.retinanet.names import taps_of
from parity_tests.retinanet.side import values_of
from parity_tests.retinanet.torch_side import TorchDetectorSide
from parity_tests.retinanet.torch_surroundings import Config
from parity_tests.rule.files import atomic_write
from parity_tests.rule.record import Array, Record
from torch_retinanet.weights.keras_names import keras_name

NOTHING = "repro: no module that both networks have differs by itself in float64; nothing was written"


def module_that_differs(records: Sequence[Record]) -> Record | None:
    """The record of the first module that makes something else of what the reference's is given, in float64."""
    alone = [r for r in records if (r.rung, r.where.dtype, r.where.mode) == ("forward", "float64", "isolated")]
    made = (r for r in alone if r.reference_shape is not None and r.port_shape is not None)
    return next((record for record in made if record.verdict == "different"), None)


def write_detector_repro(run: DetectorComparison, record: Record, folder: Path, overrides: Sequence[str] = ()) -> str:
    """Write `repro.py` and `given.npz`, and say what was cut out.

    Args:
        run: the comparison, whose sides are built anew where they were let go.
        record: that of the module.
        folder: where to write.
        overrides: the conventions that were changed in the port.

    Raises:
        OSError: where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "given.npz") as beside, beside.open("wb") as file:
        np.savez(file, allow_pickle=False, **_given(run, record))
    script = SCRIPT.format(
        name=record.name,
        reason=record.reason,
        where=record.where.text,
        preset=run.preset,
        classes=run.config.num_classes,
        changed="".join(f".with_convention({each!r})" for each in overrides if _is_of_network(each)),
    )
    with atomic_write(folder / "repro.py") as beside:
        beside.write_text(script, encoding="utf-8")
    return f"repro: {record.name} by itself is in {folder.name}/repro.py, with what it is fed"


def _is_of_network(override: str) -> bool:
    return override.partition("=")[0] in {field.name for field in fields(Config)}


def _given(run: DetectorComparison, record: Record) -> dict[str, Array]:
    """Pictures, the reference's taps up to the module's own, and the weights of the module as each side has them."""
    size, port = record.where.size, run.sides.port("float64")
    assert size is not None
    assert isinstance(port, TorchDetectorSide)
    images = run.inputs.images(size)
    taps = values_of(run.sides.reference("float64").forward([images]))
    names = list(taps)[: list(taps).index(record.name) + 1]
    weights = {n: v for n, v in run.sides.reference("float64").parameters().items() if _makes(n, record.name)}
    own = {n: v for n, v in port.model.state_dict().items() if _makes(keras_name(n) or "", record.name)}
    return {
        "images": images.astype(np.float64),
        **{f"tap {name}": taps[name] for name in names},
        **{f"reference {name}": value for name, value in weights.items()},
        **{f"port {name}": value.numpy() for name, value in own.items()},
    }


def _makes(variable: str, tap: str) -> bool:
    """Whether a variable, by its Keras name, belongs to what makes a tap."""
    layer = variable.rpartition("/")[0]
    return tap in taps_of(layer.removesuffix("_bn") + "_conv" if layer.endswith("_bn") else layer)


SCRIPT = '''"""{name} at {where}: {reason}."""

from pathlib import Path

import keras_reference
import keras
import numpy as np
import torch
from torch_retinanet import RetinaNet, RetinaNetConfig

given = np.load(Path(__file__).with_name("given.npz"))
taps = {{key[4:]: given[key] for key in given if key.startswith("tap ")}}


class Fed(dict):
    """Keeps what a network makes at each tap, and lets it go on with what the reference made there."""

    def __getitem__(self, tap):
        return self.fed[tap] if tap in self.fed else super().__getitem__(tap)


keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
config = keras_reference.RetinaNetConfig.{preset}({classes})
reference = keras_reference.RetinaNet(config, keras_reference.get_backbone((None, None, 3)))
reference.build((None, None, None, 3))


def layer_of(name):
    first, second, *others = name.split("/")
    if second == "backbone":
        return reference.fpn.backbone.get_layer(others[0])
    return getattr(reference.fpn, second) if first == "fpn" else getattr(reference, first).layers[int(second)]


for key in given:
    if key.startswith("reference "):
        [variable] = [v for v in layer_of(key[10:]).variables if v.name == key.rpartition("/")[2]]
        variable.assign(given[key])
made = Fed()
made.fed = {{tap: keras.ops.convert_to_tensor(value) for tap, value in taps.items()}}
reference(given["images"], taps=made)
reference_makes = keras.ops.convert_to_numpy(dict.__getitem__(made, "{name}"))

config = RetinaNetConfig.preset("{preset}", num_classes={classes}){changed}
port = RetinaNet(config).double().eval()
weights = {{key[5:]: torch.from_numpy(given[key]) for key in given if key.startswith("port ")}}
port.load_state_dict(weights, strict=False)


def channels_first(value):
    return torch.from_numpy(value.transpose(0, 3, 1, 2) if value.ndim == 4 else value)


made = Fed()
made.fed = {{tap: channels_first(value) for tap, value in taps.items()}}
with torch.no_grad():
    port(channels_first(given["images"]), taps=made)
port_makes = dict.__getitem__(made, "{name}").numpy()
port_makes = port_makes.transpose(0, 2, 3, 1) if port_makes.ndim == 4 else port_makes

difference = np.abs(reference_makes - port_makes).max() if reference_makes.shape == port_makes.shape else np.inf
print(f"largest difference {{difference:.1e}}, of values up to {{np.abs(reference_makes).max():.1e}}")
'''
"""What runs the module; names in braces are filled in."""
