"""DeepForest's RetinaNet, torchvision's under its own settings: folders of the Hub, and Lightning checkpoints.

Source: DeepForest 2.1.0, models/retinanet.py, main.py and conf/config.yaml.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.published.published import Assumption, Published
from torch_retinanet.weights.published.torchvision import torchvision_name
from torch_retinanet.weights.weights_file import WeightsFile

START = "model."
"""How names begin in its checkpoints, and not in its folders of the Hub."""

SETTINGS = {"score_thresh": "score_threshold", "nms_thresh": "nms_iou"}
"""Its names of fields that its files say."""


OF_HUB = "weecology/deepforest-tree"
"""The model of the Hub on which DeepForest builds by default: its BatchNorm has an eps of 1e-5."""

LIGHTNING = "2.6.6"
"""The version of Lightning that a checkpoint names, without which Lightning reads none."""


def settings_of(found: TensorFile) -> Mapping[str, Any]:
    """The `config.json` of a folder, or the config in the hyper-parameters of a checkpoint."""
    within = found.settings.get("hyper_parameters")
    config = within.get("config") if isinstance(within, Mapping) else found.settings
    return config if isinstance(config, Mapping) else {}


def is_deepforest(found: TensorFile) -> bool:
    """Whether the settings in a file are DeepForest's."""
    return {"label_dict", "score_thresh", "nms_thresh"} <= settings_of(found).keys()


def class_names(found: TensorFile) -> Sequence[str]:
    """The names of classes by their numbers, where those are 0 and so on."""
    labels = settings_of(found).get("label_dict") or found.settings.get("label_dict")
    if not isinstance(labels, Mapping) or sorted(map(str, labels.values())) != sorted(map(str, range(len(labels)))):
        return ()
    return [str(name) for name, _ in sorted(labels.items(), key=lambda item: int(item[1]))]


def told(found: TensorFile, config: RetinaNetConfig) -> dict[str, Any]:
    """Thresholds; and an eps of 0 for a checkpoint of a model that began as torchvision's COCO weights."""
    settings = settings_of(found)
    said = {ours: settings[name] for name, ours in SETTINGS.items() if isinstance(settings.get(name), (int, float))}
    model = settings.get("model")
    from_coco = isinstance(model, Mapping) and model.get("name", "") is None
    return {**said, "bn_eps": 0.0} if from_coco else said


def _assumed(found: TensorFile, config: RetinaNetConfig) -> tuple[Assumption, ...]:
    """The eps, where settings do not say which model it began as."""
    words = (
        f"its file does not say BatchNorm's eps: {config.bn_eps:g} is assumed, which DeepForest has for what it loads "
        "from the Hub, and what was trained from torchvision's first COCO weights has 0, which bn_eps=0 states"
    )
    return () if isinstance(settings_of(found).get("model"), Mapping) else (Assumption(("bn_eps",), words),)


def _says(config: RetinaNetConfig) -> dict[str, Any]:
    """An eps of 0, as weights have that began as torchvision's; and the thresholds."""
    thresholds = {name: getattr(config, name) for name in SETTINGS.values()}
    return thresholds | ({"bn_eps": 0.0} if config.bn_eps == 0 else {})


def _checkpoint(tensors: Mapping[str, Tensor], contents: WeightsFile) -> dict[str, Any]:
    config, names = contents.config, contents.class_names or [str(n) for n in range(contents.config.num_classes)]
    labels = {name: number for number, name in enumerate(names)}
    said = {name: getattr(config, ours) for name, ours in SETTINGS.items()}
    settings = {"architecture": "retinanet", "num_classes": config.num_classes, "label_dict": labels, **said}
    settings["model"] = {"name": None if config.bn_eps == 0 else OF_HUB, "revision": "main"}
    return {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": LIGHTNING,
        "state_dict": {f"{START}{name}": tensor for name, tensor in tensors.items()},
        "hyper_parameters": {"config": settings},
        "label_dict": labels,
        "numeric_to_label_dict": {number: name for name, number in labels.items()},
    }


DEEPFOREST = Published(
    preset="deepforest",
    title="DeepForest's RetinaNet",
    their_name=torchvision_name,
    tell=told,
    class_names=class_names,
    is_marked=is_deepforest,
    assumed=_assumed,
    holds_names=True,
    has_counters=False,
    suffixes=(".ckpt", ".pth", ".pt"),
    says=_says,
    held=_checkpoint,
)
