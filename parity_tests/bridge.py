"""The only room that knows both wings: the Keras reference and its port to torch behind one interface.

Both sides take and give numpy arrays, channels last, and variables by Keras name, so that what compares them needs to
know neither framework. Weights go to torch through the converter that users have.
"""

import contextlib
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

import torch_retinanet
from parity_tests.compare import Array
from parity_tests.errors import InputError
from parity_tests.inputs import Size, random_variables, size_name
from torch_retinanet.weights import read_weights, whole_file
from torch_retinanet.weights.contents import check_numpy, expected_shapes
from torch_retinanet.weights.keras_names import keras_name, keras_shape, keras_variables, to_keras, to_torch

FLAT_TAPS = {"logits", "deltas", "outputs"}
"""Taps (B,N,values) that lie alike on both sides; all others are maps, (B,h,w,C) in Keras and (B,C,h,w) in torch."""

Config = torch_retinanet.RetinaNetConfig
"""The conventions of the port."""

written_beside = whole_file.written_beside

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Hold back what TensorFlow's libraries say to the terminal as they load; it is shown if loading fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if sys.stderr is None:  # the command was started with standard error closed
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


torch.cuda.is_available()  # asked after tensorflow has looked for devices, torch warns where there is none

with _quiet_start():
    import keras
    import tensorflow

    import keras_reference
    from keras_reference.taps import Taps

    keras.ops.zeros(())

if keras.config.image_data_format() != "channels_last":
    raise InputError("image_data_format: Keras is configured for channels first, and the reference is channels last")

REFERENCES: dict[str, Callable[[int], keras.Model]] = {
    "notebook": lambda num_classes: keras_reference.RetinaNet(
        num_classes, keras_reference.get_backbone((None, None, 3))
    ),
}
"""How the Keras reference of each preset is built, for pictures of any size."""

INPUT_ERRORS = (InputError, torch_retinanet.InputError, keras_reference.InputError)
"""What either side raises for wrong input."""

FRAMEWORK_ERRORS = (RuntimeError, MemoryError, tensorflow.errors.OpError)
"""What either side raises where it cannot compute, for want of memory or of a kernel."""


class Side(Protocol):
    """One of the two implementations, in one precision."""

    def variables(self) -> dict[str, Array]:
        """All weights and statistics by Keras name, in Keras' layout; a copy."""

    def assign(self, variables: Mapping[str, Array]) -> None:
        """Take the variables over; a turned port takes those that it has, and `variables()` shows the rest."""

    def forward(
        self, images: Array, *, given: Mapping[str, Array] | None = None, training: bool = False
    ) -> dict[str, Array]:
        """Every tap of `images` (B,H,W,3), channels last; up to where the model refuses the images, if it does.

        With `given`, each module is fed the taps given instead of its own, and the result holds what it makes of them.
        """


class KerasSide:
    """The Keras reference of a preset with fresh values."""

    def __init__(self, preset: str, num_classes: int, dtype: str, *, seed: int = 0) -> None:
        self.dtype = dtype
        with _keras_precision(dtype), _python_seed(seed):
            self.model = REFERENCES[preset](num_classes)
            self.model(np.zeros((1, 64, 64, 3), dtype))

    def variables(self) -> dict[str, Array]:
        return {name: keras.ops.convert_to_numpy(variable) for name, variable in self._by_name().items()}

    def assign(self, variables: Mapping[str, Array]) -> None:
        named = self._by_name()
        assert named.keys() == variables.keys(), "the reference takes every variable over"
        for name, variable in named.items():
            variable.assign(variables[name])

    def forward(
        self, images: Array, *, given: Mapping[str, Array] | None = None, training: bool = False
    ) -> dict[str, Array]:
        taps = Taps() if given is None else _FedTaps(given, self.dtype)
        with _keras_precision(self.dtype), contextlib.suppress(keras_reference.InputError):
            self.model(images.astype(self.dtype), training=training, taps=taps)
        return {name: keras.ops.convert_to_numpy(value) for name, value in taps.data.items()}

    def _by_name(self) -> dict[str, Any]:
        fpn = self.model.fpn
        layers = {f"fpn/backbone/{layer.name}": layer for layer in fpn.backbone.layers}
        layers |= {f"fpn/{name}": layer for name, layer in vars(fpn).items() if name.startswith("conv_c")}
        for head in ("cls_head", "box_head"):
            layers |= {f"{head}/{i}": layer for i, layer in enumerate(getattr(self.model, head).layers)}
        named = {f"{name}/{v.name}": v for name, layer in layers.items() for v in layer.variables}
        assert len(named) == len(self.model.variables), "every variable of the reference has a name"
        return named


