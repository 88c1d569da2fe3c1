"""Files of KerasCV's RetinaNet, loaded, against what keras-cv itself answered (recordings/keras_cv)."""

import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch

from parity_tests.peers.comparison import detections, inputs, picture_of
from parity_tests.peers.hdf5 import describe
from parity_tests.peers.keras_comparison import KerasPeer, judged
from parity_tests.peers.keras_files import layout_of, make_archive, make_file, make_folder, named_in, weights_in
from parity_tests.peers.recorded import Recorded
from parity_tests.peers.relus import compare_gradients
from parity_tests.peers.values import noise
from parity_tests.rule.record import Where
from parity_tests.tests.support.keras_peers import compare_edge, edge_detections, loaded_from
from parity_tests.tests.support.peers import LATE, RECORDINGS, different, first_different, mistaken
from torch_retinanet import RetinaNetConfig, RetinaNetDetector
from torch_retinanet.boxes import scaled
from torch_retinanet.errors import InputError
from torch_retinanet.losses.detection import RetinaNetClassificationLoss
from torch_retinanet.model import RetinaNet
from torch_retinanet.preprocess import prepare
from torch_retinanet.weights import read_weights, write_weights
from torch_retinanet.weights.published.keras_cv import keras_cv_name
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

FOLDER = RECORDINGS / "keras_cv"
PRESETS = {"resnet50": "keras_cv"}

COARSE = ("loss", "grad", "targets", "anchors")
"""keras-cv makes anchors, targets and the weights of both losses in float32, whatever Keras is set to."""

NOT_REPRODUCED = {
    "backbones": "its RetinaNet takes ResNetV2, EfficientNet, YOLOV8 and others; files with ResNets alone are read",
    "augmentations": "JitteredResize and others, which its guide trains with, are drawn at random",
    "deltas of a training pass": "rounding takes two thirds of their budget on ResNet-50; compared on ResNet-18",
    "Keras 2": "files that tf.keras wrote have other layers; Keras 3 wrote those that are read",
}

PICTURES = {"60x90": (60, 90), "120x77": (120, 77)}
TRUTHS = torch.tensor([[8.0, 6.5, 40.25, 50.0], [30.0, 20.0, 75.0, 58.0]])
"""The boxes of both pictures."""

EDGES = ["overlap_half", "overlap_two_fifths", "equal_boxes", "corner", "none"]
QUICK = [("resnet50", 128, 128), ("resnet50", 127, 155), ("resnet18", 122, 154)]
MORE = [
    ("resnet18", 96, 160),
    ("resnet18", 128, 128),
    *(("resnet50", *size) for size in ((96, 160), (122, 154), (160, 224), (224, 160), (256, 192))),
]
PLACE = Where(dtype="float32", mode="isolated")


def peer(variant: str) -> KerasPeer:
    recorded = Recorded(
        folder=FOLDER,
        variant=variant,
        losses={"classification": "class", "bbox_regression": "box"},
        their_name=keras_cv_name,
        channels_last=True,
        coarse=COARSE,
    )
    return KerasPeer(recorded=recorded, scores="confidence")


@cache
def detector(variant: str, **changes: Any) -> RetinaNetDetector:
    return loaded_from(lambda folder: make_folder(folder, FOLDER, variant), **changes)


@pytest.mark.parametrize(
    ("variant", "height", "width"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)]
)
def test_a_loaded_detector_answers_as_keras_cv_does(variant: str, height: int, width: int) -> None:
    records = peer(variant).compare_size(detector(variant), (height, width))
    assert len(records) >= 11
    assert different(records) == []


@pytest.mark.parametrize(
    ("variant", "size"), [("resnet50", (128, 128)), ("resnet50", (122, 154)), ("resnet18", (96, 160))]
)
def test_it_answers_and_detects_in_float32_as_keras_cv_does(variant: str, size: tuple[int, int]) -> None:
    records = peer(variant).compare_size(detector(variant), size, "float32", without=LATE)
    assert sum(record.name.startswith("detections") for record in records) >= 3
    assert different(records) == []


