"""What of a detector follows from which conventions: what is built into the network, and what stands around it."""

import copy
from collections.abc import Callable
from typing import Any, TypeVar, get_args

from torch import Tensor, nn

from torch_retinanet.anchors import AnchorGenerator
from torch_retinanet.attributes import ConfiguredModule
from torch_retinanet.config import RetinaNetConfig
from torch_retinanet.config.boxes import AnchorConventions, BoxConventions, LossConventions, TargetConventions
from torch_retinanet.config.network import BackboneConventions, HeadConventions, PyramidConventions
from torch_retinanet.config.pictures import PostprocessingConventions
from torch_retinanet.errors import InputError
from torch_retinanet.inference.network import InferenceNetwork
from torch_retinanet.inference.way import Precision, find_way, lacks
from torch_retinanet.losses import RetinaNetLoss
from torch_retinanet.model import RetinaNet
from torch_retinanet.postprocess import DecodePredictions
from torch_retinanet.targets import LabelEncoder

Surrounded = TypeVar("Surrounded", bound="SurroundedModule")

BUILT_IN = {
    *("num_classes", "backbone", "width", "head_depth", "in_channels", "anchors_per_cell"),
    *(name for group in (BackboneConventions, PyramidConventions, HeadConventions) for name in group.__annotations__),
}
"""The fields of a config that cannot change once the network is built."""


SURROUNDINGS: dict[str, tuple[Callable[[RetinaNetConfig], Any], tuple[type, ...]]] = {
    "anchors": (AnchorGenerator, (AnchorConventions,)),
    "label_encoder": (LabelEncoder, (TargetConventions, BoxConventions)),
    "loss": (RetinaNetLoss, (LossConventions, BoxConventions)),
    "decode_predictions": (DecodePredictions, (PostprocessingConventions, BoxConventions)),
}
"""What stands around the network: what makes it, and the conventions that it reads."""


class SurroundedModule(ConfiguredModule):
    """A network, `model`, and what stands around it, which is made anew where a field of the config is set.

    Attributes:
        anchors, label_encoder, loss, decode_predictions: as the config says, or parts of the user's own.
        network: what computes the outputs in evaluation mode, once `optimize` or an engine made it; else `model` does.
    """

    network: Callable[..., tuple[Tensor, Tensor]] | None = None

    model: RetinaNet
    anchors: AnchorGenerator
    label_encoder: LabelEncoder
    loss: nn.Module
    decode_predictions: DecodePredictions

    def _surround(self, config: RetinaNetConfig) -> None:
        self._config = config
        for name, (kind, _) in SURROUNDINGS.items():
            setattr(self, name, kind(config))

    @property
    def config(self) -> RetinaNetConfig:
        """The conventions; those of anchors, targets, losses, pictures and detections can be set.

        Raises:
            InputError: as it is set, for a field that is built into the network.
        """
        return self._config

    @config.setter
    def config(self, config: RetinaNetConfig) -> None:
        self._check_built_in(config)
        if self.network is None:  # of an optimised one it is that of the detector that it was made of
            self.model.config = config
        self._take(config)

    def _take(self, config: RetinaNetConfig) -> None:
        """Make anew what a changed field acts on; parts of the user's own stay."""
        changed, self._config = {*config.differences(self._config)}, config
        for name, (kind, groups) in SURROUNDINGS.items():
            if type(getattr(self, name)) is kind and changed & {f for group in groups for f in group.__annotations__}:
                setattr(self, name, kind(config))

    def _changed(self: Surrounded, config: RetinaNetConfig) -> Surrounded:
        """A view of this detector in another config, with the same network; nobody else sees it."""
        self._check_built_in(config)
        view = copy.copy(self)
        view._modules = dict(self._modules)
        view._compiled_call_impl = None  # it is bound to this one
        view._take(config)
        return view

    def optimize(self: Surrounded, *, precision: Precision = "fp32", winograd: bool = True) -> Surrounded:
        """A detector that finds the same in less time, with the weights as they are now; this one is left as it is.

        BatchNorm becomes part of the convolutions, which run in channels last with ReLU and sums in the same kernel.
        On x86 processors weights are packed for oneDNN, and convolutions of 3x3 pixels go Winograd's way, in loops that
        `torch.compile` makes: the first picture waits for the compiler, some 10 s, or 2 s where it finds its cache.
        Boxes are then predicted only where a score is above the threshold. Without a compiler, convolutions are direct.

        It is a view: `predict`, calls and settings are those of the detector, `model` is the same network, and taps
        are there. It cannot be trained, loaded, pickled or moved to another device. Parts of the user's own, as layers
        of other kinds and hooks, are computed as they are.

        Args:
            precision: `fp32`, where detections are those of the detector but for rounding; `bf16`, which is faster and
                rounds to 8 bits; or on a GPU `fp16`, which rounds to 11 bits and ends at 65504.
            winograd: whether convolutions may go Winograd's way; without it nothing is compiled.

        Raises:
            InputError: for another precision, or one that the device does not have.
        """
        if precision not in get_args(Precision):
            raise InputError(f"precision: {precision!r} must be one of {', '.join(get_args(Precision))}")
        device = next(self.model.parameters()).device
        if reason := lacks(precision, device):
            raise InputError(f"precision: {precision!r} must be one that the detector's device has; {reason}")
        return self.with_network(InferenceNetwork(self.model, find_way(precision, device, winograd=winograd)))

    def with_network(self: Surrounded, network: Callable[..., tuple[Tensor, Tensor]]) -> Surrounded:
        """A view of this detector, in evaluation mode, whose outputs another network computes.

        Args:
            network: `network(images, above=)` gives deltas (B,N,4) and logits (B,N,K) of images as `model` is fed; the
                deltas of anchors without a score above a number need not be there.
        """
        made = self._changed(self.config)
        made.network, made.training = network, False
        return made

    def _outputs(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Deltas (B,N,4) and logits (B,N,K) of images as the network is fed."""
        if self.network is None:
            plain: tuple[Tensor, Tensor] = self.model(images.to(next(self.parameters()).dtype), apart=True)
            return plain
        ours = type(self.decode_predictions) is DecodePredictions  # another may look at all boxes
        return self.network(images, above=self.config.score_threshold if ours else None)

    def train(self: Surrounded, mode: bool = True) -> Surrounded:
        """Training mode, or evaluation mode, in which an optimised one always is."""
        if self.network is None:
            super().train(mode)
        elif mode:
            raise InputError("train: an optimised detector cannot be trained; train the one that it was made of")
        return self

    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        """As `nn.Module.load_state_dict`; an optimised detector keeps the weights that it was made of."""
        if self.network is not None:
            raise InputError(
                "load_state_dict: an optimised detector keeps its weights; load them into the one that it was made of, "
                "then optimize"
            )
        return super().load_state_dict(*arguments, **options)

    def _apply(self: Surrounded, *arguments: Any, **options: Any) -> Surrounded:
        if self.network is not None:
            raise InputError(
                "to: an optimised detector cannot be moved; move the one that it was made of, then optimize"
            )
        super()._apply(*arguments, **options)  # type: ignore[no-untyped-call]
        return self

    def _check_built_in(self, config: RetinaNetConfig) -> None:
        for name in ("num_classes", "anchors_per_cell", *config.differences(self._config)):
            if name in BUILT_IN and getattr(config, name) != getattr(self._config, name):
                raise InputError(f"{name}: {getattr(config, name)!r} cannot be set once the network is built")
