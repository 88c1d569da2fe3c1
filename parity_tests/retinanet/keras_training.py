"""Gradients, single steps and training runs of the Keras reference, each traced once by TensorFlow and run again."""

import gc
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow

from parity_tests.retinanet.frameworks import Taps, forget_kernels, keras
from parity_tests.retinanet.side import Fed, Recipe
from parity_tests.rule.record import Array

tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
# Graphs are run as they are traced: rewriting one takes longer than the few times it is run, and is one step less sure.

OPTIMIZERS = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}


class KerasTraining:
    """Trains one model with one loss."""

    def __init__(self, model: Any, loss: Any) -> None:
        self.model, self.loss = model, loss
        self._gradients = tensorflow.function(self.gradients_once, autograph=False)
        self._runs: dict[Recipe, tuple[Any, Any]] = {}

    def gradients(self, images: Any, labels: Any, *, training: bool) -> tuple[Any, list[Any]]:
        """The loss of a batch, and its gradients in the order of the model's trainable variables."""
        loss, gradients = self._gradients(images, labels, training)
        return loss, gradients

    def backward(self, images: Any, labels: Any, fed: Fed | None) -> tuple[dict[str, Any], list[Any]]:
        """The gradient of a batch's loss by every tap, and by the trainable variables; see `Side.backward`."""
        variables = self.model.trainable_variables
        with tensorflow.GradientTape() as tape:
            taps = _KerasNodes() if fed is None else _KerasLeaves(fed.taps, tape)
            self.model(images, training=False, taps=taps)
            loss = self.loss(labels, taps["outputs"])
        made = [] if fed is None else [name for name in taps.data if name in fed.gradients]
        upstream = [keras.ops.convert_to_tensor(fed.gradients[name]) for name in made] if fed else []
        gradients = tape.gradient(
            [*(taps.data[name] for name in made), loss],
            [*taps.nodes.values(), *variables],
            output_gradients=[*upstream, keras.ops.ones_like(loss)],
            unconnected_gradients="zero",
        )
        return dict(zip(taps.nodes, gradients, strict=False)), gradients[len(taps.nodes) :]

    def apply(
        self, gradients: Sequence[Array], names: Sequence[str], factors: Sequence[float], recipe: Recipe
    ) -> dict[str, Any]:
        """Weights and slots after steps with gradients times each factor; names are of the trainable variables."""
        optimizer = _optimizer(recipe)
        for factor in factors:
            scaled = [keras.ops.convert_to_tensor(values * factor) for values in gradients]
            optimizer.apply(scaled, self.model.trainable_variables)
        return dict(zip(names, self.model.trainable_variables, strict=True)) | self._slots(optimizer, names)

    def train(self, feeds: Sequence[tuple[Any, Any]], recipe: Recipe, *, training: bool) -> Array:
        """The loss at each step."""
        optimizer, step = self._traced(recipe)
        for variable in optimizer.variables:  # as if the optimiser had not taken a step
            if not variable.path.endswith("learning_rate"):
                variable.assign(keras.ops.zeros_like(variable))
        losses = []
        for images, labels in feeds:
            loss, gradients = self.gradients(images, labels, training=training)
            step(gradients)
            losses.append(_array(loss))
        return np.array(losses)

    def gradients_once(self, images: Any, labels: Any, training: bool) -> tuple[Any, list[Any]]:
        """As `gradients`, and the same to the last bit: untraced, which takes longer than a step and less than two."""
        with tensorflow.GradientTape() as tape:
            loss = self.loss(labels, self.model(images, training=training))
        return loss, tape.gradient(loss, self.model.trainable_variables)

    def _traced(self, recipe: Recipe) -> tuple[Any, Any]:
        """An optimiser and its step."""
        if recipe not in self._runs:
            optimizer = _optimizer(recipe)
            optimizer.build(self.model.trainable_variables)
            step = tensorflow.function(partial(_apply, optimizer, self.model.trainable_variables), autograph=False)
            self._runs[recipe] = optimizer, step
        return self._runs[recipe]

    def _slots(self, optimizer: Any, names: Sequence[str]) -> dict[str, Any]:
        adam = hasattr(optimizer, "_velocities")
        kinds = {"m": "_momentums", "v": "_velocities"} if adam else {"momentum": "momentums"}
        return {
            f"{name}@{slot}": value
            for slot, attribute in kinds.items()
            for name, value in zip(names, getattr(optimizer, attribute, None) or [], strict=False)
        }


class _KerasNodes(Taps):
    """Taps each of which is a node of its own, with a gradient of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.nodes:
            self.nodes[name] = tensorflow.identity(self.data[name])
        return self.nodes[name]


class _KerasLeaves(_KerasNodes):
    """Taps that keep what the reference computes and hand back what was given, where the gradient ends."""

    def __init__(self, given: Mapping[str, Array], tape: tensorflow.GradientTape) -> None:
        super().__init__()
        self.given, self.tape = given, tape

    def __getitem__(self, name: str) -> Any:
        if name not in self.nodes:
            self.nodes[name] = keras.ops.convert_to_tensor(self.given[name])
            self.tape.watch(self.nodes[name])
        return self.nodes[name]


def _optimizer(recipe: Recipe) -> Any:
    gc.collect()  # those before hold themselves, and two copies of all weights
    forget_kernels()
    rate: Any = recipe.rate
    if recipe.rate_changes:
        boundaries, rates = (list(values) for values in zip(*recipe.rate_changes, strict=True))
        rate = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, [recipe.rate, *rates])
    own = {"momentum": recipe.momentum} if recipe.kind == "sgd" else {}
    decay = recipe.weight_decay or None
    return OPTIMIZERS[recipe.kind](rate, global_clipnorm=recipe.clip_norm, weight_decay=decay, **own)


def _apply(optimizer: Any, variables: Sequence[Any], gradients: Sequence[Any]) -> None:
    optimizer.apply(gradients, variables)


def _array(tensor: Any) -> Array:
    array: Array = keras.ops.convert_to_numpy(tensor)
    return array
