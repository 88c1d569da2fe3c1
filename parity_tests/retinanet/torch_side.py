"""The port to torch behind the interface of a side."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

import torch_retinanet
from parity_tests.retinanet.anchors import Changed
from parity_tests.retinanet.inputs import COLOURS, Batches, Scene, Size
from parity_tests.retinanet.narrow_torch import narrow_network
from parity_tests.retinanet.optimizers import KERAS, Optimizer
from parity_tests.retinanet.preparation import PictureSides
from parity_tests.retinanet.rounding import rounding_bounds
from parity_tests.retinanet.side import Recipe, values_of
from parity_tests.retinanet.torch_in_use import TorchInUse
from parity_tests.retinanet.torch_preparation import TorchPreparation
from parity_tests.retinanet.torch_surroundings import Config, TorchSurroundings, by_keras_name
from parity_tests.retinanet.trainer import Plan, drawn_gradients
from parity_tests.rule.record import Array
from parity_tests.sides.capture import Capture, WrittenTaps
from parity_tests.sides.layouts import Layouts, to_port, to_reference
from parity_tests.sides.own_taps import OwnTaps
from parity_tests.sides.side import Backward, Call, Calls, Loss
from parity_tests.sides.torch_side import TorchSide
from parity_tests.sides.torch_tensors import DTYPES, TorchTensors
from torch_retinanet.weights.keras_names import keras_name, keras_shape, to_keras, to_torch

if TYPE_CHECKING:
    from parity_tests.retinanet.torch_trainer import TorchTrainer

NUMPY = {torch.float32: np.float32, torch.float64: np.float64}

NOT_COMPARED = "counts steps for a cumulative average, which neither side has"
"""Why `num_batches_tracked` has no counterpart in Keras."""

OWN = OwnTaps(flat=("logits", "deltas", "outputs"), lasting=True, refusals=(torch_retinanet.InputError,))
"""How the port writes its taps."""

LAYOUTS = Layouts("channels_last", "channels_first", {}, OWN.flat)
"""How its taps lie beside those of the reference."""


class TorchDetectorSide(TorchInUse, TorchSurroundings):
    """The port to torch in the conventions of a config, with fresh values.

    `optimizer_overrides` are conventions of the optimiser that are changed away from Keras'.
    With `is_narrow`, it has a sixteenth of the channels; with `channels_last`, kernels and maps lie so in memory.
    """

    def __init__(
        self,
        config: Config,
        dtype: str,
        *,
        seed: int = 0,
        optimizer_overrides: Mapping[str, Any] | None = None,
        is_narrow: bool = False,
        channels_last: bool = False,
    ) -> None:
        super().__init__(config, dtype)
        self.optimizer_overrides = dict(optimizer_overrides or {})
        self.sources: dict[str, str] = {}
        self.seed, self.is_narrow = seed, is_narrow
        self._memory = torch.channels_last if channels_last else torch.preserve_format
        self._assigned: dict[str, Array] = {}  # one for all copies that share the network

    @property
    def _make(self) -> Callable[[Config], torch_retinanet.RetinaNet]:
        return narrow_network if self.is_narrow else torch_retinanet.RetinaNet

    @cached_property
    def _built(self) -> TorchSide:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            built = TorchSide(self._make(self.config), None, self.dtype, OWN)
        built.module.to(memory_format=self._memory)
        built.sources = self.sources
        return built

    @property
    def _network(self) -> TorchSide:
        """The network with the weights that were assigned last."""
        if self._assigned:
            self._take_over(self._assigned)
            self._assigned.clear()
        return self._built

    @property
    def model(self) -> Any:
        """The same as a module."""
        network: Any = self._network.module
        return network

    def surrounded(self, config: Config) -> "TorchDetectorSide":
        """The same network, built and with its weights by then, in what surrounds it in `config`."""
        self._network.module.eval()  # built by then: a copy of one that is not would build its own
        other = copy.copy(self)
        other.surround(config)
        vars(other).pop("narrow", None)
        return other

    @cached_property
    def narrow(self) -> "TorchDetectorSide":
        if self.is_narrow:
            return self
        overrides = self.optimizer_overrides
        return TorchDetectorSide(self.config, self.dtype, seed=self.seed, optimizer_overrides=overrides, is_narrow=True)

    def varied(
        self, num_classes: int, anchors: Changed, *, channels: int = COLOURS, channels_last: bool = False
    ) -> "TorchDetectorSide":
        config = replace(self.config, num_classes=num_classes, **anchors, **_of_channels(channels))
        return TorchDetectorSide(config, self.dtype, seed=self.seed, is_narrow=True, channels_last=channels_last)

    def parameters(self) -> dict[str, Array]:
        return by_keras_name(self.model.state_dict())

    def statistics(self) -> dict[str, Array]:
        return by_keras_name({n: t for n, t in self.model.state_dict().items() if "running_" in n})

    def inventory(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        network = self._built.module if "_built" in vars(self) else self._on_no_device
        named = {name: keras_name(name) for name in network.state_dict()}
        compared = {name: known for name, known in named.items() if known is not None}
        return compared, {name: NOT_COMPARED for name in named if name not in compared}

    def assign(self, parameters: Mapping[str, Array]) -> None:
        """Take them over as soon as they count; a changed port takes those that it has."""
        self._assigned.update(parameters)

    def _take_over(self, variables: Mapping[str, Array]) -> None:
        for name, tensor in self._built.module.state_dict().items():
            variable = variables.get(keras_name(name) or "")
            if variable is not None and _shape(tensor) == variable.shape:
                tensor.copy_(to_torch(torch.from_numpy(variable)))

    def release(self) -> None:
        for name in ("_built", "narrow"):
            vars(self).pop(name, None)

    @cached_property
    def _on_no_device(self) -> torch_retinanet.RetinaNet:
        """The network without memory: torch's meta device knows shapes and types alone."""
        with torch.device("meta"):
            return self._make(self.config).to(DTYPES[self.dtype])

    def shapes(self, size: Size) -> dict[str, Array]:
        capture = Capture(NoValues(self.dtype), None)
        taps = WrittenTaps(capture, None)
        with torch.no_grad(), contextlib.suppress(*OWN.refusals):
            self._on_no_device.eval()(torch.empty((1, 3, *size), dtype=DTYPES[self.dtype], device="meta"), taps)
        self.sources |= taps.lines
        return values_of(_mapped(capture.calls, _to_reference))

    def forward(self, inputs: Sequence[Array], *, fed: Calls | None = None, training: bool = False) -> Calls:
        with torch.no_grad():
            calls = self._network.forward(_to_port_inputs(inputs), fed=_fed(fed), training=training)
        return _mapped(calls, _to_reference)

    def backward(
        self,
        inputs: Sequence[Array],
        loss: Loss | Mapping[str, Array],
        *,
        fed: Calls | None = None,
        training: bool = False,
    ) -> Backward:
        start = loss if callable(loss) else {name: _to_port(name, seed) for name, seed in loss.items()}
        back = self._network.backward(_to_port_inputs(inputs), start, fed=_fed(fed), training=training)
        own = dict(back.gradients)
        back = replace(back, calls=_mapped(back.calls, _to_reference), gradients={})
        gradients = {str(keras_name(name)): _in_keras(own.pop(name)) for name in [*own]}  # each is let go as it is
        return replace(back, gradients=gradients)

    def rounding_bounds(self, images: Array, given: Mapping[str, Array], dtype: str = "float32") -> dict[str, Array]:
        tensors = {name: self.tensor(_to_port(name, value)) for name, value in given.items()}
        try:
            bounds = rounding_bounds(self.model.eval(), self.tensor(_to_port("images", images)), tensors, dtype)
        except NotImplementedError:  # a layer whose rounding is not known
            return {}
        return {name: _to_reference(name, bound.numpy()) for name, bound in bounds.items()}

    def take_steps(
        self, gradients: Mapping[str, Array], factors: Sequence[float], recipe: Recipe
    ) -> Mapping[str, Array]:
        optimizer = keras_optimizer(self.model, recipe, self.optimizer_overrides)
        given = self._parameter_gradients(gradients)
        for factor in factors:
            for name, parameter in self.model.named_parameters():
                parameter.grad = given[name] * factor if name in given else None
            optimizer.step()
        self.model.zero_grad()
        return {name: _read(value).copy() for name, value in self._weights_and_slots(optimizer)}

    def _parameter_gradients(self, gradients: Mapping[str, Array]) -> dict[str, Tensor]:
        """Those that fit, by the names of the parameters and in their layout."""
        by_name = ((name, p, gradients.get(str(keras_name(name)))) for name, p in self.model.named_parameters())
        return {name: to_torch(self.tensor(g)) for name, p, g in by_name if g is not None and g.shape == _shape(p)}

    def train_on(self, scenes: Sequence[Scene], recipe: Recipe, *, training: bool) -> Array:
        optimizer, losses = keras_optimizer(self.model, recipe, self.optimizer_overrides), []
        for scene in scenes:
            loss = self._loss(scene, training=training)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.detach().numpy())
        optimizer.zero_grad()
        return np.array(losses)

    def trained_with(self, plan: Plan, shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, Array]:
        return self._trainer(plan).given(lambda *at: self._parameter_gradients(drawn_gradients(shapes, *at)))

    def trained_on(self, plan: Plan, scenes: Batches, sides: PictureSides) -> Mapping[str, Array]:
        return self._trainer(plan).on(scenes, sides)

    def _trainer(self, plan: Plan) -> "TorchTrainer":
        from parity_tests.retinanet.torch_trainer import TorchTrainer  # the trainer is in the extra `train`

        return TorchTrainer(self.config, self.model, plan)

    def preparation(self, sides: PictureSides | None = None) -> TorchPreparation:
        return TorchPreparation(self.config, self.model, sides)

    def _loss(self, scene: Scene, *, training: bool) -> Tensor:
        outputs = self.model.train(training)(self.tensor(_to_port("images", scene.images)))
        return self.loss_of(scene)(outputs)

    def _weights_and_slots(self, optimizer: Optimizer) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self.model.named_parameters():
            yield str(keras_name(name)), parameter.detach()
        for name, slots in optimizer.slots().items():
            yield from ((f"{keras_name(name)}@{slot}", value) for slot, value in slots.items())


