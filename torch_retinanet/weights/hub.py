"""A detector as a folder, and as a repository of the Hugging Face Hub: safetensors, a config to read, a model card."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch_retinanet.errors import InputError
from torch_retinanet.files import atomic_write
from torch_retinanet.weights.containers.keras_hub_files import BACKBONE_FILE, HEADS_FILE
from torch_retinanet.weights.containers.tf_checkpoint import is_tf_checkpoint
from torch_retinanet.weights.published.keras_hub_preset import PREPROCESSOR_FILE, TASK_FILE
from torch_retinanet.weights.safetensors_file import write_safetensors
from torch_retinanet.weights.weights_file import WeightsFile, check_contents

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
"""The files of a published detector."""

LIBRARY = "torch-retinanet"
"""What `config.json` says it is of."""

FILES = (".safetensors", ".keras", ".h5", ".hdf5", ".pth", ".pt", ".ckpt", ".bin", ".pkl", ".pickle", ".index")
"""How a file's name ends, which is no repository's."""

FETCHED = (WEIGHTS, CONFIG, BACKBONE_FILE, HEADS_FILE, TASK_FILE, PREPROCESSOR_FILE)
"""What is fetched of a repository: the files of a detector as this project writes them, or of a KerasHub preset."""

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
"""The name of a repository: its owner's, and its own."""


def download(
    path: str | Path,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    token: str | None = None,
    local_files_only: bool = False,
) -> Path:
    """A file or folder as it is; of a repository's name, the folder in which the Hub's files are kept.

    Raises:
        FileNotFoundError: where there is neither, or the Hub cannot be reached and has not been before.
        ModuleNotFoundError: where a repository is named and huggingface_hub is not installed.
    """
    if (
        Path(path).exists()
        or is_tf_checkpoint(Path(path))
        or not REPOSITORY.fullmatch(str(path))
        or str(path).endswith(FILES)
    ):
        return Path(path)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        found = snapshot_download(
            str(path),
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
            allow_patterns=[*FETCHED],
        )
        return Path(found)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise FileNotFoundError(f"{path}: there is no such file, and no repository on the Hub ({reason})") from None


def write_folder(
    folder: Path, contents: WeightsFile, *, data: str | None, metrics: Mapping[str, float], name: str = "OWNER/NAME"
) -> None:
    """Write the three files of a published detector; the card tells to load it by `name`.

    Raises:
        InputError: where `folder` is a file.
        OSError: where it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file, and must be a folder or a name that is free")
    card = model_card(contents, data=data, metrics=metrics, name=name)
    check_contents(contents)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / WEIGHTS, contents)
    with atomic_write(folder / CONFIG) as beside:
        beside.write_text(json.dumps(_described(contents), indent=1) + "\n", encoding="utf-8")
    if not (folder / CARD).exists():  # one that people wrote stays
        with atomic_write(folder / CARD) as beside:
            beside.write_text(card, encoding="utf-8")


def check_described(folder: Path, contents: WeightsFile) -> None:
    """Refuse a folder whose `config.json`, where `write_folder` wrote one, says something else than the weights do.

    Raises:
        InputError: naming the first field, and both of its values.
    """
    if not (folder / CONFIG).is_file():
        return
    try:
        said = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{folder / CONFIG}: is not readable JSON ({error})") from None
    ours = isinstance(said, dict) and said.get("library") == LIBRARY
    for name, value in json.loads(json.dumps(_described(contents))).items() if ours else ():
        if name in said and said[name] != value:
            rule = "both must say the same; from_pretrained(..., FIELD=VALUE) changes a field"
            raise InputError(f"{folder / CONFIG}: {name} is {said[name]!r}, and {value!r} in {WEIGHTS}; {rule}")


def _described(contents: WeightsFile) -> dict[str, Any]:
    return {"library": LIBRARY, "class_names": contents.class_names, **contents.config.as_dict()}


def upload(
    repo_id: str,
    contents: WeightsFile,
    *,
    data: str | None,
    metrics: Mapping[str, float],
    private: bool = False,
    token: str | None = None,
    branch: str | None = None,
    commit_message: str = "Upload a RetinaNet detector",
) -> str:
    """Publish what `write_folder` writes; gives the address of the repository.

    Raises:
        InputError: for a name that is no `owner/name`.
        ConnectionError: where the Hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    if not REPOSITORY.fullmatch(repo_id):
        raise InputError(f"repo_id: {repo_id!r} must be the owner's name and its own, as owner/name")
    with tempfile.TemporaryDirectory() as folder:
        write_folder(Path(folder), contents, data=data, metrics=metrics, name=repo_id)
        try:
            hub = HfApi(token=token)
            address = hub.create_repo(repo_id, private=private, exist_ok=True)
            if branch is not None:
                hub.create_branch(repo_id, branch=branch, exist_ok=True)
            kept = [CARD] if hub.file_exists(repo_id, CARD, revision=branch) else None  # one that people wrote stays
            hub.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                commit_message=commit_message,
                revision=branch,
                ignore_patterns=kept,
            )
        except HFValidationError as error:
            raise InputError(f"repo_id: {repo_id!r} is no name that the Hub allows ({error})") from None
        except Exception as error:  # the client raises what its network library does
            raise ConnectionError(f"{repo_id}: the Hub did not take it ({error})") from None
    return str(address)


def model_card(contents: WeightsFile, *, data: str | None, metrics: Mapping[str, float], name: str) -> str:
    """The model card in Markdown: how to load it, what it was trained on, how good it is, its conventions."""
    names = ", ".join(contents.class_names) or f"{contents.config.num_classes}, without names"
    figures = "".join(f"| {metric} | {value:.3f} |\n" for metric, value in metrics.items())
    table = f"\n| metric | value |\n|---|---|\n{figures}" if figures else ""
    return f"""---
library_name: torch-retinanet
pipeline_tag: object-detection
tags:
- retinanet
---

# RetinaNet with {contents.config.backbone}

```python
from torch_retinanet import RetinaNetDetector

detector = RetinaNetDetector.from_pretrained("{name}")
detections = detector.predict("photo.jpg")  # boxes (M,4) xyxy in pixels, scores (M,), labels (M,)
```

Classes: {names}.
Trained on: {data or "not said"}.
{table}
## Conventions

`{contents.config!r}`
"""