@pytest.mark.parametrize(
    ("variant", "size"),
    [
        pytest.param("resnet18", (128, 128), marks=pytest.mark.ci),
        pytest.param("resnet50", (128, 128), marks=pytest.mark.ci),
        pytest.param("resnet18", (122, 154), marks=pytest.mark.slow),
        pytest.param("resnet50", (122, 154), marks=pytest.mark.slow),
        pytest.param("resnet50", (256, 192), marks=pytest.mark.slow),
    ],
)
def test_gradients_by_weights_in_float32_are_those_of_keras_cv(variant: str, size: tuple[int, int]) -> None:
    records = compare_gradients(peer(variant).recorded, detector(variant), size)
    assert len(records) == 11
    assert different(records) == []


@pytest.mark.parametrize(("decoder", "nms_classes"), [("low", "best_first"), ("of_classes", "each")])
@pytest.mark.parametrize("size", [(128, 128), (122, 154)])
def test_it_detects_with_a_low_threshold_as_both_decoders_do(
    size: tuple[int, int], decoder: str, nms_classes: str
) -> None:
    """`each` is MultiClassNonMaxSuppression, which the package takes as `prediction_decoder`, too."""
    found, place = peer("resnet50"), Where(size=size, dtype="float32", mode="cascaded")
    own = detector("resnet50", score_threshold=0.05, nms_classes=nms_classes).float()
    with torch.no_grad():
        deltas, logits = own.model(inputs(found.recorded, size, "float32"), apart=True)
    outputs = logits, deltas, own.anchors.get_anchors(*size)
    at = f"resnet50/{size[0]}x{size[1]}/float32/detections_{decoder}"
    records = found.compare_detections(at, detections(own, outputs, size), place)
    assert len(records) == 6
    assert different(records) == []


@pytest.mark.parametrize("name", EDGES)
def test_anchors_at_the_edges_of_rules_are_taken_as_keras_cv_takes_them(name: str) -> None:
    records = compare_edge(peer(""), detector("resnet50"), name, (128, 128), "float32")
    assert len(records) == 1
    assert different(records) == []


@pytest.mark.parametrize("limit", [12, 3])
def test_detections_at_the_edges_of_rules_are_those_of_keras_cv(limit: int) -> None:
    found = edge_detections(peer(""), detector("resnet50", detections_per_picture=limit))
    assert different(peer("").compare_detections(f"edges/detections/{limit}", found, PLACE)) == []


@pytest.mark.parametrize("target", ["one", "zero"])
def test_the_focal_loss_of_extreme_logits_is_keras_cvs(target: str) -> None:
    recorded = peer("").recorded
    logits = torch.from_numpy(recorded.arrays["edges/focal/logits"])
    classes = torch.full((len(logits),), 0 if target == "one" else -1)
    ours = RetinaNetClassificationLoss(0.25, 2.0)(logits, classes)
    assert different([judged(f"focal/{target}", recorded.arrays[f"edges/focal/{target}"], ours.numpy(), PLACE)]) == []


@pytest.mark.parametrize("side", [64, 640])
@pytest.mark.parametrize("name", PICTURES)
def test_pictures_and_boxes_become_what_keras_cv_makes_of_them(side: int, name: str) -> None:
    recorded, at = peer("").recorded, f"preprocessing/{side}/{name}"
    config = RetinaNetConfig.keras_cv(min_side=side, max_side=side, pad_multiple=side)
    batch = prepare([picture_of(name, PICTURES[name], recorded.seed, "float32")], config)
    records = [recorded.judge(at, "pictures", batch.images.movedim(1, -1).numpy(), PLACE)]
    boxes = scaled(TRUTHS, *batch.scales[0], TRUTHS)[None].numpy()
    records.append(judged("boxes", recorded.arrays[f"{at}/boxes"], boxes, PLACE))
    assert different(records) == []


