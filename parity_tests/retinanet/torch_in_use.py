"""What becomes of the port once it is trained: files that Keras reads and writes, and a network for inference alone."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from parity_tests.retinanet.side import DetectorSide
from parity_tests.rule.record import Array
from torch_retinanet import RetinaNetDetector
from torch_retinanet.weights.hdf5 import opened, written
from torch_retinanet.weights.keras_file import read_variables, write_variables
from torch_retinanet.weights.keras_names import keras_name, keras_variables, to_keras, torch_tensors


class TorchInUse:
    """For a side with a `model`, whose variables are of any width."""

    def write(self: DetectorSide, file: Path) -> None:
        with written(file) as opened_file:
            write_variables(opened_file, keras_variables(self.model.state_dict()))

    def read(self: DetectorSide, file: Path) -> Mapping[str, Array]:
        names = {name: tuple(tensor.shape) for name, tensor in self.model.state_dict().items()}
        keys = [key for name in names if (key := keras_name(name))]
        with opened(file) as opened_file:
            found = torch_tensors(read_variables(file, opened_file, keys), names)
        return {key: to_keras(found[name]).numpy() for name in names if (key := keras_name(name))}

    @torch.no_grad()
    def inferred(self: DetectorSide, images: Array) -> Array:
        with torch.device("meta"):
            detector = RetinaNetDetector(self.model.config)
        detector.model = self.model
        network = detector.eval().optimize(winograd=False).network
        assert network is not None
        deltas, logits = network(torch.from_numpy(images).permute(0, 3, 1, 2))
        return np.concatenate([deltas.numpy(), logits.numpy()], axis=-1)
