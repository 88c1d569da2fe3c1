"""The way back: what a real package answers with weights that torch_retinanet wrote, and how far ours are off.

    python -m parity_tests.peers.reads_ours fizyr WEIGHTS.h5 OURS.npz
    python -m parity_tests.peers.reads_ours keras_hub FOLDER OURS.npz
    python -m parity_tests.peers.reads_ours keras_cv MODEL.keras OURS.npz
    python -m parity_tests.peers.reads_ours monai WEIGHTS.pt OURS.npz

Run in the environment of the package. `OURS.npz` holds our `logits` and `deltas` for `noise("back", (2,128,160,3), 3)`,
of the spread that the recording of the package has. By hand on 2026-11-28, with weights other than those recorded, in
float32: fizyr 7.6e-5 of 33.7 in logits and 1.7e-5 of 6.8 in deltas; keras_hub 7.8e-5 of 23.9 and 1.8e-5 of 5.0;
keras_hub_v2 5.5e-5 of 20.4 and 6.9e-6 of 1.8; keras_cv, on 2026-11-29, 5.4e-2 of 15627 and 4.4e-2 of 10783 on a
ResNet-50 in both formats, 1.5e-3 of 405 and 1.7e-3 of 450 on a ResNet-18; monai the same bits, with P7 and without.
"""

import sys

import numpy as np

from parity_tests.peers.keras_recording import CLASSES
from parity_tests.peers.values import noise

SHAPE, SEED = (2, 128, 160, 3), 3


def fizyr_answers(weights: str) -> dict[str, np.ndarray]:
    """What keras-retinanet's training model gives with the weights of a file."""
    from parity_tests.peers import fizyr

    peer = fizyr.package("float32")
    model = peer.models.backbone("resnet50").retinanet(num_classes=CLASSES)
    model.load_weights(weights)
    found = fizyr.network(peer, model)(noise("back", SHAPE, SEED) * np.float32(fizyr.SPREAD))
    return {name: found[name].numpy() for name in ("logits", "deltas")}


def keras_hub_answers(folder: str) -> dict[str, np.ndarray]:
    """What KerasHub's detector gives that is loaded from the folder of a preset."""
    from parity_tests.peers import keras_hub

    model = keras_hub.package("float32").hub.models.ObjectDetector.from_preset(folder)
    found = model(noise("back", SHAPE, SEED), training=False)
    return {"logits": found["cls_logits"].numpy(), "deltas": found["bbox_regression"].numpy()}


def keras_cv_answers(weights: str) -> dict[str, np.ndarray]:
    """What KerasCV's detector gives that is loaded whole, or with the weights of a `.weights.h5`, on a ResNet-50."""
    from parity_tests.peers import keras_cv

    peer = keras_cv.package("float32")
    if weights.endswith(".keras"):
        model = peer.keras.saving.load_model(weights)
    else:
        model = keras_cv.build(peer, "resnet50", rescales=True)
        model.load_weights(weights)
    scale = np.float32(255 if model.backbone.include_rescaling else 1)
    found = model(noise("back", SHAPE, SEED) * scale, training=False)
    return {"logits": found["classification"].numpy(), "deltas": found["box"].numpy()}


def monai_answers(weights: str) -> dict[str, np.ndarray]:
    """What MONAI's network gives with a state dict, of that variant whose names it has."""
    import torch

    from parity_tests.peers import monai

    state = torch.load(weights, weights_only=True)
    detector = monai.build("p6p7" if any("extra_blocks" in name for name in state) else "detector")
    detector.network.load_state_dict(state)
    images = torch.from_numpy(noise("back", SHAPE, SEED)).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits, deltas = monai.outputs(detector, images)
    return {"logits": logits.numpy(), "deltas": deltas.numpy()}


def main(peer: str, weights: str, ours: str) -> None:
    """Prints the largest differences."""
    of_keras = {"fizyr": fizyr_answers, "keras_hub": keras_hub_answers, "keras_cv": keras_cv_answers}
    theirs = {**of_keras, "monai": monai_answers}[peer](weights)
    for name, value in theirs.items():
        difference = np.abs(value - np.load(ours)[name]).max()
        print(f"{peer} {name}: {difference:.1e} of {np.abs(value).max():.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