@pytest.mark.parametrize(("variant", "outputs"), [("resnet18", ("logits", "deltas")), ("resnet50", ("logits",))])
def test_a_training_pass_gives_keras_cvs_outputs_and_statistics(variant: str, outputs: tuple[str, ...]) -> None:
    """Rounding takes 43 to 65% of the budget of the deeper network's deltas, by the number of threads."""
    fresh, found = loaded_from(lambda folder: make_folder(folder, FOLDER, variant)).double().train(), peer(variant)
    images = torch.from_numpy(noise("128x128", (2, 128, 128, 3), found.recorded.seed)).permute(0, 3, 1, 2).double()
    deltas, logits = fresh.model(images, apart=True)
    norm = fresh.model.fpn.backbone.bn1
    ours = {"conv1_bn/moving_mean": norm.running_mean, "conv1_bn/moving_variance": norm.running_var}
    ours |= {name: {"logits": logits, "deltas": deltas}[name].detach() for name in outputs}
    at, place = f"{variant}/train/float64", Where(dtype="float64", mode="training")
    assert different(found.recorded.judge(at, name, value.numpy(), place) for name, value in ours.items()) == []


def test_a_backbone_that_rescales_is_fed_pictures_as_they_are() -> None:
    recorded, own = peer("").recorded, detector("resnet50").float()
    images = torch.from_numpy(noise("128x128", (2, 128, 128, 3), recorded.seed)).permute(0, 3, 1, 2)
    with torch.no_grad():
        deltas, logits = own.model(255 * images / own.config.pixel_std[0], apart=True)
    found = {"logits": logits, "deltas": deltas}
    assert different(recorded.judge("rescaled", name, value.numpy(), PLACE) for name, value in found.items()) == []


def anonymous(said: Any) -> Any:
    """What a config says, without the addresses of objects."""
    if isinstance(said, dict):
        return {name: anonymous(value) for name, value in said.items() if name != "shared_object_id"}
    return [anonymous(value) for value in said] if isinstance(said, list) else said


@pytest.mark.parametrize(("variant", "std"), [("resnet50", 255.0), ("resnet18", 1.0)])
def test_what_is_written_has_the_layout_of_keras_cvs_files(variant: str, std: float, tmp_path: Path) -> None:
    contents = read_weights(make_archive(tmp_path, FOLDER, variant))
    config = RetinaNetConfig.keras_cv(num_classes=7, backbone=variant, pixel_std=(std,) * 3)
    assert contents.config == config
    for suffix in (".keras", ".weights.h5"):
        path = tmp_path / f"ours{suffix}"
        write_weights(path, contents, to="keras_cv")
        again = read_weights(path)
        assert again.config == config
        assert all(torch.equal(tensor, again.tensors[n]) for n, tensor in contents.tensors.items())
    theirs = layout_of(FOLDER, variant)
    with zipfile.ZipFile(tmp_path / "ours.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert json.loads(archive.read("config.json")) == anonymous(theirs["archive"]["config.json"])
    ours, layout = describe(tmp_path / "ours.weights.h5", {}), theirs["files"]["model.weights.h5"]
    assert weights_in(ours) == weights_in(layout)
    assert named_in(ours) == named_in(layout)


def test_files_of_both_programs_and_of_older_versions_are_told_apart_by_what_they_hold(tmp_path: Path) -> None:
    path = make_file(tmp_path, FOLDER, "model.weights.h5", "resnet18")
    expected = read_weights(path)
    with h5py.File(path, "a") as file:
        for variables in named_in(describe(path, {})):
            file[variables].attrs.pop("name")
        for place in ("optimizer/vars/0", "label_encoder/matched_boxes_metric/vars/0"):
            file.create_dataset(place, data=1.0)
    found = read_weights(path)
    assert found.config == expected.config
    assert all(torch.equal(tensor, found.tensors[n]) for n, tensor in expected.tensors.items())
    make_file(tmp_path, RECORDINGS / "keras_hub", "model.weights.h5", "v1")
    with pytest.raises(InputError, match="looks like KerasHub's RetinaNet, and has no tensor classification_head"):
        read_weights(path)


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    said = json.loads(path.read_text())
    change(said["config"])
    path.write_text(json.dumps(said))


def anchors(model: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = model["label_encoder"]["config"]["anchor_generator"]["config"]
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: model.pop("label_encoder"), "config.json is not what KerasCV writes"),
        (lambda model: model["backbone"].update(class_name="YOLOV8Backbone"), "its backbone is a YOLOV8Backbone"),
        (lambda model: model["label_encoder"]["config"].update(box_variance=[1, 1, 1, 1]), r"box_variance \[1, 1"),
        (lambda model: anchors(model).update(strides=[4, 8, 16, 32, 64]), "strides .* must be 8, 16, 32, 64 and 128"),
        (lambda model: anchors(model).update(scales=[1] * 500), "must have 1 to 100 numbers"),
        (lambda model: anchors(model).update(scales=[1, 2]), "tensor classification_head/prediction_layer.* has shape"),
        (lambda model: model["prediction_decoder"].update(class_name="Other"), "its decoder is a Other"),
    ],
)
def test_a_preset_that_no_config_can_hold_is_refused_in_a_sentence(
    change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path, FOLDER, "resnet18")
    rewritten(folder / "config.json", change)
    with pytest.raises(InputError, match=said):
        read_weights(folder)


