"""What becomes of the reference once it is trained: it is written to a file and read, and runs for inference alone."""

from collections.abc import Mapping
from pathlib import Path

from parity_tests.retinanet.side import DetectorSide, values_of
from parity_tests.rule.record import Array


class KerasInUse:
    """By Keras itself, for a side with a `model`."""

    def write(self: DetectorSide, file: Path) -> None:
        """By position and class of each layer, as `Model.save_weights` does."""
        self.model.save_weights(file)

    def read(self: DetectorSide, file: Path) -> Mapping[str, Array]:
        """All variables, after `Model.load_weights`, which the side keeps then."""
        self.model.load_weights(file)
        return self.parameters()

    def inferred(self: DetectorSide, images: Array) -> Array:
        """Those of the network itself: Keras has no other for inference.

        They are in the precision of the side.
        """
        return values_of(self.forward([images]))["outputs"]
