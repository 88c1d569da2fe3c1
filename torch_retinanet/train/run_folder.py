"""What the folder of a run holds: settings, versions, the last checkpoint, weights, and metrics."""

import json
import platform
from importlib.metadata import version
from pathlib import Path

import tomli_w

from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.train.config import DATA, TrainConfig
from torch_retinanet.train.data_record import RunData, write_data_record

SETTINGS, VERSIONS = "config.toml", "versions.json"
DATA_RECORD = "data.json"
"""What the data were, as `DataRecord` has it."""
CHECKPOINT = "checkpoint.safetensors"
EVALUATION = "evaluation"
"""The folder of what `retinanet evaluate` would leave, of the weights that are kept."""
TAKEN_OVER = "taken_over.json"
"""What it took of the weights file that it began from, by name."""
BAD_BATCH = "bad_batch.safetensors"
"""The batch whose loss was not finite."""

PACKAGES = ("torch-retinanet", "torch", "torchvision", "accelerate", "numpy", "pillow", "safetensors")


def begin(folder: Path, config: TrainConfig, data: RunData) -> None:
    """Make the folder of a run, with its settings, what its data are, and the versions that it runs on.

    Raises:
        InputError: where it holds a run already.
        OSError: where it cannot be made.
    """
    if (folder / SETTINGS).exists():
        raise InputError(f"out: {folder} holds a run already, and `retinanet train --resume {folder}` goes on with it")
    folder.mkdir(parents=True, exist_ok=True)
    versions = {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}
    with atomic_write(folder / VERSIONS) as beside:
        beside.write_text(json.dumps(versions, indent=1) + "\n")
    write_data_record(folder / DATA_RECORD, data)
    write_settings(folder, config)


def write_settings(folder: Path, config: TrainConfig) -> None:
    """Write the settings of a run into its folder.

    Raises:
        OSError: where they cannot be written; the file is then what it was.
    """
    with atomic_write(folder / SETTINGS) as beside:
        beside.write_bytes(tomli_w.dumps(config.with_whole_paths().as_dict()).encode())


def settings_of(folder: Path) -> TrainConfig:
    """The settings of the run in a folder.

    Raises:
        InputError: where there is no run, or its settings are not whole.
    """
    if not (folder / SETTINGS).is_file():
        raise InputError(f"--resume: {folder} holds no run, and must be what `retinanet train --out` made")
    return TrainConfig.from_toml(folder / SETTINGS)


def check_data_is_there(config: TrainConfig) -> None:
    """Refuse to go on with a run whose data have gone.

    Raises:
        InputError: naming the path, and the file in which it stands.
    """
    for name in DATA:
        path = getattr(config, name)
        if path is not None and not path.exists():
            where = "" if path.is_absolute() else f" in {Path.cwd()}"
            rule = f"{name} in {Path(config.out) / SETTINGS} must say where it is now"
            raise InputError(f"{name}: {path} is not there any more{where}; {rule}")
