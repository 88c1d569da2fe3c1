"""Pictures in batches, held once against the same pictures one by one: by the rule of certificates."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from torch_retinanet.engines.comparison import Distance, FoundObjects, distance
from torch_retinanet.predict import Engine
from torch_retinanet.terminal import note
from torch_retinanet.tiles import Tiling


class CheckedBatches:
    """An engine whose batches are compared with single pictures once, on the first on which anything is found.

    A library chooses its kernels by the size of a batch, and each of them rounds in its own way. Where that changes
    what is found beyond the budget of a certificate, every picture goes through the network by itself. Either is said.

    Args:
        engine: what detects.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.alone: bool | None = None

    def predict(
        self, pictures: Sequence[Any], *, batch_size: int = 8, tiling: Tiling | None = None
    ) -> list[dict[str, Tensor]]:
        """Detections of pictures, as those of the engine."""
        if self.alone is not None or batch_size == 1 or (tiling is None and len(pictures) == 1):
            return self.engine.predict(pictures, batch_size=1 if self.alone else batch_size, tiling=tiling)
        single = self.engine.predict(pictures, batch_size=1, tiling=tiling)
        found = self.engine.predict(pictures, batch_size=batch_size, tiling=tiling)
        if not any(len(one["scores"]) for one in (*single, *found)):
            return single  # which says nothing
        apart = max((_distance(*pair) for pair in zip(single, found, strict=True)), key=lambda one: one.share)
        self.alone = apart.share > 1
        note(f"retinanet: {_in_words(apart, batch_size)}")
        return single if self.alone else found


def _in_words(apart: Distance, batch_size: int) -> str:
    if apart.share > 1:
        return f"batches of {batch_size} find other than single pictures ({apart.reason}); pictures go one by one"
    return (
        f"batches of {batch_size} find what single pictures find, at most {apart.share:.3f} of what rounding may cost"
    )


def _distance(single: dict[str, Tensor], found: dict[str, Tensor]) -> Distance:
    names = ("boxes", "scores", "labels")
    expected, given = (FoundObjects(*(one[name].cpu().numpy() for name in names)) for one in (single, found))
    return distance(expected, given)
