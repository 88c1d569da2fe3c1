"""The Keras reference behind the interface of a side."""

import gc
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_reference.backbone import with_outputs_from
from parity_tests.retinanet.anchors import NOTHING, Changed, counted
from parity_tests.retinanet.assignments import as_labels, without_regions
from parity_tests.retinanet.focal import focal_losses
from parity_tests.retinanet.frameworks import (
    array_of,
    forget_kernels,
    keras,
    keras_precision,
    keras_reference,
    python_seed,
)
from parity_tests.retinanet.inputs import COLOURS, Batches, Labels, Scene, Size
from parity_tests.retinanet.keras_in_use import KerasInUse
from parity_tests.retinanet.keras_preparation import KerasPreparation, fitted_batch
from parity_tests.retinanet.matching import Detections, Limits
from parity_tests.retinanet.names import statistics_of
from parity_tests.retinanet.narrow import fewer, with_fewer_channels
from parity_tests.retinanet.preparation import PictureSides
from parity_tests.retinanet.side import Focus, Recipe, values_of
from parity_tests.retinanet.trainer import BatchGradients, Plan, around_steps, closed_form, drawn_gradients
from parity_tests.rule.record import Array
from parity_tests.sides.capture import Capture, Ends, Mark
from parity_tests.sides.keras_side import KerasSide
from parity_tests.sides.model_side import Optimised
from parity_tests.sides.own_taps import OwnTaps
from parity_tests.sides.side import Loss, MakeOptimizer

if TYPE_CHECKING:
    from parity_tests.retinanet.keras_training import KerasTraining

REFERENCES: dict[str, Callable[[int], keras_reference.RetinaNetConfig]] = {
    "notebook": keras_reference.RetinaNetConfig.notebook,
    "keras_io": keras_reference.RetinaNetConfig.keras_io,
}
"""The conventions of the Keras reference of each preset."""

WIDTH = 256
"""Filters of the pyramid's levels and of the heads in both presets."""

PADDING = 1e-8
"""What fills up the boxes of a picture that has fewer than others (the keras.io example's padded_batch)."""

FEEDS = 32
"""Scenes that are kept as tensors: more than those of a training run, which is taken several times."""


OWN = OwnTaps(refusals=(keras_reference.InputError,))
"""How the reference writes its taps."""


def preset_classes(preset: str) -> int:
    """How many classes a preset has by default."""
    classes: int = inspect.signature(REFERENCES[preset]).parameters["num_classes"].default
    return classes


