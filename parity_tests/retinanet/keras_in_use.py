"""What becomes of the reference once it is trained: it is written to a file and read, and runs for inference alone."""

from collections.abc import Mapping
from pathlib import Path

from parity_tests.retinanet.side import DetectorSide, values_of
from parity_tests.rule.record import Array


class KerasInUse:
    """By Keras itself, for a side with a `model`."""

    def write(self: DetectorSide, file: Path) -> None:
        self.model.save_weights(file)

    def read(self: DetectorSide, file: Path) -> Mapping[str, Array]:
        self.model.load_weights(file)
        return self.parameters()

    def inferred(self: DetectorSide, images: Array) -> Array:
        return values_of(self.forward([images]))["outputs"]
