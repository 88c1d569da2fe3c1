"""Our detector, loaded from a peer's own file, on what the peer was asked: records of all that it answered."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from parity_tests.peers.border import with_ties_as
from parity_tests.peers.recorded import Recorded
from parity_tests.peers.values import noise, picture, true_boxes
from parity_tests.rule.record import Record, Where
from torch_retinanet import RetinaNetDetector
from torch_retinanet.boxes import clip, decode, encode, swapped
from torch_retinanet.postprocess import FACTORS, clip_own_edges
from torch_retinanet.preprocess import prepare
from torch_retinanet.targets import IGNORED, Targets

Answers = dict[str, np.ndarray]
Truths = list[tuple[Tensor, Tensor]]

DTYPES = {"float64": torch.float64, "float32": torch.float32}
MAPS = ("stem", "c2", "c3", "c4", "c5", "p3", "p4", "p5", "p6", "p7")
C2 = "conv2_block3"
"""The tap of C2 in a ResNet-50 or deeper of which the pyramid takes none."""

DETECTIONS = ("detections", "raw_detections")
"""Where a size's detections are."""

NO_ANSWER = ("boxes_clipped", "scores", "normaliser", "second/", "loss/total", "loss/keras_total")
"""What a peer's recording has beside answers that are compared here."""


def inputs(recorded: Recorded, size: tuple[int, int], dtype: str) -> Tensor:
    """What enters the network `[B,3,H,W]`: the noise that the peer was given."""
    count = recorded.count(size)
    shape = (count, *size, 3) if recorded.channels_last else (count, 3, *size)
    images = torch.from_numpy(noise(f"{size[0]}x{size[1]}", shape, recorded.seed)) * recorded.deviation
    return (images.permute(0, 3, 1, 2) if recorded.channels_last else images).to(DTYPES[dtype])


def truths(recorded: Recorded, size: tuple[int, int]) -> Truths:
    """Boxes `[G,4]` in float64 and labels `[G]` of each picture, as the peer was given; the second has none."""
    found = []
    for number in range(recorded.count(size)):
        boxes = true_boxes(f"{size[0]}x{size[1]}/{number}", 0 if number == 1 else 4, *size, recorded.seed)
        if recorded.channels_last and max(size) >= 256 and number == 0:  # as `keras_recording.truths` has it
            boxes = np.concatenate([boxes, [[0.0, 0.0, size[1], size[0]]]])
        found.append((torch.from_numpy(boxes), torch.arange(len(boxes)) * 2 % int(recorded.facts["classes"])))
    return found


def compare_size(
    recorded: Recorded,
    detector: RetinaNetDetector,
    size: tuple[int, int],
    dtype: str = "float64",
    *,
    without: Sequence[str] = (),
) -> list[Record]:
    """Records of one size: taps, outputs, anchors, targets, losses, gradients, detections.

    Args:
        recorded: the peer's answers.
        detector: loaded from the peer's file, in evaluation mode; it is brought into the precision.
        size: height and width, one that is recorded.
        dtype: the precision.
        without: beginnings of names of what is not compared.
    """
    where = recorded.path(f"{size[0]}x{size[1]}", dtype)
    place = Where(size=size, dtype=dtype, mode="cascaded", subject=recorded.variant)
    detector = detector.to(DTYPES[dtype])
    known = [n for n in recorded.names(where) if not (recorded.is_left_out(n) or n.startswith(tuple(without)))]
    ours, outputs = answers(recorded, detector, size, dtype, weights=any(n.startswith("grad_sum") for n in known))
    single = [name for name in known if "detections/" not in name and not name.startswith(NO_ANSWER)]
    records = [recorded.judge(where, name, ours.get(name), place) for name in single]
    for within in DETECTIONS:
        if any(name.startswith(f"{within}/") for name in known):
            records += compare_detections(recorded, where, within, detections(detector, outputs, size), place)
    return records