class KerasDetectorSide(KerasInUse, KerasSide):
    """The Keras reference of a preset with fresh values, built in the precision it runs in.

    Its anchors are its own, but for those that are given. A narrow network is given its `backbone`, and the width of
    pyramid and heads.
    """

    def __init__(
        self,
        preset: str,
        num_classes: int,
        dtype: str,
        *,
        anchors: Changed = NOTHING,
        seed: int = 0,
        backbone: Any = None,
        width: int = WIDTH,
    ) -> None:
        self.preset, self.num_classes, self.of_anchors, self.seed = preset, num_classes, anchors, seed
        self.is_narrow = backbone is not None
        forget_kernels()
        with keras_precision(dtype), python_seed(seed):
            if not self.is_narrow:
                level = anchors.get("min_level", 3)
                backbone = keras_reference.get_backbone((None, None, 3), min_level=level)  # pictures of any size
            channels = backbone.input_shape[-1]
            config = replace(REFERENCES[preset](num_classes), width=width, in_channels=channels, **anchors)
            model = keras_reference.RetinaNet(config, backbone)
            model.build((None, None, None, channels))
            self.loss = keras_reference.RetinaNetLoss(num_classes)
        super().__init__(model, None, dtype, OWN)
        self._feeds: dict[bytes, tuple[Any, Any]] = {}

    def named(self, model: Any) -> dict[str, Any]:
        """Variables by the names under which they are compared."""
        fpn = model.fpn
        layers = {f"fpn/backbone/{layer.name}": layer for layer in fpn.backbone.layers}
        layers |= {f"fpn/{name}": getattr(fpn, name) for name in dir(fpn) if name.startswith("conv_c")}
        for head in ("cls_head", "box_head"):
            layers |= {f"{head}/{i}": layer for i, layer in enumerate(getattr(model, head).layers)}
        named = {f"{name}/{v.name}": v for name, layer in layers.items() for v in layer.variables}
        assert len(named) == len(model.variables), "every variable of the reference has a name"
        return named

    @contextmanager
    def running(self, *, training: bool) -> Iterator[None]:
        self._catch_up()
        with keras_precision(self.dtype):
            yield

    @property
    def model(self) -> Any:
        """The network with the weights that were assigned last."""
        self._catch_up()
        return self._model

    def _catch_up(self) -> None:
        """Put the weights that were assigned last into the network, where they are not yet."""
        for name, value in self._assigned.items():
            self._variables[name].assign(value)
        self._assigned.clear()

    @property
    def training(self) -> "KerasTraining":
        """What trains the model, with the weights that were assigned last; it needs TensorFlow."""
        self._catch_up()
        return self._training

    @cached_property
    def _training(self) -> "KerasTraining":
        from parity_tests.retinanet.keras_training import KerasTraining

        return KerasTraining(self._model, self.loss)

    def statistics(self) -> dict[str, Array]:
        self._catch_up()
        return {name: array_of(variable) for name, variable in statistics_of(self._variables).items()}

    @contextmanager
    def optimised(self, make: MakeOptimizer) -> Iterator[Optimised]:
        before = self.parameters()
        with super().optimised(make) as model:
            yield model
        self.assign(before)

    @cached_property
    def narrow(self) -> "KerasDetectorSide":
        if self.is_narrow:
            return self
        with keras_precision(self.dtype), python_seed(self.seed):
            backbone = keras.models.clone_model(self._model.fpn.backbone, clone_function=with_fewer_channels)
        return self._around(backbone, self.num_classes, self.of_anchors)

    def varied(
        self, num_classes: int, anchors: Changed, *, channels: int = COLOURS, channels_last: bool = False
    ) -> "KerasDetectorSide":
        backbone, anchors = self.narrow._model.fpn.backbone, {**self.of_anchors, **anchors}  # Keras' channels are last
        with keras_precision(self.dtype), python_seed(self.seed):
            if channels != COLOURS:
                backbone = keras.models.clone_model(backbone, keras.Input((None, None, channels)))
            if level := anchors.get("min_level"):
                backbone = with_outputs_from(backbone, level)
        return self._around(backbone, num_classes, anchors)

    def _around(self, backbone: Any, num_classes: int, anchors: Changed) -> "KerasDetectorSide":
        """The narrow network around a backbone, which it may share with another."""
        return KerasDetectorSide(
            self.preset,
            num_classes,
            self.dtype,
            anchors=anchors,
            seed=self.seed,
            backbone=backbone,
            width=fewer(WIDTH),
        )

    def inventory(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        names = {variable.path: name for name, variable in self._variables.items()}
        return {variable.path: names.get(variable.path, "") for variable in self._model.variables}, {}

    def release(self) -> None:
        for name in ("_training", "narrow"):
            vars(self).pop(name, None)
        del self._model, self._variables
        keras.backend.clear_session()
        gc.collect()

    def shapes(self, size: Size) -> dict[str, Array]:
        capture = Capture(self.tensors, None)
        with keras_precision(self.dtype):
            self._captured(capture, [np.zeros((1, *size, 3))], training=False, refusals=True)
        return values_of(capture.calls)

    def rounding_bounds(self, images: Array, given: Mapping[str, Array], dtype: str = "float32") -> dict[str, Array]:
        return {}  # computed from the layers of the port

    def anchors(self, size: Size, changed: Changed = NOTHING) -> Array:
        anchors = keras_reference.AnchorGenerator(self.dtype, **{**self.of_anchors, **changed}).get_anchors(*size)
        return array_of(keras_reference.convert_to_corners(anchors))

    def anchors_per_level(self, size: Size, changed: Changed = NOTHING) -> Array:
        return counted(size, keras_reference.AnchorGenerator(self.dtype, **{**self.of_anchors, **changed}).get_config())

    def targets(self, size: Size, boxes: Sequence[Array], labels: Sequence[Labels]) -> dict[str, Array]:
        encoded = array_of(self._labels(size, boxes, labels))
        classes = encoded[..., 4]
        return {
            "targets.classes": classes,
            "targets.deltas": np.where(classes[..., None] >= 0, encoded[..., :4], 0),
        }

    def ignoring(self, size: Size, classes: Array, regions: Sequence[Array]) -> Array:
        return without_regions(classes, self.anchors(size), regions)  # the example knows no such regions

    def losses(self, outputs: Array, targets: Mapping[str, Array], focus: Focus | None = None) -> dict[str, Array]:
        labels = as_labels(targets)
        with keras_precision(self.dtype):
            loss = self._focused(focus)
            terms, total = loss.terms(labels, outputs), loss(labels, outputs)
        return {f"loss.{name}": array_of(term) for name, term in terms.items()} | {"loss.total": array_of(total)[None]}

    def loss_gradient(self, outputs: Array, targets: Mapping[str, Array], focus: Focus | None = None) -> Array:
        labels = self.tensors.tensor(as_labels(targets))

        def run(mark: Mark) -> Ends:
            lost = self._focused(focus)(labels, mark(self.tensors.tensor(outputs)))
            return Ends([lost], [self.tensors.tensor(np.ones(()))])

        with keras_precision(self.dtype):
            gradient = self.tensors.differentiate(run, {}).marked[0]
        assert gradient is not None
        return gradient

    def _focused(self, focus: Focus | None) -> keras_reference.RetinaNetLoss:
        """The loss of the preset, or with another focal loss."""
        return self.loss if focus is None else keras_reference.RetinaNetLoss(self.num_classes, *focus)

    def focal_losses(self, outputs: Array, labels: Labels) -> dict[str, Array]:
        return focal_losses(keras_reference, lambda loss, given, of: array_of(loss(of, given)), outputs, labels)

    def take_steps(
        self, gradients: Mapping[str, Array], factors: Sequence[float], recipe: Recipe
    ) -> Mapping[str, Array]:
        names = {v.path: name for name, v in self._variables.items()}
        order = [names[v.path] for v in self.model.trainable_variables]
        with self.running(training=True):
            after = self.training.apply([gradients[name] for name in order], order, factors, recipe)
        return {name: array_of(variable) for name, variable in after.items()}

    def train_on(self, scenes: Sequence[Scene], recipe: Recipe, *, training: bool) -> Array:
        with self.running(training=True):
            feeds = [self._feed(scene) for scene in scenes]
            return self.training.train(feeds, recipe, training=training)

    def trained_with(self, plan: Plan, shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, Array]:
        def back(weights: Mapping[str, Array], step: int, batch: int) -> BatchGradients:
            return BatchGradients(None, drawn_gradients(shapes, step, batch))

        norms = sorted(name.rpartition("/")[0] for name in self._variables if name.endswith("_bn/gamma"))
        return around_steps(plan, norms) | closed_form(plan, self.parameters(), back, lambda: {})

    def trained_on(self, plan: Plan, scenes: Batches, sides: PictureSides) -> Mapping[str, Array]:
        def back(weights: Mapping[str, Array], step: int, batch: int) -> BatchGradients:
            self.assign({name: value for name, value in weights.items() if plan.trains(name)})
            scene = fitted_batch(scenes[step][batch], sides, self.dtype)
            return self._gradients_on(scene, training=plan.norm_follows)

        return closed_form(plan, self.parameters(), back, self.statistics)

    def _gradients_on(self, scene: Scene, *, training: bool) -> BatchGradients:
        """The loss of pictures from 0 to 255, and its gradient by every weight."""
        names = {v.path: name for name, v in self._variables.items()}
        with self.running(training=True):
            loss, found = self.training.gradients(*self.encode(scene), training=training)
            order = [names[variable.path] for variable in self._model.trainable_variables]
            gradients = {name: array_of(gradient) for name, gradient in zip(order, found, strict=True)}
        return BatchGradients(float(loss), gradients)

    def detections(self, outputs: Array, size: Size, limits: Limits | None = None) -> list[Detections]:
        images = np.zeros((len(outputs), *size, 3), self.dtype)
        with keras_precision(self.dtype):
            decode = keras_reference.DecodePredictions(**_cut(limits), **self.of_anchors)
            found = decode(images, outputs.astype(self.dtype))
        boxes, scores, classes, valid = (array_of(found[name]) for name in ("boxes", "scores", "classes", "valid"))
        return [Detections(boxes[i, :n], scores[i, :n], classes[i, :n].astype(np.int64)) for i, n in enumerate(valid)]

    def preparation(self, sides: PictureSides | None = None) -> KerasPreparation:
        return KerasPreparation(self.dtype, self._detected, self._lost, self.detections, sides)

    def _detected(self, image: Array) -> Detections:
        """What is found in one prepared picture (1,h,w,3)."""
        outputs = values_of(self.forward([image]))["outputs"]
        return self.detections(outputs, (image.shape[1], image.shape[2]))[0]

    def _lost(self, scene: Scene, regions: Sequence[Array], outputs: Array | None) -> dict[str, Array]:
        targets = self.targets(scene.size, scene.boxes, scene.labels)
        targets |= {"targets.classes": self.ignoring(scene.size, targets["targets.classes"], regions)}
        own = values_of(self.forward([scene.images]))["outputs"] if outputs is None else outputs
        return self.losses(own, targets)

    def loss_of(self, scene: Scene) -> Loss:
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
            encoder = keras_reference.LabelEncoder(**self.of_anchors)
            encoded: tuple[Any, Any] = encoder.encode_batch(images, padded, classes)
            return encoded


def _cut(limits: Limits | None) -> dict[str, Any]:
    """What `DecodePredictions` is told of limits; of each class twice as many may stay as of all."""
    if limits is None:
        return {}
    most = {"max_detections_per_class": 2 * limits.most, "max_detections": limits.most}
    return {"confidence_threshold": limits.score, "nms_iou_threshold": limits.iou, **most}
