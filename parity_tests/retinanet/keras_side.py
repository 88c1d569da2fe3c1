"""The Keras reference behind the interface of a side."""

import contextlib
import gc
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from parity_tests.retinanet.frameworks import Taps, forget_kernels, keras, keras_precision, keras_reference, python_seed
from parity_tests.retinanet.inputs import Labels, Scene, Size
from parity_tests.retinanet.matching import Detections
from parity_tests.retinanet.side import Fed, ReadWhenAsked, Recipe
from parity_tests.rule.record import Array
from parity_tests.sides.sources import calling_line

if TYPE_CHECKING:
    from parity_tests.retinanet.keras_training import KerasTraining

REFERENCES: dict[str, Callable[[int], keras_reference.RetinaNetConfig]] = {
    "notebook": keras_reference.RetinaNetConfig.notebook,
    "keras_io": keras_reference.RetinaNetConfig.keras_io,
}
"""The conventions of the Keras reference of each preset."""

ANCHOR_SCALE = keras_reference.anchors.ANCHOR_SCALE
"""That of both presets."""

PADDING = 1e-8
"""What fills up the boxes of a picture that has fewer than others (the keras.io example's padded_batch)."""

FEEDS = 32
"""Scenes that are kept as tensors: more than those of a training run, which is taken several times."""


def preset_classes(preset: str) -> int:
    """How many classes a preset has by default."""
    classes: int = inspect.signature(REFERENCES[preset]).parameters["num_classes"].default
    return classes


