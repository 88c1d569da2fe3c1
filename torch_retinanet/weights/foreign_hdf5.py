"""What an HDF5 file is that is none of ours, said by the names in it, so that nobody looks for the fault elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h5py

SIGNS = {
    "a model of keras-retinanet (fizyr), of which model.save_weights('NAME.h5') writes what is read": (
        "pyramid_classification",
        "classification_submodel",
        "upsample_like",
    ),
    "a RetinaNet of KerasCV": ("conv_c3_1x1", "feature_pyramid_network"),
    "a RetinaNet of KerasHub, of which save_to_preset writes what is read": (
        "retinanet_label_encoder",
        "retina_net_backbone",
        "feature_pyramid",
        "prediction_head",
    ),
    "a classifier of keras.applications with its top": ("predictions",),
}
"""By what a file holds: parts of names of which one is in it."""

MOST_NAMES = 20_000
"""Names that are looked at."""


def described(file: h5py.File) -> str:
    """A few words on what a file holds: whose model, and in which of Keras' formats."""
    names = _names(file)
    whose = [words for words, signs in SIGNS.items() if any(sign in name for sign in signs for name in names)]
    model = whose[0] if whose else "another model"
    if "model_weights" in file:
        return f"{model}, saved whole by Keras 2 (.h5)"
    if "layer_names" in file.attrs:
        return f"{model}, weights saved by Keras 2 (.h5)"
    if "layers" in file or "_layer_checkpoint_dependencies" in file or "vars" in file:
        return f"{model}, weights saved by Keras 3 (.weights.h5)"
    return "no model of Keras"


def _names(file: h5py.File) -> list[str]:
    names: list[str] = [str(name) for name in _attribute(file, "layer_names")]

    def note(name: str) -> bool | None:
        names.append(name.lower())
        return True if len(names) > MOST_NAMES else None

    file.visit(note)
    return names


def _attribute(file: h5py.File, name: str) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in file.attrs.get(name, [])]
