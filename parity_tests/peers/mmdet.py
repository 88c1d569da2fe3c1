"""MMDetection's RetinaNet with ResNet-50, in pytorch and in caffe style, run by MMDetection itself.

    python -m parity_tests.peers.mmdet --out FOLDER

The compiled operators of mmcv are stood in for, as only one of them is used: its NMS, by torchvision's. Both drop a box
whose IoU with a better one is above the threshold. The rest is mmcv's, mmengine's and mmdet's own code.
"""

import sys
import types
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor

from parity_tests.peers.recording import Recording, Tuning
from parity_tests.peers.torch_recording import (
    CLASSES,
    DTYPES,
    WANTED_DELTAS,
    arguments,
    arrays,
    detections,
    entries,
    gradients,
    inputs,
    levels,
    truths,
    tune,
    values,
    versions,
    weight_gradients,
)
from parity_tests.peers.values import noise, picture, true_boxes

SIZES = {(128, 128): 2, (160, 224): 1, (97, 161): 2}
SINGLE = ((128, 128),)
"""The sizes that are also answered in float32."""

PICTURES = {"60x90": (60, 90), "120x77": (120, 77), "660x1300": (660, 1300)}
"""The last is recorded up to the network alone, at the size of the published config."""

SMALL = (266, 160)
"""The longest and the shortest side of the pictures that are detected on."""

CONFIGS = {"pytorch": "retinanet_r50_fpn_1x_coco.py", "caffe": "retinanet_r50-caffe_fpn_1x_coco.py"}
INPUT = {"pytorch": 1.0, "caffe": 64.0}
"""The deviation of what enters the network; the stem's kernel is divided by it."""

LAST = ("bbox_head.retina_cls", "bbox_head.retina_reg")
WATCHED = (
    "backbone.conv1.weight",
    "backbone.layer2.0.bn1.weight",
    "backbone.layer2.0.downsample.0.weight",
    "backbone.layer4.2.conv3.weight",
    "neck.lateral_convs.0.conv.weight",
    "neck.fpn_convs.3.conv.weight",
    "neck.fpn_convs.4.conv.bias",
    "bbox_head.cls_convs.0.conv.weight",
    "bbox_head.retina_reg.bias",
)


