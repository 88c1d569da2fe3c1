"""The Keras reference as a contender of `retinanet benchmark`: its network on TensorFlow, and its pictures to boxes.

`pyproject.toml` names this module under the entry point `torch_retinanet.benchmark`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from torch_retinanet.benchmark.contenders import Contender, Run
from torch_retinanet.benchmark.task import Task

MULTIPLE = 128
"""Pixels by which the sides of the pictures of the keras.io example divide."""


def _prepare(task: Task, *, xla: bool) -> Run | None:
    if task.kind == "step" or task.device != "cpu" or task.weights is not None:
        return None
    import keras
    import tensorflow as tf

    import keras_reference

    keras.utils.set_random_seed(0)
    backbone = keras_reference.get_backbone((*_fed(task), 3))
    build: Any = keras_reference.RetinaNet
    model = build(keras_reference.RetinaNetConfig.keras_io(task.num_classes), backbone)
    network = tf.function(partial(model, training=False), jit_compile=xla)
    return _network(task, network) if task.kind == "network" else _detect(task, network)


def _fed(task: Task) -> tuple[int, int]:
    """Height and width of what the network is fed."""
    multiple = 32 if task.kind == "network" else MULTIPLE
    return -(-task.height // multiple) * multiple, -(-task.width // multiple) * multiple


def _network(task: Task, network: Callable[[Any], Any]) -> Run:
    from torch_retinanet.benchmark.contenders.torch_tasks import network_images

    images = np.ascontiguousarray(network_images(task).permute(0, 2, 3, 1).numpy())
    return lambda: network(images).numpy()


def _detect(task: Task, network: Callable[[Any], Any]) -> Run:
    from keras_reference import DecodePredictions
    from keras_reference.pictures import read_picture
    from keras_reference.preprocess import prepare_image

    decode, (least, most) = DecodePredictions(), task.side

    def run() -> Any:
        prepared = [prepare_image(read_picture(path), least, most)[0] for path in task.files]
        images = np.concatenate([np.asarray(image) for image in prepared])
        return decode(images, network(images))

    return run


CONTENDERS = [
    Contender(name="keras", needs=["keras", "tensorflow"], prepare=partial(_prepare, xla=False)),
    Contender(name="keras xla", needs=["keras", "tensorflow"], prepare=partial(_prepare, xla=True)),
]