def test_what_an_archive_says_of_anchors_and_detections_is_read_and_written(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, FOLDER, "resnet18")
    rewritten(folder / "config.json", lambda m: anchors(m).update(sizes=[16, 32, 64, 128, 256], clip_boxes=False))
    rewritten(folder / "config.json", lambda m: m["prediction_decoder"]["config"].update(max_detections_per_class=100))
    rewritten(
        folder / "config.json", lambda m: m["prediction_decoder"].update(class_name="MultiClassNonMaxSuppression")
    )
    contents = read_weights(folder)
    changes: dict[str, Any] = {"anchor_scale": 2.0, "clip_anchors": False, "nms_classes": "each"}
    config = RetinaNetConfig.keras_cv(7, backbone="resnet18", pixel_std=(1.0, 1.0, 1.0), **changes)
    assert contents.config == config
    write_weights(tmp_path / "ours.keras", contents, to="keras_cv")
    assert read_weights(tmp_path / "ours.keras").config == config
    with pytest.raises(InputError, match=r"cannot say anchor_scale=2\.0, clip_anchors=False"):
        write_weights(tmp_path / "ours.weights.h5", contents, to="keras_cv")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 64}, "has width=256, and this one 64"),
        ({"backbone": "resnext50_32x4d"}, "has no backbone 'resnext50_32x4d'"),
        ({"max_level": 6}, "max_level is 6, and there 7"),
        ({"p7_relu": "none"}, "p7_relu is 'none', and there 'before'"),
    ],
)
def test_a_network_that_the_package_cannot_have_is_not_written(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    config = RetinaNetConfig.keras_cv(2, **{"head_depth": 1, "backbone": "resnet18", **changes})
    with pytest.raises(InputError, match=said):
        write_weights(tmp_path / "ours.keras", WeightsFile(config, plain_tensors(RetinaNet(config))), to="keras_cv")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.planted
@pytest.mark.parametrize(
    ("wrong", "starts_at"),
    [
        ({"stem_padding": "symmetric"}, "c3"),
        ({"stride2_padding": "symmetric"}, "p6"),
        ({"clip_anchors": False}, "anchors"),
        ({"delta_axes": "xy"}, "targets/deltas"),
        ({"box_loss_sum": "sum"}, "loss/box"),
    ],
)
def test_a_wrong_convention_is_named_where_it_starts(wrong: dict[str, Any], starts_at: str) -> None:
    records = peer("resnet50").compare_size(mistaken(detector("resnet50"), **wrong), (128, 128), without=LATE)
    assert first_different(records) == starts_at
