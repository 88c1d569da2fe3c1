"""The port to torch behind the interface of a side."""

import contextlib
import copy
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import torch_retinanet
from parity_tests.retinanet.inputs import Labels, Scene, Size
from parity_tests.retinanet.matching import Detections
from parity_tests.retinanet.optimizers import KERAS, Optimizer
from parity_tests.retinanet.rounding import rounding_bounds
from parity_tests.retinanet.side import Fed, ReadWhenAsked, Recipe
from parity_tests.rule.record import Array
from parity_tests.sides.sources import calling_line
from torch_retinanet.targets import Targets
from torch_retinanet.weights.keras_names import keras_name, keras_shape, keras_variables, to_keras, to_torch

Config = torch_retinanet.RetinaNetConfig
"""The conventions of the port."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}

NOT_COMPARED = "[counts steps for a cumulative average, which neither side has]"
"""Why `num_batches_tracked` has no counterpart in Keras."""

FLAT_TAPS = {"logits", "deltas", "outputs"}
"""Taps (B,N,values) that lie alike on both sides; all others are maps, (B,h,w,C) in Keras and (B,C,h,w) in torch."""


class TorchDetectorSide:
    """The port to torch in the conventions of a config, with fresh values.

    `optimizer_overrides` are conventions of the optimiser that are changed away from Keras'.
    """

    def __init__(
        self, config: Config, dtype: str, *, seed: int = 0, optimizer_overrides: Mapping[str, Any] | None = None
    ) -> None:
        self.dtype, self.optimizer_overrides = dtype, dict(optimizer_overrides or {})
        self.sources: dict[str, str] = {}
        self.surround(config)
        self.seed = seed
        self._assigned: dict[str, Array] = {}  # one for all copies that share the network

    @cached_property
    def _built(self) -> torch_retinanet.RetinaNet:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return torch_retinanet.RetinaNet(self.config).to(DTYPES[self.dtype])

    @property
    def model(self) -> torch_retinanet.RetinaNet:
        """The network with the weights that were assigned last."""
        self._catch_up()
        return self._built

    def _catch_up(self) -> None:
        """Put the weights that were assigned last into the network, where they are not yet."""
        if self._assigned:
            self._take_over(self._assigned)
            self._assigned.clear()

    def surround(self, config: Config) -> None:
        """Take the conventions of what surrounds the network, which stays as it is, from `config`."""
        self.config = config
        self.anchor_box, self.loss = torch_retinanet.AnchorBox(config), torch_retinanet.RetinaNetLoss(config)
        self.label_encoder = torch_retinanet.LabelEncoder(config)
        self.decode_predictions = torch_retinanet.DecodePredictions(config)

    def surrounded(self, config: Config) -> "TorchDetectorSide":
        """The same network, built and with its weights by then, in what surrounds it in `config`."""
        self._catch_up()
        assert self._built is not None, "a copy of one that is not built would build its own"
        other = copy.copy(self)
        other.surround(config)
        return other

    def variables(self) -> dict[str, Array]:
        return {name: value.numpy().copy() for name, value in keras_variables(self.model.state_dict()).items()}

    def inventory(self) -> dict[str, str]:
        network = self._built if "_built" in vars(self) else self._on_no_device
        return {name: keras_name(name) or NOT_COMPARED for name in network.state_dict()}

    def assign(self, variables: Mapping[str, Array]) -> None:
        self._assigned.update(variables)

    def _take_over(self, variables: Mapping[str, Array]) -> None:
        for name, tensor in self._built.state_dict().items():
            variable = variables.get(keras_name(name) or "")
            if variable is not None and _shape(tensor) == variable.shape:
                tensor.copy_(to_torch(torch.from_numpy(variable)))

    def release(self) -> None:
        vars(self).pop("_built", None)

    @cached_property
    def _on_no_device(self) -> torch_retinanet.RetinaNet:
        """The network without memory: torch's meta device knows shapes and types alone."""
        with torch.device("meta"):
            return torch_retinanet.RetinaNet(self.config).to(DTYPES[self.dtype])

    def shapes(self, size: Size) -> dict[str, Array]:
        taps, images = _Taps(self.sources), torch.empty((1, 3, *size), dtype=DTYPES[self.dtype], device="meta")
        with torch.no_grad(), contextlib.suppress(torch_retinanet.InputError):
            self._on_no_device.eval()(images, taps)
        return {name: _placeholder(value, name, self.dtype) for name, value in taps.data.items()}

    def forward(
        self, images: Array, *, given: Mapping[str, Array] | None = None, training: bool = False
    ) -> dict[str, Array]:
        taps = _Taps(self.sources) if given is None else _FedTaps(given, self.dtype, self.sources)
        with torch.no_grad(), contextlib.suppress(torch_retinanet.InputError):
            self.model.train(training)(_to_torch_layout(images, "images", self.dtype), taps)
        return {name: _from_torch_layout(value, name) for name, value in taps.data.items()}

    def rounding_bounds(self, images: Array, given: Mapping[str, Array]) -> dict[str, Array]:
        tensors = {name: _to_torch_layout(value, name, self.dtype) for name, value in given.items()}
        try:
            bounds = rounding_bounds(self.model.eval(), _to_torch_layout(images, "images", self.dtype), tensors)
        except NotImplementedError:  # a layer whose rounding is not known
            return {}
        return {name: _from_torch_layout(bound, name) for name, bound in bounds.items()}

    def anchors(self, size: Size) -> Array:
        return self._anchors(size).numpy()

    def targets(self, size: Size, boxes: Sequence[Array], labels: Sequence[Labels]) -> dict[str, Array]:
        targets = self._encode(size, boxes, labels)
        classes = targets.classes.to(DTYPES[self.dtype])
        return {"targets.classes": classes.numpy(), "targets.deltas": targets.deltas.numpy()}

    def losses(self, outputs: Array, targets: Mapping[str, Array]) -> dict[str, Array]:
        deltas, logits = torch.split(self._tensor(outputs), [4, self.config.num_classes], dim=-1)
        assigned = Targets(torch.from_numpy(targets["targets.classes"]).long(), self._tensor(targets["targets.deltas"]))
        anchors = deltas.new_zeros(deltas.shape[1], 4) + deltas.new_tensor([0, 0, 1, 1])  # deltas alone are compared
        pictures = [slice(i, i + 1) for i in range(len(outputs))]
        each = [self.loss(logits[i], deltas[i], Targets(*(t[i] for t in assigned)), anchors) for i in pictures]
        total = self._total(self.loss(logits, deltas, assigned, anchors))
        return {
            "loss.classification": torch.stack([losses["classification"] for losses in each]).numpy(),
            "loss.box": torch.stack([losses["bbox_regression"] for losses in each]).numpy(),
            "loss.normaliser": assigned.normaliser.to(deltas.dtype).numpy(),
            "loss.total": total.reshape(1).numpy(),
        }

    def gradients(self, scene: Scene, *, training: bool) -> dict[str, Array]:
        self.model.zero_grad()
        torch.autograd.backward(self._loss(scene, training=training))
        statistics = {name: value for name, value in self.model.named_buffers() if "running_" in name}
        copies = {name: value.numpy().copy() for name, value in keras_variables(statistics).items()}
        return self._weight_gradients() | copies

    def backward(self, scene: Scene, *, fed: Fed | None = None) -> dict[str, Array]:
        self.model.zero_grad()
        taps = _Nodes() if fed is None else _Leaves(fed.taps, self.dtype)
        images = _to_torch_layout(scene.images, "images", self.dtype)
        with contextlib.suppress(torch_retinanet.InputError):
            self.model.eval()(images, taps)
        loss = self.loss_of(scene)(taps["outputs"])
        if fed is None:
            torch.autograd.backward(loss)
        else:
            made = [name for name in taps.data if name in fed.gradients]
            upstream = [_to_torch_layout(fed.gradients[name], name, self.dtype) for name in made]
            torch.autograd.backward([*(taps.data[name] for name in made), loss], [*upstream, torch.ones_like(loss)])
        by_tap = {name: _gradient(node, name) for name, node in taps.nodes.items()}
        return by_tap | self._weight_gradients()

    def apply(self, gradients: Mapping[str, Array], factors: Sequence[float], recipe: Recipe) -> Mapping[str, Array]:
        optimizer = keras_optimizer(self.model, recipe, self.optimizer_overrides)
        given = self._parameter_gradients(gradients)
        for factor in factors:
            for name, parameter in self.model.named_parameters():
                parameter.grad = given[name] * factor if name in given else None
            optimizer.step()
        self.model.zero_grad()
        return ReadWhenAsked({name: partial(_read, value) for name, value in self._weights_and_slots(optimizer)})

    def _parameter_gradients(self, gradients: Mapping[str, Array]) -> dict[str, Tensor]:
        """Those that fit, by the names of the parameters and in their layout."""
        by_name = ((name, p, gradients.get(str(keras_name(name)))) for name, p in self.model.named_parameters())
        return {name: to_torch(self._tensor(g)) for name, p, g in by_name if g is not None and g.shape == _shape(p)}

    def train(self, scenes: Sequence[Scene], recipe: Recipe, *, training: bool) -> Array:
        optimizer, losses = keras_optimizer(self.model, recipe, self.optimizer_overrides), []
        for scene in scenes:
            loss = self._loss(scene, training=training)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.detach().numpy())
        optimizer.zero_grad()
        return np.array(losses)

    def detections(self, outputs: Array, size: Size) -> list[Detections]:
        deltas, logits = torch.split(self._tensor(outputs), [4, self.config.num_classes], dim=-1)
        per_level = self.anchor_box.anchors_per_level(*size)
        found = self.decode_predictions(logits, deltas, self._anchors(size), per_level, [size] * len(outputs))
        return [Detections(d["boxes"].numpy(), d["scores"].numpy(), d["labels"].numpy()) for d in found]

    def _weight_gradients(self) -> dict[str, Array]:
        """Those of the model, which lets go of them."""
        gradients = {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}
        self.model.zero_grad()
        return {name: value.numpy() for name, value in keras_variables(gradients).items()}

    def _loss(self, scene: Scene, *, training: bool) -> Tensor:
        outputs = self.model.train(training)(_to_torch_layout(scene.images, "images", self.dtype))
        return self.loss_of(scene)(outputs)

    def loss_of(self, scene: Scene) -> Callable[[Tensor], Tensor]:
        targets, anchors = self._encode(scene.size, scene.boxes, scene.labels), self._anchors(scene.size)

        def of_outputs(outputs: Tensor) -> Tensor:
            deltas, logits = torch.split(outputs, [4, self.config.num_classes], dim=-1)
            return self._total(self.loss(logits, deltas, targets, anchors))

        return of_outputs

    def _total(self, losses: Mapping[str, Tensor]) -> Tensor:
        return losses["classification"] + losses["bbox_regression"]

    def _encode(self, size: Size, boxes: Sequence[Array], labels: Sequence[Labels]) -> Targets:
        tensors = [self._tensor(b).reshape(-1, 4) for b in boxes]
        classes = [torch.from_numpy(np.asarray(ids, np.int64)) for ids in labels]
        return self.label_encoder.encode_batch(self._anchors(size), tensors, classes)

    def _anchors(self, size: Size) -> Tensor:
        return self.anchor_box.get_anchors(*size, dtype=DTYPES[self.dtype])

    def _weights_and_slots(self, optimizer: Optimizer) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self.model.named_parameters():
            yield str(keras_name(name)), parameter.detach()
        for name, slots in optimizer.slots().items():
            yield from ((f"{keras_name(name)}@{slot}", value) for slot, value in slots.items())

    def _tensor(self, values: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, self.dtype))