class TorchSide:
    """The port to torch in the conventions of a config, with fresh values."""

    def __init__(self, config: Config, dtype: str, *, seed: int = 0) -> None:
        self.dtype = dtype
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = torch_retinanet.RetinaNet(config).to(DTYPES[dtype])

    def variables(self) -> dict[str, Array]:
        return {name: value.numpy().copy() for name, value in keras_variables(self.model.state_dict()).items()}

    def assign(self, variables: Mapping[str, Array]) -> None:
        state = self.model.state_dict()
        for name, tensor in state.items():
            variable = variables.get(keras_name(name) or "")
            if variable is not None and to_keras(tensor).shape == variable.shape:
                state[name] = to_torch(torch.from_numpy(variable)).to(tensor)
        self.model.load_state_dict(state)

    def forward(
        self, images: Array, *, given: Mapping[str, Array] | None = None, training: bool = False
    ) -> dict[str, Array]:
        taps: dict[str, Tensor] = {} if given is None else _FedDict(given, self.dtype)
        with torch.no_grad(), contextlib.suppress(torch_retinanet.InputError):
            self.model.train(training)(_to_torch_layout(images, "images", self.dtype), taps)
        return {name: _from_torch_layout(value, name) for name, value in taps.items()}


class _FedTaps(Taps):
    """Taps that keep what the reference computes and hand back what was given."""

    def __init__(self, given: Mapping[str, Array], dtype: str) -> None:
        super().__init__()
        self.given, self.dtype = given, dtype

    def __getitem__(self, name: str) -> Any:
        return keras.ops.convert_to_tensor(self.given[name], self.dtype)


class _FedDict(dict[str, Tensor]):
    """Taps that keep what the port computes and hand back what was given; its own where nothing was."""

    def __init__(self, given: Mapping[str, Array], dtype: str) -> None:
        super().__init__()
        self.given, self.dtype = given, dtype

    def __getitem__(self, name: str) -> Tensor:
        return _to_torch_layout(self.given[name], name, self.dtype) if name in self.given else super().__getitem__(name)


def build_sides(preset: str, config: Config, dtype: str) -> tuple[Side, Side]:
    """The reference of `preset` and the port in the conventions of `config`, with fresh values."""
    return KerasSide(preset, config.num_classes, dtype), TorchSide(config, dtype)


def prepare(preset: str, weights: Path | None = None, sizes: Sequence[Size] = ()) -> tuple[Config, dict[str, Array]]:
    """Config of a preset and variables by Keras name, from a weights file of either framework or random.

    Raises:
        InputError: for a preset without a reference, sizes that it refuses, or a file that holds something else.
    """
    config = Config.preset(preset)
    if preset not in REFERENCES:
        raise InputError(f"--preset: {preset!r} has no Keras reference; there is one for {', '.join(REFERENCES)}")
    if refused := [size for size in sizes if any(side % 32 for side in size)]:
        raise InputError(f"--sizes: {size_name(refused[0])} does not divide by 32, which preset {preset} needs")
    if weights is not None:
        return _read_variables(weights, preset)
    shapes = {key: keras_shape(shape) for name, shape in expected_shapes(config).items() if (key := keras_name(name))}
    return config, random_variables(shapes)


def turn(config: Config, assignments: Sequence[str]) -> Config:
    """`config` with conventions turned, each written as `p7_relu=before`."""
    for assignment in assignments:
        config = config.with_convention(assignment)
    return config


def _read_variables(path: Path, preset: str) -> tuple[Config, dict[str, Array]]:
    contents = read_weights(path, preset=preset)
    if contents.part != "model":
        raise InputError(f"--weights: {path} holds a {contents.part} alone, and a whole model is compared")
    variables = keras_variables(contents.tensors)
    check_numpy(str(path), variables)
    if broken := [name for name, tensor in variables.items() if not tensor.isfinite().all()]:
        raise InputError(f"--weights: {path} holds NaN or infinite values in {broken[0]}, and all must be finite")
    return contents.config, {name: tensor.numpy() for name, tensor in variables.items()}


def _to_torch_layout(values: Array, name: str, dtype: str) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype))
    return tensor if name in FLAT_TAPS else tensor.permute(0, 3, 1, 2).contiguous()


def _from_torch_layout(value: Tensor, name: str) -> Array:
    return (value if name in FLAT_TAPS else value.permute(0, 2, 3, 1)).numpy()


@contextlib.contextmanager
def _keras_precision(dtype: str) -> Iterator[None]:
    """Keras' default precision, which `keras.applications` takes, for a while; Keras keeps it in two places."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def _python_seed(seed: int) -> Iterator[None]:
    """Python's own generator, from which Keras' initializers draw their seeds, seeded for a while."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