class KerasDetectorSide:
    """The Keras reference of a preset with fresh values, and anchors of a scale."""

    def __init__(
        self, preset: str, num_classes: int, dtype: str, *, anchor_scale: float = ANCHOR_SCALE, seed: int = 0
    ) -> None:
        self.dtype, self.num_classes, self.anchor_scale = dtype, num_classes, anchor_scale
        forget_kernels()
        with keras_precision(dtype), python_seed(seed):
            backbone = keras_reference.get_backbone((None, None, 3))  # pictures of any size
            self._built = keras_reference.RetinaNet(REFERENCES[preset](num_classes), backbone)
            self._built.build((None, None, None, 3))
            self.loss = keras_reference.RetinaNetLoss(num_classes)
        self.sources: dict[str, str] = {}
        self._feeds: dict[bytes, tuple[Any, Any]] = {}
        self._assigned: dict[str, Array] = {}

    @property
    def model(self) -> Any:
        """The network with the weights that were assigned last."""
        self._catch_up()
        return self._built

    def _catch_up(self) -> None:
        """Put the weights that were assigned last into the network, where they are not yet."""
        if self._assigned:
            self._take_over(self._assigned)
            self._assigned.clear()

    @property
    def training(self) -> "KerasTraining":
        """What computes gradients, of the model with the weights that were assigned last; it needs TensorFlow."""
        self._catch_up()
        return self._training

    @cached_property
    def _training(self) -> "KerasTraining":
        from parity_tests.retinanet.keras_training import KerasTraining

        return KerasTraining(self._built, self.loss)

    def variables(self) -> dict[str, Array]:
        return {name: keras.ops.convert_to_numpy(variable) for name, variable in self._by_name(self.model).items()}

    def inventory(self) -> dict[str, str]:
        names = {variable.path: name for name, variable in self._by_name(self._built).items()}
        return {variable.path: names.get(variable.path, "") for variable in self._built.variables}

    def assign(self, variables: Mapping[str, Array]) -> None:
        self._assigned.update(variables)

    def _take_over(self, variables: Mapping[str, Array]) -> None:
        named = self._by_name(self._built)
        assert named.keys() == variables.keys(), "the reference takes every variable over"
        for name, variable in named.items():
            variable.assign(variables[name])

    def release(self) -> None:
        vars(self).pop("_training", None)
        del self._built
        keras.backend.clear_session()
        gc.collect()

    def forward(
        self, images: Array, *, given: Mapping[str, Array] | None = None, training: bool = False
    ) -> dict[str, Array]:
        return self._taps_of(self.model, images, given, training)

    def shapes(self, size: Size) -> dict[str, Array]:
        return self._taps_of(self._built, np.zeros((1, *size, 3)), None, False)

    def _taps_of(
        self, model: Any, images: Array, given: Mapping[str, Array] | None, training: bool
    ) -> dict[str, Array]:
        taps = _SeenTaps(self.sources) if given is None else _FedKerasTaps(given, self.dtype, self.sources)
        with keras_precision(self.dtype), contextlib.suppress(keras_reference.InputError):
            model(images.astype(self.dtype), training=training, taps=taps)
        return {name: keras.ops.convert_to_numpy(value) for name, value in taps.data.items()}

    def rounding_bounds(self, images: Array, given: Mapping[str, Array]) -> dict[str, Array]:
        return {}  # computed from the layers of the port

    def anchors(self, size: Size) -> Array:
        anchors = keras_reference.AnchorBox(self.dtype, self.anchor_scale).get_anchors(*size)
        return _array(keras_reference.convert_to_corners(anchors))

    def targets(self, size: Size, boxes: Sequence[Array], labels: Sequence[Labels]) -> dict[str, Array]:
        encoded = _array(self._labels(size, boxes, labels))
        classes = encoded[..., 4]
        return {
            "targets.classes": classes,
            "targets.deltas": np.where(classes[..., None] >= 0, encoded[..., :4], 0),
        }

    def losses(self, outputs: Array, targets: Mapping[str, Array]) -> dict[str, Array]:
        labels = np.concatenate([targets["targets.deltas"], targets["targets.classes"][..., None]], axis=-1)
        with keras_precision(self.dtype):
            terms = self.loss.terms(labels, outputs)
            total = self.loss(labels, outputs)
        return {f"loss.{name}": _array(term) for name, term in terms.items()} | {"loss.total": _array(total)[None]}

    def gradients(self, scene: Scene, *, training: bool) -> dict[str, Array]:
        with keras_precision(self.dtype):
            _, gradients = self.training.gradients_once(*self._feed(scene), training)
        paths = [variable.path for variable in self.model.trainable_variables]
        by_path = {path: _array(gradients.pop(0)) for path in paths}  # each lets go of the tensor that it is read from
        named = self._by_name(self.model)
        statistics = {name: _array(v) for name, v in named.items() if "/moving_" in name}
        return {name: by_path[v.path] for name, v in named.items() if v.path in by_path} | statistics

    def backward(self, scene: Scene, *, fed: Fed | None = None) -> dict[str, Array]:
        with keras_precision(self.dtype):
            by_tap, by_variable = self.training.backward(*self._feed(scene), fed)
        names = {v.path: name for name, v in self._by_name(self.model).items()}
        weights = zip(self.model.trainable_variables, by_variable, strict=True)
        by_name = {names[v.path]: _array(g) for v, g in weights if g is not None}
        return {name: _array(gradient) for name, gradient in by_tap.items()} | by_name

    def apply(self, gradients: Mapping[str, Array], factors: Sequence[float], recipe: Recipe) -> Mapping[str, Array]:
        names = {v.path: name for name, v in self._by_name(self.model).items()}
        order = [names[v.path] for v in self.model.trainable_variables]
        with keras_precision(self.dtype):
            after = self.training.apply([gradients[name] for name in order], order, factors, recipe)
        return ReadWhenAsked({name: partial(_array, variable) for name, variable in after.items()})

    def train(self, scenes: Sequence[Scene], recipe: Recipe, *, training: bool) -> Array:
        with keras_precision(self.dtype):
            feeds = [self._feed(scene) for scene in scenes]
            return self.training.train(feeds, recipe, training=training)

    def detections(self, outputs: Array, size: Size) -> list[Detections]:
        images = np.zeros((len(outputs), *size, 3), self.dtype)
        with keras_precision(self.dtype):
            decode = keras_reference.DecodePredictions(anchor_scale=self.anchor_scale)
            found = decode(images, outputs.astype(self.dtype))
        boxes, scores, classes, valid = (_array(found[name]) for name in ("boxes", "scores", "classes", "valid"))
        return [Detections(boxes[i, :n], scores[i, :n], classes[i, :n].astype(np.int64)) for i, n in enumerate(valid)]

    def loss_of(self, scene: Scene) -> Callable[[Any], Any]:
        labels = self._labels(scene.size, scene.boxes, scene.labels)
        return lambda outputs: self.loss(labels, outputs)

    def encode(self, pictures: Scene) -> tuple[Any, Any]:
        """What the network and the loss are fed, from pictures of which red is first, from 0 to 255."""
        return self._encode(pictures.images.astype(self.dtype), pictures.boxes, pictures.labels)

    def _feed(self, scene: Scene) -> tuple[Any, Any]:
        """Images and labels as tensors, computed once for the scenes of a training run."""
        key = b"".join(values.tobytes() for values in (scene.images, *scene.boxes, *scene.labels))
        if key not in self._feeds:
            if len(self._feeds) == FEEDS:
                self._feeds.clear()
            labels = self._labels(scene.size, scene.boxes, scene.labels)
            self._feeds[key] = keras.ops.convert_to_tensor(scene.images, self.dtype), labels
        return self._feeds[key]

    def _labels(self, size: Size, boxes: Sequence[Array], labels: Sequence[Labels]) -> Any:
        return self._encode(np.zeros((len(boxes), *size, 3), self.dtype), boxes, labels)[1]

    def _encode(self, images: Array, boxes: Sequence[Array], labels: Sequence[Labels]) -> tuple[Any, Any]:
        rows = max(1, *(len(b) for b in boxes))
        padded = np.full((len(boxes), rows, 4), PADDING, self.dtype)
        classes = np.full((len(boxes), rows), -1, self.dtype)
        with keras_precision(self.dtype):
            for i, (corners, ids) in enumerate(zip(boxes, labels, strict=True)):
                if len(ids):
                    padded[i, : len(ids)] = keras_reference.convert_to_xywh(corners.astype(self.dtype))
                    classes[i, : len(ids)] = ids
            encoder = keras_reference.LabelEncoder(self.anchor_scale)
            encoded: tuple[Any, Any] = encoder.encode_batch(images, padded, classes)
            return encoded

    def _by_name(self, model: Any) -> dict[str, Any]:
        fpn = model.fpn
        layers = {f"fpn/backbone/{layer.name}": layer for layer in fpn.backbone.layers}
        layers |= {f"fpn/{name}": getattr(fpn, name) for name in dir(fpn) if name.startswith("conv_c")}
        for head in ("cls_head", "box_head"):
            layers |= {f"{head}/{i}": layer for i, layer in enumerate(getattr(model, head).layers)}
        named = {f"{name}/{v.name}": v for name, layer in layers.items() for v in layer.variables}
        assert len(named) == len(model.variables), "every variable of the reference has a name"
        return named


class _SeenTaps(Taps):
    """Taps that remember which line made them."""

    def __init__(self, sources: dict[str, str]) -> None:
        super().__init__()
        self.sources = sources

    def __setitem__(self, name: str, value: Any) -> None:
        self.sources[name] = calling_line(2)
        super().__setitem__(name, value)


class _FedKerasTaps(_SeenTaps):
    """Taps that keep what the reference computes and hand back what was given; its own where nothing was."""

    def __init__(self, given: Mapping[str, Array], dtype: str, sources: dict[str, str]) -> None:
        super().__init__(sources)
        self.given, self.dtype = given, dtype

    def __getitem__(self, name: str) -> Any:
        return keras.ops.convert_to_tensor(self.given[name], self.dtype) if name in self.given else self.data[name]


def _array(tensor: Any) -> Array:
    array: Array = keras.ops.convert_to_numpy(tensor)
    return array