def answers(
    recorded: Recorded, detector: RetinaNetDetector, size: tuple[int, int], dtype: str, *, weights: bool
) -> tuple[Answers, tuple[Tensor, Tensor, Tensor]]:
    """Ours by the names of recordings, and logits, deltas and anchors.

    Losses and gradients are of targets in which anchors at the border are as in the recording, where it has states.
    """
    taps: dict[str, Tensor] = {}
    images = inputs(recorded, size, dtype)
    deltas, logits = detector.model(images, taps, apart=True)
    anchors = detector.anchors.get_anchors(*size, dtype=images.dtype)
    known = truths(recorded, size)
    boxes, labels = [boxes.to(anchors) for boxes, _ in known], [labels for _, labels in known]
    per_level = detector.anchors.anchors_per_level(*size)
    targets = detector.label_encoder.encode_batch(anchors, boxes, labels, per_level)
    targets = detector.label_encoder.ignore_outside(targets, anchors, [size] * len(boxes))
    states = recorded.arrays.get(recorded.path(f"{size[0]}x{size[1]}", dtype, "targets/state"))
    settled = targets if states is None else with_ties_as(targets, states, anchors, size)
    losses = detector.loss(logits, deltas, settled, anchors)
    found: dict[str, Tensor] = {name: taps[name] for name in MAPS if name in taps}
    found |= {"c2": taps[C2]} if "c2" not in taps and C2 in taps else {}
    found |= {"logits": logits, "deltas": deltas, "anchors": in_its_order(recorded, anchors)}
    found |= {f"loss/{recorded.losses[name]}": loss for name, loss in losses.items()}
    found |= gradients(recorded, detector, losses, (logits, deltas), weights=weights)
    last = {name: tap.movedim(1, -1) for name, tap in found.items() if recorded.channels_last and name in MAPS}
    ours = {name: value.detach().cpu().numpy() for name, value in (found | last).items()}
    return ours | targets_as_recorded(targets, known, recorded, size, dtype), (logits, deltas, anchors)


def gradients(
    recorded: Recorded,
    detector: RetinaNetDetector,
    losses: Mapping[str, Tensor],
    outputs: Sequence[Tensor],
    *,
    weights: bool,
) -> dict[str, Tensor]:
    """The gradients of the sum of losses, by outputs and, where they are asked for, by weights."""
    total = sum(losses.values(), torch.zeros((), dtype=outputs[0].dtype))
    by_logits, by_deltas = torch.autograd.grad(total, list(outputs), retain_graph=True)
    found = {"grad_logits": by_logits, "grad_logits_positive": by_logits, "grad_deltas_positive": by_deltas}
    if weights:
        named = dict(detector.model.named_parameters())
        trained = {name: value for name, value in named.items() if value.requires_grad}
        sums = torch.autograd.grad(total, list(trained.values()), allow_unused=True)
        pairs = [(n, gradient) for n, gradient in zip(trained, sums, strict=True) if gradient is not None]
        found |= {f"grad_sum/{recorded.their_name(name)}": gradient.abs().sum() for name, gradient in pairs}
    return found


def targets_as_recorded(
    targets: Targets, known: Truths, recorded: Recorded, size: tuple[int, int], dtype: str
) -> Answers:
    """Rows `[P,2]` of pictures and anchors that are positive or ignored, and of positive ones the box.

    Labels of a picture's boxes differ, hence the class tells the box.
    """
    classes = targets.classes.numpy()
    rows = np.argwhere(classes >= 0)
    labels = [labels.tolist() for _, labels in known]
    boxes = np.array([labels[picture].index(classes[picture, anchor]) for picture, anchor in rows], dtype=np.int64)
    return {
        "positives": rows,
        "positives_box": boxes,
        "positives_label": classes[rows[:, 0], rows[:, 1]],
        "ignored": np.argwhere(classes == IGNORED),
        "targets/label": classes,
        "targets/deltas": targets.deltas.numpy(),
        "positives_target": matched_boxes(targets, known),
    }


def matched_boxes(targets: Targets, known: Truths) -> np.ndarray:
    """The true box `[B,N,4]` of each positive anchor."""
    found = np.zeros((*targets.classes.shape, 4))
    for number, (boxes, labels) in enumerate(known):
        for box, label in zip(boxes.numpy(), labels.tolist(), strict=True):
            found[number][targets.classes[number].numpy() == label] = box
    return found


def detections(
    detector: RetinaNetDetector, outputs: tuple[Tensor, Tensor, Tensor], size: tuple[int, int]
) -> list[dict[str, Tensor]]:
    """What is detected on each picture of a batch that has no padding."""
    logits, deltas, anchors = (value.detach() for value in outputs)
    per_level = detector.anchors.anchors_per_level(*size)
    return detector.decode_predictions(logits, deltas, anchors, per_level, [size] * len(logits))


def compare_detections(
    recorded: Recorded, where: str, within: str, found: Iterable[Mapping[str, Tensor]], place: Where
) -> list[Record]:
    """Records of the detections of each picture; of near ties it does not matter which comes first."""
    records = []
    for number, one in enumerate(found):
        values = {"boxes": in_its_order(recorded, one["boxes"]).numpy()}
        values |= {name: one[name].numpy() for name in ("scores", "labels")}
        at = f"{within}/{number}"
        order = in_order({name: recorded.arrays[f"{where}/{at}/{name}"] for name in values}, values)
        records += [recorded.judge(where, f"{at}/{name}", value[order], place) for name, value in values.items()]
    return records


