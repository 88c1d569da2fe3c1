"""Gradients, single steps and training runs of the Keras reference, each traced once by TensorFlow and run again."""

import gc
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import tensorflow

from parity_tests.retinanet.frameworks import array_of, forget_kernels, keras
from parity_tests.retinanet.side import Recipe
from parity_tests.rule.record import Array

tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
# Graphs are run as they are traced: rewriting one takes longer than the few times it is run, and is one step less sure.

OPTIMIZERS = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}


class KerasTraining:
    """Trains one model with one loss."""

    def __init__(self, model: Any, loss: Any) -> None:
        self.model, self.loss = model, loss
        self._gradients = tensorflow.function(self._loss_and_gradients, autograph=False)
        self._runs: dict[Recipe, tuple[Any, Any]] = {}

    def gradients(self, images: Any, labels: Any, *, training: bool) -> tuple[Any, list[Any]]:
        """The loss of a batch, and its gradients in the order of the model's trainable variables."""
        loss, gradients = self._gradients(images, labels, training)
        return loss, gradients

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
            losses.append(array_of(loss))
        return np.array(losses)

    def _loss_and_gradients(self, images: Any, labels: Any, training: bool) -> tuple[Any, list[Any]]:
        with tensorflow.GradientTape() as tape:
            loss = self.loss(labels, self.model(images, training=training))
        return loss, tape.gradient(loss, self.model.trainable_variables)

    def _traced(self, recipe: Recipe) -> tuple[Any, Any]:
        """An optimiser and its step."""
        if recipe not in self._runs:
            optimizer = _optimizer(recipe)
            optimizer.build(self.model.trainable_variables)
            optimizer._all_reduce_sum_gradients = _of_one_replica
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


def _of_one_replica(pairs: Sequence[tuple[Any, Any]]) -> Sequence[tuple[Any, Any]]:
    """Gradients as they are: there is one replica to sum over.

    TensorFlow 2.21.0 makes a custom gradient of that sum, and registers it for good: the graph would never be freed.
    """
    return pairs
