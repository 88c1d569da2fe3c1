"""What tests of peers in Keras share: their detectors, loaded from files made again, and recorded edge cases."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parity_tests.peers.comparison import DTYPES
from parity_tests.peers.keras_comparison import KerasPeer
from parity_tests.rule.record import Record, Where
from torch_retinanet import RetinaNetDetector


def loaded_from(make: Callable[[Path], Path], **changes: Any) -> RetinaNetDetector:
    """The detector in a file or folder that is made for it, and removed."""
    with tempfile.TemporaryDirectory() as folder:
        return RetinaNetDetector.from_pretrained(make(Path(folder)), **changes)


def compare_edge(
    peer: KerasPeer, detector: RetinaNetDetector, name: str, size: tuple[int, int], dtype: str = "float64"
) -> list[Record]:
    """Records of the targets of a recorded edge case, in a batch of 128 by 128, of a picture of this size.

    An edge at which anchors are no round numbers is met in the precision of the peer alone.
    """
    place = Where(size=size, dtype=dtype, mode="isolated", subject=name)
    truths = torch.from_numpy(peer.recorded.arrays[f"edges/{name}/truths"])
    anchors = detector.anchors.get_anchors(128, 128, dtype=DTYPES[dtype])
    targets = detector.label_encoder.encode_batch(anchors, [truths], [torch.arange(len(truths))])
    targets = detector.label_encoder.ignore_outside(targets, anchors, [size])
    return peer.compare_targets(f"edges/{name}", targets, place)


def edge_detections(peer: KerasPeer, detector: RetinaNetDetector) -> list[dict[str, Tensor]]:
    """What the detector keeps of the recorded boxes and scores: they are anchors of which nothing is moved."""
    boxes, scores = (torch.from_numpy(peer.recorded.arrays[f"edges/detections/given_{n}"]) for n in ("boxes", "scores"))
    anchors = boxes[:, list(peer.edges)]
    sizes = [(2**20, 2**20)]
    return detector.decode_predictions(
        scores.logit()[None], torch.zeros_like(anchors)[None], anchors, [len(anchors)], sizes
    )
