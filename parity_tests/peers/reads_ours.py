"""The way back, in the environment of a package: what it answers with weights that torch_retinanet wrote.

    .peers/fizyr/bin/python -m parity_tests.peers.reads_ours fizyr WEIGHTS.h5 GIVEN.npz ANSWERS.npz float64

`parity_tests.peers.back` runs it for every preset and judges. `GIVEN.npz` holds what enters the network, `[B,H,W,3]` by
the name of its size; `ANSWERS.npz` gets `SIZE/logits` and `SIZE/deltas`.
"""

import importlib
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock
from zipfile import ZipFile

import numpy as np

from parity_tests.peers.environments import SOURCES
from parity_tests.peers.keras_recording import CLASSES

Answer = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Logits `[B,N,K]` and deltas `[B,N,4]` of pictures `[B,H,W,3]`."""


def torchvision(weights: Path, dtype: str, *, variant: str) -> Answer:
    """torchvision's model of a variant with a state dict, every name of which must fit."""
    import torch

    from parity_tests.peers import torchvision as peer

    model = peer.build(variant)
    model.load_state_dict(torch.load(weights, weights_only=True))
    return in_torch(model, peer.outputs, dtype)


def deepforest(weights: Path, dtype: str) -> Answer:
    """The model in what DeepForest makes of a Lightning checkpoint; what it would download before is stood in for."""
    from torchvision.models import WeightsEnum

    from parity_tests.peers.deepforest import stand_in
    from parity_tests.peers.torchvision import outputs

    made = importlib.import_module("deepforest.main").deepforest
    hub = importlib.import_module("deepforest.models.retinanet").RetinaNetHub

    def of_hub(name: str, *, revision: str, **settings: Any) -> Any:
        return hub(**settings)

    with mock.patch.object(WeightsEnum, "get_state_dict", stand_in), mock.patch.object(hub, "from_pretrained", of_hub):
        forest = made.load_from_checkpoint(weights, map_location="cpu")
    return in_torch(forest.model.eval(), outputs, dtype)


def detectron2(weights: Path, dtype: str) -> Answer:
    """detectron2's model with what its own checkpointer reads."""
    sys.path.insert(0, str(SOURCES / "detectron2"))
    from parity_tests.peers import detectron2 as peer

    model = peer.build(SOURCES / "detectron2")
    importlib.import_module("detectron2.checkpoint").DetectionCheckpointer(model).load(str(weights.resolve()))
    return in_torch(model, peer.outputs, dtype)


def yhenon(weights: Path, dtype: str) -> Answer:
    """yhenon's model with a state dict, every name of which must fit."""
    import torch

    sys.path.insert(0, str(SOURCES / "yhenon"))
    from parity_tests.peers import yhenon as peer

    model = importlib.import_module("retinanet.model").resnet50(num_classes=CLASSES, pretrained=False).eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    return in_torch(model, peer.outputs, dtype)


def mmdet(weights: Path, dtype: str, *, style: str) -> Answer:
    """MMDetection's model of a style with what mmengine reads, every name of which must fit."""
    from parity_tests.peers import mmdet as peer

    peer.stand_in()
    model, _ = peer.build(style)
    checkpoints = importlib.import_module("mmengine.runner.checkpoint")
    checkpoints.load_checkpoint(model, str(weights), map_location="cpu", strict=True)
    return in_torch(model, peer.outputs, dtype)


def monai(weights: Path, dtype: str) -> Answer:
    """MONAI's detector with a state dict, every name of which must fit; whether it has a P7 the names say."""
    import torch

    from parity_tests.peers import monai as peer

    state = torch.load(weights, weights_only=True)
    detector = peer.build("p6p7" if any("extra_blocks" in name for name in state) else "detector")
    detector.network.load_state_dict(state)
    return in_torch(detector, peer.outputs, dtype)


