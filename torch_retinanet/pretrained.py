"""How a detector comes from files and the Hugging Face Hub, and goes there."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from torch_retinanet.config import RetinaNetConfig, check_config
from torch_retinanet.errors import InputError
from torch_retinanet.surroundings import SurroundedModule
from torch_retinanet.unfilled import unfilled
from torch_retinanet.weights import WRITERS, find_weights, write_weights
from torch_retinanet.weights.hub import upload, write_folder
from torch_retinanet.weights.trained_on import UNKNOWN, TrainedOn
from torch_retinanet.weights.weights_file import WeightsFile, plain_tensors

Pretrained = TypeVar("Pretrained", bound="PretrainedModule")


class PretrainedModule(SurroundedModule):
    """A detector that can be loaded, saved and published.

    Attributes:
        class_names: of the K labels, for people; or none.
        trained_on: how the pictures were read that it learnt from, which is kept in its file.
        origin: of a file of another program, whose it is and what was assumed of it, in a sentence; else nothing.
    """

    class_names: tuple[str, ...]
    trained_on: TrainedOn = UNKNOWN
    origin: str = ""

    def __init__(self, config: RetinaNetConfig, *, class_names: Sequence[str] = ()) -> None:
        super().__init__()
        check_config(config)
        if len(class_names) not in (0, config.num_classes):
            raise InputError(
                f"class_names: {len(class_names)} names must be as many as the {config.num_classes} classes"
            )
        self.class_names = tuple(class_names)

    @abstractmethod
    def freeze(self, *, stages: int = 0, norm: bool = False) -> None:
        """Keep parts of the backbone as they are."""

    @classmethod
    def from_pretrained(
        cls: type[Pretrained],
        path: str | Path,
        *,
        preset: str | None = None,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | None = None,
        local_files_only: bool = False,
        **changes: Any,
    ) -> Pretrained:
        """The detector in a file or folder, or in a repository of the Hugging Face Hub, in evaluation mode.

        Its weights are in the file's precision; pictures and boxes are computed in float32 at least.

        Args:
            path: what `save_pretrained` or a training run wrote; a weights file of Keras or torchvision; `COCO_V1`,
                torchvision's weights, which it downloads; or a repository of the Hub, `owner/name`, which needs
                huggingface_hub.
            preset: the one that the file must be of, where its names fit several; by default the first that fits.
            revision: branch, tag or commit of the repository.
            cache_dir: where the Hub's files are kept; by default where huggingface_hub keeps them.
            token: of the Hub; by default that which was logged in with.
            local_files_only: whether a repository that was fetched before is taken as it is, without asking the Hub.
            changes: fields of the config that act on what surrounds the network, as `score_threshold=0.3`, and those
                that the file of another program does not say, as `bn_eps=0`; `origin` names them.

        Raises:
            InputError: for a file that is not whole, or of a backbone alone, and an unknown or built-in field.
            FileNotFoundError: where there is no such file and no such repository.
        """
        hub = {"revision": revision, "cache_dir": cache_dir, "token": token, "local_files_only": local_files_only}
        contents = find_weights(path, preset=preset, **hub)
        if contents.part != "model":
            raise InputError(f"{path}: holds a {contents.part} alone, and a whole model is needed")
        return cls.from_weights(contents, **changes)

    @classmethod
    def from_weights(cls: type[Pretrained], contents: WeightsFile, **changes: Any) -> Pretrained:
        """The detector of a weights file that is read already, as `from_pretrained` gives it; `changes` as there."""
        contents = contents.stated(changes)
        with unfilled(contents.config):
            detector = cls(contents.config, class_names=contents.class_names).to(contents.dtype)
        detector.model.load_state_dict(contents.tensors)
        detector.trained_on, detector.origin = contents.trained_on, contents.origin
        detector.config = contents.config.changed(**changes)
        if contents.config.bn_eps == 0:
            detector.freeze()
        return detector.eval()

    def save_pretrained(
        self, path: str | Path, *, data: str | None = None, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Write a folder: `model.safetensors`, `config.json` and a model card, `README.md`, as the Hub shows it.

        Args:
            path: the folder; or a file, `.safetensors` or of Keras, for the weights with their conventions alone.
            data: what it was trained on, for the card.
            metrics: how good it is, by name, for the card.

        Errors are those of `write_weights`.
        """
        contents = self._contents()
        if Path(path).is_file() or str(path).endswith((*WRITERS, ".h5", ".pth", ".pt", ".onnx", ".bin", ".ckpt")):
            write_weights(path, contents)
        else:
            write_folder(Path(path), contents, data=data, metrics=metrics or {})

    def push_to_hub(
        self,
        repo_id: str,
        *,
        data: str | None = None,
        metrics: Mapping[str, float] | None = None,
        **hub: Any,
    ) -> str:
        """Publish the folder that `save_pretrained` writes as a repository `owner/name` of the Hub; gives its address.

        `hub` is as huggingface_hub has it: `private`, `token`, `branch`, `commit_message`.

        Raises:
            InputError: for a name that is no `owner/name`.
            ConnectionError: where the Hub cannot be reached, or refuses.
        """
        return upload(repo_id, self._contents(), data=data, metrics=metrics or {}, **hub)

    def _contents(self) -> WeightsFile:
        """What is written of it."""
        tensors, names = plain_tensors(self.model), self.class_names
        return WeightsFile(self.config, tensors, class_names=names, trained_on=self.trained_on)

    from_file, save = from_pretrained, save_pretrained  # their names before version 0.2