def keras_optimizer(model: nn.Module, recipe: Recipe, overrides: Mapping[str, Any]) -> Optimizer:
    """The optimiser of a recipe in Keras' conventions, with some of them changed, or settings of the recipe."""
    settings = {name: value for name, value in overrides.items() if name in recipe._fields}
    conventions = {name: value for name, value in overrides.items() if name not in settings}
    return Optimizer(model.named_parameters(), recipe._replace(**settings), replace(KERAS, **conventions))


class _Taps(UserDict[str, Tensor]):
    """Taps that remember which line made them."""

    def __init__(self, sources: dict[str, str]) -> None:
        super().__init__()
        self.sources = sources

    def __setitem__(self, name: str, value: Tensor) -> None:
        self.sources[name] = calling_line(2)
        super().__setitem__(name, value)


class _FedTaps(_Taps):
    """Taps that keep what the port computes and hand back what was given; its own where nothing was."""

    def __init__(self, given: Mapping[str, Array], dtype: str, sources: dict[str, str]) -> None:
        super().__init__(sources)
        self.given, self.dtype = given, dtype

    def __getitem__(self, name: str) -> Tensor:
        return _to_torch_layout(self.given[name], name, self.dtype) if name in self.given else super().__getitem__(name)


class _Nodes(UserDict[str, Tensor]):
    """Taps each of which is a node of its own, with a gradient of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.nodes:
            self.nodes[name] = self.data[name].view_as(self.data[name])
            self.nodes[name].retain_grad()
        return self.nodes[name]


class _Leaves(_Nodes):
    """Taps that keep what the port computes and hand back what was given, where the gradient ends."""

    def __init__(self, given: Mapping[str, Array], dtype: str) -> None:
        super().__init__()
        self.given, self.dtype = given, dtype

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.nodes and name in self.given:
            self.nodes[name] = _to_torch_layout(self.given[name], name, self.dtype).requires_grad_()
        return super().__getitem__(name)


def _gradient(node: Tensor, name: str) -> Array:
    gradient = torch.zeros_like(node) if node.grad is None else node.grad
    return _from_torch_layout(gradient, name)


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """That of a tensor of the model in Keras' layout."""
    return keras_shape(tuple(tensor.shape))


def _read(value: Tensor) -> Array:
    array: Array = to_keras(value).numpy()
    return array


def _to_torch_layout(values: Array, name: str, dtype: str) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype))
    return tensor if name in FLAT_TAPS else tensor.permute(0, 3, 1, 2).contiguous()


def _placeholder(value: Tensor, name: str, dtype: str) -> Array:
    """Zeros of the shape of a tensor in Keras' layout, without memory."""
    shape = value.shape if name in FLAT_TAPS else value.permute(0, 2, 3, 1).shape
    assert value.dtype == DTYPES[dtype]
    return np.broadcast_to(np.zeros((), dtype), tuple(shape))


def _from_torch_layout(value: Tensor, name: str) -> Array:
    return (value if name in FLAT_TAPS else value.permute(0, 2, 3, 1)).numpy()