def in_torch(model: Any, outputs: Callable[[Any, Any], Any], dtype: str) -> Answer:
    """What a model in torch answers, of which `outputs` takes logits and deltas."""
    import torch

    model.to(getattr(torch, dtype))

    def answer(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(getattr(torch, dtype))
        with torch.no_grad():
            logits, deltas = outputs(model, images)
        return logits.numpy(), deltas.numpy()

    return answer


def fizyr(weights: Path, dtype: str) -> Answer:
    """keras-retinanet's training model with the weights of a file."""
    from parity_tests.peers import fizyr as peer

    package = peer.package(dtype)
    model = package.models.backbone("resnet50").retinanet(num_classes=CLASSES)
    model.load_weights(weights)
    return in_keras(peer.network(package, model), dtype, "logits", "deltas")


def cvisionai(weights: Path, dtype: str) -> Answer:
    """cvisionai's trained part of the model with the weights of a file."""
    from parity_tests.peers import cvisionai as peer
    from parity_tests.peers import fizyr

    package = peer.package(dtype, SOURCES / "cvisionai")
    model = peer.network(package)
    model.load_weights(weights)
    return in_keras(fizyr.network(package, model), dtype, "logits", "deltas")


def keras_hub(weights: Path, dtype: str) -> Answer:
    """KerasHub's detector that is loaded from the folder of a preset, which says its precision itself."""
    from parity_tests.peers import keras_hub as peer

    folder = Path(shutil.copytree(weights, weights.with_name(dtype)))
    for said in folder.glob("*.json"):
        said.write_text(said.read_text().replace('"float32"', f'"{dtype}"'))
    detector = peer.package(dtype).hub.models.ObjectDetector.from_preset(str(folder))
    return in_keras(lambda pictures: detector(pictures, training=False), dtype, "cls_logits", "bbox_regression")


def keras_cv(weights: Path, dtype: str) -> Answer:
    """KerasCV's detector that is loaded whole, in a precision; or with a `.weights.h5`, on a ResNet-50 as it is fed."""
    from parity_tests.peers import keras_cv as peer

    package = peer.package(dtype)
    if weights.suffix == ".keras":
        model = package.keras.saving.load_model(_in_precision(weights, dtype))
    else:
        model = peer.build(package, "resnet50")
        model.load_weights(weights)
    scale = 255 if model.backbone.include_rescaling else 1
    return in_keras(lambda pictures: model(scale * pictures, training=False), dtype, "classification", "box")


def _in_precision(weights: Path, dtype: str) -> Path:
    """The archive again, whose config says another precision than that of files."""
    again = weights.with_stem(dtype)
    with ZipFile(weights) as archive, ZipFile(again, "w") as other:
        for name in archive.namelist():
            held = archive.read(name)
            other.writestr(name, held.replace(b'"float32"', f'"{dtype}"'.encode()) if name == "config.json" else held)
    return again


def tf_models(weights: Path, dtype: str) -> Answer:
    """TensorFlow Models' detector with a checkpoint, which it must use to the last variable; restored in float32."""
    from parity_tests.peers import tf_models as peer

    package = peer.package("float32")
    model = peer.build(package)
    checkpoint = package.tensorflow.train.Checkpoint(model=model)
    checkpoint.read(package.tensorflow.train.latest_checkpoint(weights)).assert_existing_objects_matched()
    values = model.get_weights()
    package.keras.backend.set_floatx(dtype)
    model = peer.build(package)
    model.set_weights(values)

    def answer(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = peer.maps(model, pictures.astype(dtype))
        return found["logits"], found["deltas"][..., peer.IN_XY]

    return answer


def in_keras(network: Callable[[np.ndarray], Any], dtype: str, logits: str, deltas: str) -> Answer:
    """What a model in Keras answers, by the names of its outputs."""

    def answer(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = network(pictures.astype(dtype))
        return found[logits].numpy(), found[deltas].numpy()

    return answer


READERS: dict[str, Callable[[Path, str], Answer]] = {
    "cvisionai": cvisionai,
    "deepforest": deepforest,
    "detectron2": detectron2,
    "fizyr": fizyr,
    "keras_cv": keras_cv,
    "keras_hub": keras_hub,
    "keras_hub_v2": keras_hub,
    "mmdet": partial(mmdet, style="pytorch"),
    "mmdet_caffe": partial(mmdet, style="caffe"),
    "monai": monai,
    "tf_models": tf_models,
    "torchvision": partial(torchvision, variant="v1"),
    "torchvision_v2": partial(torchvision, variant="v2"),
    "yhenon": yhenon,
}
"""By preset what its package makes of a file."""


def main(preset: str, weights: str, given: str, answers: str, dtype: str) -> None:
    """Writes what the package answers."""
    read = READERS[preset](Path(weights), dtype)
    found: dict[str, Any] = {}
    for size, pictures in np.load(given).items():
        found[f"{size}/logits"], found[f"{size}/deltas"] = read(pictures)
    np.savez(answers, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