def keras_optimizer(model: nn.Module, recipe: Recipe, overrides: Mapping[str, Any]) -> Optimizer:
    """The optimiser of a recipe in Keras' conventions, with some of them changed, or settings of the recipe."""
    settings = {name: value for name, value in overrides.items() if name in recipe._fields}
    conventions = {name: value for name, value in overrides.items() if name not in settings}
    return Optimizer(model.named_parameters(), recipe._replace(**settings), replace(KERAS, **conventions))


class NoValues(TorchTensors):
    """Tensors of torch's meta device, of which shapes and types alone are known."""

    def array(self, tensor: Tensor) -> Array:
        assert tensor.dtype == self.dtype
        return np.broadcast_to(np.zeros((), NUMPY[self.dtype]), tuple(tensor.shape))


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """That of a tensor of the model in Keras' layout."""
    return keras_shape(tuple(tensor.shape))


def _read(value: Tensor) -> Array:
    array: Array = to_keras(value).numpy()
    return array


def _in_keras(values: Array) -> Array:
    """A parameter of the port in Keras' layout."""
    return _read(torch.from_numpy(values))


def _to_port(name: str, values: Array) -> Array:
    return to_port(name, values, LAYOUTS.tap(name, name, values.ndim))


def _to_reference(name: str, values: Array) -> Array:
    return to_reference(values, LAYOUTS.tap(name, name, values.ndim))


def _to_port_inputs(inputs: Sequence[Array]) -> list[Array]:
    return [_to_port("images", images) for images in inputs]


def _fed(calls: Calls | None) -> Calls | None:
    return None if calls is None else _mapped(calls, _to_port)


def _mapped(calls: Calls, change: Callable[[str, Array], Array]) -> dict[str, Call]:
    """Calls with every array by a tap changed."""
    return {
        name: Call(
            outputs={place: change(name, values) for place, values in call.outputs.items()},
            output_gradients={place: change(name, values) for place, values in call.output_gradients.items()},
        )
        for name, call in calls.items()
    }


def _of_channels(channels: int) -> dict[str, Any]:
    """The fields of a config for pictures of so many channels; the network alone is fed, whatever their scale."""
    if channels == COLOURS:
        return {}
    return {
        "in_channels": channels,
        "channel_order": "rgb",
        "pixel_mean": (0.0,) * channels,
        "pixel_std": (1.0,) * channels,
    }