def stand_in() -> None:
    """Puts a module in the place of mmcv's compiled operators, with NMS alone."""
    module = types.ModuleType("mmcv._ext")

    def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
        assert offset == 0
        return torch.as_tensor(torchvision.ops.nms(boxes, scores, iou_threshold))

    def absent(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return partial(refuse, name)

    module.__dict__.update(nms=nms, __getattr__=absent)
    sys.modules["mmcv._ext"] = module


def refuse(name: str, *_: Any, **__: Any) -> None:
    """What every other compiled operator does."""
    raise NotImplementedError(f"{name}: is not stood in for")


def build(style: str) -> tuple[Any, Any]:
    """The model of a published config, with any weights and few classes, and the config."""
    import mmdet
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules
    from mmengine.config import Config

    register_all_modules(init_default_scope=True)
    config = Config.fromfile(Path(mmdet.__file__).parent / ".mim/configs/retinanet" / CONFIGS[style])
    config.model.bbox_head.num_classes = CLASSES
    return MODELS.build(config.model).eval(), config


def network(model: Any, images: Tensor) -> dict[str, Any]:
    """All that the model makes of normalised pictures, stage by stage, by its own parts."""
    body = model.backbone(images)
    features = model.neck(body)
    scores, boxes = model.bbox_head(features)
    return {"body": body[1:], "features": features, "scores": scores, "boxes": boxes}


def rows(maps: list[Tensor], width: int) -> Tensor:
    """Maps of a head as rows of anchors, in the order in which the head flattens them."""
    return torch.cat([level.permute(0, 2, 3, 1).reshape(len(level), -1, width) for level in maps], dim=1)


def outputs(model: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and deltas."""
    answer = network(model, images)
    return rows(answer["scores"], CLASSES), rows(answer["boxes"], 4)


def unrolled(flat: Tensor, maps: list[Tensor], width: int) -> list[Tensor]:
    """Rows of anchors as maps of a head: the reverse of `rows`."""
    counts = [level.shape[1] // width * level.shape[2] * level.shape[3] for level in maps]
    parts = zip(torch.split_with_sizes(flat, counts, dim=1), maps, strict=True)
    return [part.reshape(len(part), *level.shape[2:], -1).permute(0, 3, 1, 2) for part, level in parts]


def instances(size: tuple[int, int], count: int, seed: int, dtype: torch.dtype) -> list[Any]:
    """True boxes as the package holds them."""
    from mmengine.structures import InstanceData

    return [InstanceData(bboxes=boxes.to(dtype), labels=labels) for boxes, labels in truths(size, count, seed, CLASSES)]


def answer_size(record: Recording, where: str, model: Any, size: tuple[int, int], seed: int, deviation: float) -> None:
    """Records one size in the precision of the model."""
    dtype, count = next(model.parameters()).dtype, SIZES[size]
    answer = network(model, deviation * inputs(size, count, seed).to(dtype))
    metas = [{"img_shape": size, "pad_shape": size, "ori_shape": size, "scale_factor": (1.0, 1.0)}] * count
    truth, head = instances(size, count, seed, dtype), model.bbox_head
    logits, deltas = rows(answer["scores"], CLASSES), rows(answer["boxes"], 4)
    anchors = torch.cat(head.prior_generator.grid_priors([m.shape[-2:] for m in answer["scores"]], dtype=dtype,
                                                         device="cpu"))  # fmt: skip
    levels(record, where, "c", 3, answer["body"])
    levels(record, where, "p", 3, answer["features"])
    for name, value in (("logits", logits), ("deltas", deltas), ("anchors", anchors)):
        record.add(f"{where}/{name}", arrays(value))
    matched = matches(head, anchors, truth)
    record.add_all(f"{where}/positives", np.argwhere(matched >= 0).astype(np.int32))
    record.add_all(f"{where}/positives_box", matched[matched >= 0].astype(np.int32))
    record.add_all(f"{where}/ignored", np.argwhere(matched == -2).astype(np.int32))
    maps = (unrolled(logits, answer["scores"], CLASSES), unrolled(deltas, answer["boxes"], 4))
    losses = {name: sum(parts) for name, parts in head.loss_by_feat(*maps, truth, metas).items()}
    gradients(record, where, losses, logits, deltas, np.argwhere(matched >= 0))
    if size == (128, 128):
        weight_gradients(record, where, model, losses, WATCHED)
    with torch.no_grad():
        for number, one in enumerate(head.predict_by_feat(*maps, batch_img_metas=metas, rescale=False)):
            detections(record, f"{where}/detections/{number}", one.bboxes, one.scores, one.labels)


def answer_padded(record: Recording, where: str, model: Any, seed: int, deviation: float) -> None:
    """Records a batch whose second picture is smaller: anchors outside its own padding have no part in the loss."""
    size = (128, 128)
    answer = network(model, deviation * inputs(size, 2, seed).double())
    metas = [
        {"img_shape": size, "pad_shape": size, "ori_shape": size, "scale_factor": (1.0, 1.0)},
        {"img_shape": (97, 60), "pad_shape": (128, 64), "ori_shape": (97, 60), "scale_factor": (1.0, 1.0)},
    ]
    given = (answer["scores"], answer["boxes"])
    losses = model.bbox_head.loss_by_feat(*given, instances(size, 2, seed, torch.float64), metas)
    for name, parts in losses.items():
        record.add_all(f"{where}/loss/{name}", arrays(sum(parts)))
    for number, one in enumerate(model.bbox_head.predict_by_feat(*given, batch_img_metas=metas, rescale=False)):
        detections(record, f"{where}/detections/{number}", one.bboxes, one.scores, one.labels)


def matches(head: Any, anchors: Tensor, truth: list[Any]) -> np.ndarray:
    """The box of each anchor `[B,A]`; -1 background, -2 ignored."""
    from mmengine.structures import InstanceData

    found = []
    for one in truth:
        known = head.assigner.assign(InstanceData(priors=anchors), one).gt_inds  # 0 background, -1 ignored
        found.append(torch.where(known > 0, known - 1, -1 + torch.clamp(known, max=0)))
    return arrays(torch.stack(found))


def answer_pictures(record: Recording, where: str, model: Any, seed: int, scale: tuple[int, int]) -> None:
    """Records what pictures become before the network, and, of small ones, what is detected on them together."""
    from mmdet.datasets.transforms import Resize
    from mmdet.structures import DetDataSample

    batch: dict[str, list[Any]] = {"inputs": [], "data_samples": []}
    for name, size in PICTURES.items():
        image = picture(name, *size, seed)[..., ::-1].copy()
        found = Resize(scale=scale, keep_ratio=True)({"img": image})
        sample = DetDataSample(metainfo={"ori_shape": size, "img_shape": found["img_shape"],
                                         "scale_factor": found["scale_factor"]})  # fmt: skip
        one = {"inputs": [torch.from_numpy(found["img"]).permute(2, 0, 1)], "data_samples": [sample]}
        record.add(f"{where}/{name}/resized", found["img"])
        record.add_all(f"{where}/{name}/scale", np.array(found["scale_factor"], np.float64))
        record.add(f"{where}/{name}/fed", arrays(model.data_preprocessor(dict(one), False)["inputs"]))
        if scale == SMALL and name != "660x1300":
            batch = {key: value + one[key] for key, value in batch.items()}
    if scale == SMALL:
        with torch.no_grad():
            for number, answer in enumerate(model.test_step(batch)):
                one = answer.pred_instances
                detections(record, f"{where}/both/detections/{number}", one.bboxes, one.scores, one.labels)


def answer_coder(record: Recording, model: Any, seed: int) -> None:
    """Records the coding of boxes, with deltas that reach the clamps."""
    anchors = torch.from_numpy(true_boxes("coder/anchors", 64, 300, 400, seed))
    boxes = torch.from_numpy(true_boxes("coder/boxes", 64, 300, 400, seed))
    deltas = 3 * torch.from_numpy(noise("coder/deltas", (64, 4), seed)).double()
    coder = model.bbox_head.bbox_coder
    record.add_all("coder/encoded", arrays(coder.encode(anchors, boxes)))
    record.add_all("coder/decoded", arrays(coder.decode(anchors, deltas)))
    record.add_all("coder/clipped", arrays(coder.decode(anchors, deltas, max_shape=(300, 400))))


def save(path: Path, model: Any, config: Any, tuning: Tuning) -> dict[str, Any]:
    """Saves as mmengine does what is published: meta and state dict; loads it back, and gives the layout."""
    from mmengine.runner.checkpoint import get_state_dict, load_checkpoint, save_checkpoint, weights_to_cpu

    meta = {"mmdet_version": "3.3.0", "dataset_meta": {"classes": [f"kind {k}" for k in range(CLASSES)]},
            "epoch": 12, "cfg": config.pretty_text}  # fmt: skip
    state = weights_to_cpu(get_state_dict(model))
    save_checkpoint({"meta": meta, "state_dict": state}, str(path))
    load_checkpoint(model, str(path), map_location="cpu", strict=True)
    return {
        "container": "torch.save of a dict",
        "meta": {name: value if name != "cfg" else "the config as text" for name, value in meta.items()},
        "state_dict": entries(state, tuning),
    }


def main() -> None:
    """Builds, saves, loads and records both styles."""
    warnings.simplefilter("ignore")
    options = arguments(__doc__).parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    stand_in()
    record, layout, seed = Recording(whole=options.whole), {}, options.seed
    for style in CONFIGS:
        model, config = build(style)
        answer = partial(outputs, model, inputs((128, 128), 1, seed))
        stem = {"backbone.conv1.weight": (1 / INPUT[style], 0.0)}
        tuning = {**tune(model, answer, seed, LAST, spread=WANTED_DELTAS), **stem}
        model.load_state_dict(values(model, seed, tuning))
        file = f"weights_{style}.pth"
        layout[file] = save(options.out / file, model, config, tuning)
        for name, dtype in DTYPES.items():
            model.to(dtype)
            for size in SIZES:
                if name == "float64" or size in SINGLE:
                    answer_size(record, f"{style}/{size[0]}x{size[1]}/{name}", model, size, seed, INPUT[style])
        answer_padded(record, f"{style}/padded/float64", model.double(), seed, INPUT[style])
        model.float()
        answer_pictures(record, f"{style}/pictures", model, seed, (1333, 800))
        answer_pictures(record, f"{style}/small", model, seed, SMALL)
    answer_coder(record, model, seed)
    write(record, options.out, layout, seed)


def write(record: Recording, folder: Path, layout: dict[str, Any], seed: int) -> None:
    """Writes the recording with what was assumed."""
    import cv2
    import mmcv
    import mmdet
    import mmengine

    facts = {
        "package": "mmdet",
        "versions": versions(mmdet, mmcv, mmengine, cv2, torchvision),
        "seed": str(seed),
        "classes": str(CLASSES),
        "sizes": {f"{h}x{w}": count for (h, w), count in SIZES.items()},
        "pictures": PICTURES,
        "small": SMALL,
        "input": INPUT,
        "configs": CONFIGS,
        "assumed": "BatchNorm by its statistics; pictures of values.py are RGB and handed over as BGR; each picture "
        "alone in pictures/, the first two as one batch in small/both; in padded/ the second picture is 97x60, padded "
        "to 128x64 alone and to 128x128 in the batch",
    }
    record.write(folder, facts, {"files": layout})


if __name__ == "__main__":
    main()