def in_its_order(recorded: Recorded, boxes: Tensor) -> Tensor:
    """Boxes `[N,4]` in the order that the peer has of their edges, or back."""
    return swapped(boxes) if recorded.rows_first else boxes


def in_order(theirs: Mapping[str, np.ndarray], ours: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which of our detections is which of theirs: of the same label the one whose box is nearest; then what is left."""
    free = np.ones(len(ours["labels"]), dtype=bool)
    order: list[int] = []
    for box, label in zip(theirs["boxes"], theirs["labels"], strict=True):
        candidates = np.flatnonzero(free & (ours["labels"] == label))
        if not len(candidates):
            continue
        nearest = candidates[np.abs(ours["boxes"][candidates] - box).max(axis=1).argmin()]
        free[nearest] = False
        order.append(int(nearest))
    return np.array([*order, *np.flatnonzero(free)], dtype=np.int64)


def compare_pictures(
    recorded: Recorded, where: str, detector: RetinaNetDetector, sizes: Mapping[str, Sequence[int]], dtype: str
) -> list[Record]:
    """Records of what pictures of random bytes become, each alone; and of all together, where that is recorded.

    Peers pad the pictures of a batch to one size; so do we here, while a detector that is called pads each by itself.
    """
    place, at = Where(data="pictures", dtype=dtype, mode="cascaded", subject=recorded.variant), recorded.path(where)
    detector = detector.to(DTYPES[dtype])
    images = {name: picture_of(name, size, recorded.seed, dtype) for name, size in sizes.items()}
    fed = {name: prepare([image], detector.config).images for name, image in images.items()}
    known = recorded.names(at)
    if "both/fed" in known:
        fed["both"] = prepare(list(images.values()), detector.config).images
    wanted = [name for name in fed if f"{name}/fed" in known and not recorded.is_left_out(f"{where}/{name}/fed")]
    records = [recorded.judge(at, f"{name}/fed", fed[name].numpy(), place) for name in wanted]
    if "both/detections/0/boxes" in known and not recorded.is_left_out(f"{where}/both/detections"):
        with torch.no_grad():
            found = detector._detect_batch([image for name, image in images.items() if name in list(sizes)[:2]])
        records += compare_detections(recorded, at, "both/detections", found, place)
    return records


def picture_of(name: str, size: Sequence[int], seed: int, dtype: str) -> Tensor:
    """A recorded picture `[3,H,W]`, from 0 to 1."""
    image = picture(name, size[0], size[1], seed)
    return torch.from_numpy(image).permute(2, 0, 1).to(DTYPES[dtype]) / 255


def compare_coder(recorded: Recorded, detector: RetinaNetDetector, *, spread: float = 3.0) -> list[Record]:
    """Records of the coding of boxes, with deltas that reach the clamp."""
    seed, config = recorded.seed, detector.config
    anchors, boxes = (
        in_its_order(recorded, torch.from_numpy(true_boxes(f"coder/{name}", 64, 300, 400, seed)))
        for name in ("anchors", "boxes")
    )
    deltas = spread * torch.from_numpy(noise("coder/deltas", (64, 4), seed)).double()
    variance, coding, axes = config.box_variance, config.box_coding, config.delta_axes
    decoded = decode(deltas, anchors, variance, coding=coding, axes=axes, **FACTORS[config.box_clamp])
    clip_boxes = clip if config.clip_edges == "all" else clip_own_edges
    found = {
        "encoded": encode(boxes, anchors, variance, coding=coding, axes=axes),
        "decoded": in_its_order(recorded, decoded),
        "clipped": in_its_order(recorded, clip_boxes(decoded, 300, 400)),
    }
    place = Where(data="coder", dtype="float64", mode="cascaded")
    known = [name for name in recorded.names("coder") if name in found]
    return [recorded.judge("coder", name, found[name].numpy(), place) for name in known]


def compare_training(
    recorded: Recorded, where: str, detector: RetinaNetDetector, size: tuple[int, int], norms: Mapping[str, str]
) -> list[Record]:
    """Records of one pass in training mode: losses, and the running statistics that it leaves.

    Args:
        recorded: the peer's answers.
        where: the name under which they are.
        detector: loaded from the peer's file; it is left in evaluation mode, with its statistics moved.
        size: height and width.
        norms: the modules whose statistics are recorded, in our model, by their recorded names.
    """
    place = Where(size=size, dtype="float64", mode="training", subject=recorded.variant)
    detector = detector.double().train()
    ours, _ = answers(recorded, detector, size, "float64", weights=False)
    for name, module in norms.items():
        for kind in ("running_mean", "running_var"):
            ours[f"{name}/{kind}"] = detector.model.get_submodule(module).get_buffer(kind).numpy()
    detector.eval()
    at = recorded.path(where)
    return [recorded.judge(at, name, ours.get(name), place) for name in recorded.names(at)]
