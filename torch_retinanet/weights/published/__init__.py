"""Published RetinaNets whose files are read and written: one module each, told apart by the names of tensors."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from torch_retinanet.errors import InputError
from torch_retinanet.weights.containers.state_dict import AVERAGED
from torch_retinanet.weights.containers.tensor_file import TensorFile
from torch_retinanet.weights.published.cvisionai import CVISIONAI
from torch_retinanet.weights.published.deepforest import DEEPFOREST
from torch_retinanet.weights.published.detectron2 import DETECTRON2
from torch_retinanet.weights.published.fizyr import FIZYR
from torch_retinanet.weights.published.keras_cv import KERAS_CV
from torch_retinanet.weights.published.keras_hub import KERAS_HUB, KERAS_HUB_V2
from torch_retinanet.weights.published.keras_io import KERAS_IO
from torch_retinanet.weights.published.mmdet import MMDET, MMDET_CAFFE
from torch_retinanet.weights.published.monai import MONAI
from torch_retinanet.weights.published.published import PROBES, Published
from torch_retinanet.weights.published.tf_models import TF_MODELS
from torch_retinanet.weights.published.torchvision import TORCHVISION, TORCHVISION_V2
from torch_retinanet.weights.published.yhenon import YHENON
from torch_retinanet.weights.weights_file import WeightsFile

PUBLISHED: tuple[Published, ...] = (
    *(TORCHVISION, TORCHVISION_V2, DEEPFOREST, YHENON, DETECTRON2, MMDET, MMDET_CAFFE),
    *(FIZYR, KERAS_HUB, KERAS_HUB_V2, MONAI, KERAS_IO, CVISIONAI, TF_MODELS, KERAS_CV),
)
"""All of them; of several with the same names the first is taken, where no preset is asked for."""

MOST_MODULES = 6
"""Modules of a file in which a network is looked for."""


def read_published(found: TensorFile, *, preset: str | None = None) -> WeightsFile:
    """The weights of a published RetinaNet by our names; whose it is, its names say.

    Args:
        found: the tensors of its file.
        preset: that it must be of; by default the one whose names are most alike.

    Raises:
        InputError: for a file of no RetinaNet that is known, and one that is not whole.
    """
    whole, (found, best) = found, _likeliest(found)
    if best.likeness(found) <= len(PROBES) // 2:
        if any(name.startswith("model.fpn.") for name in whole.tensors):
            raise InputError(
                f"{found.source}: holds the state dict of a detector, which does not say its conventions; "
                "load_state_dict takes it, and save_pretrained writes both"
            )
        first = best.first_foreign(found)
        unlike = f"has no {first!r}" if first else "has more than these tensors"
        nearest = f"; {best.title} is nearest, and {unlike}" if found.tensors else ""
        raise InputError(f"{found.source}: is of no RetinaNet that is known ({', '.join(names())}){nearest}")
    if preset in (None, best.preset):
        return best.read(found)
    asked = next((published for published in PUBLISHED if published.preset == preset), None)
    if asked is None or asked.names_alike(found) < best.names_alike(found):
        raise InputError(f"{found.source}: holds {best.title}, preset {best.preset}, and not preset {preset}")
    return asked.read(found)


def _likeliest(found: TensorFile) -> tuple[TensorFile, Published]:
    """Whose a file is; of what lies in one module alone, as in `net.` of one of Lightning, if these names tell it.

    Raises:
        InputError: for a file with two networks, of which neither is called an average.
    """
    forms = [found, *_within(found)]
    pairs = [(form, published) for form in forms for published in PUBLISHED]
    best, published = max(pairs, key=lambda pair: pair[1].likeness(pair[0]))
    alike = [form for form in forms if published.likeness(form) == published.likeness(best)]
    if best.module and len(rivals := [form.module[:-1] for form in alike if not _is_average(form.module)]) > 1:
        raise InputError(f"{found.source}: holds networks in {' and '.join(rivals)}; save the state_dict of one alone")
    return best, published


def _within(found: TensorFile) -> Iterator[TensorFile]:
    """What lies in each module that may be the network, without its name; averages last."""
    ends = {f".{published.their_name(probe)}" for published in PUBLISHED for probe in PROBES}
    starts = Counter(name[: 1 - len(end)] for name in found.tensors for end in ends if name.endswith(end))
    for start in sorted((start for start, _ in starts.most_common(MOST_MODULES)), key=_is_average):
        named = {name.removeprefix(start): name for name in found.tensors if name.startswith(start)}
        tensors = {name: found.tensors[whole] for name, whole in named.items()}
        beside = tuple(name for name in found.tensors if not name.startswith(start))
        yield replace(found, tensors=tensors, module=start, wrapped=named, beside=beside)


def _is_average(module: str) -> bool:
    """Whether the name of a module says that it holds a moving average."""
    return any(part in AVERAGED for part in module.split("."))


def published_of(preset: str) -> Published:
    """What reads and writes the files of a preset.

    Raises:
        InputError: for a preset without files of its own.
    """
    for published in PUBLISHED:
        if published.preset == preset:
            return published
    raise InputError(f"format: {preset!r} must be one of {', '.join(names())}")


def names() -> list[str]:
    """The presets whose files are read and written."""
    return [published.preset for published in PUBLISHED]
