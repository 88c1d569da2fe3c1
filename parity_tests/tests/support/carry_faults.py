"""Faults of what is carried between the frameworks, and the tap at which each of them shows."""

import importlib
from collections.abc import Callable
from typing import Any

from torch import Tensor

from parity_tests.tests.support.port_faults import Fault

torch_side: Any = importlib.import_module("parity_tests.retinanet.torch_side")


def named_as(*pairs: tuple[str, str]) -> Fault:
    """A name table in which parts of names are exchanged."""
    own = torch_side.keras_name

    def wrong(name: str) -> str | None:
        right: str | None = own(name)
        for left, other in pairs:
            if right is not None and left in right:
                return right.replace(left, other)
            if right is not None and other in right:
                return right.replace(other, left)
        return right

    return lambda monkeypatch: monkeypatch.setattr(torch_side, "keras_name", wrong)


def carried(change: Callable[[Tensor], Tensor]) -> Fault:
    """Kernels that are changed on their way to torch."""
    own = torch_side.to_torch
    return lambda patch: patch.setattr(torch_side, "to_torch", lambda variable: change(own(variable)))


def kernels(change: Callable[[Tensor], Tensor]) -> Fault:
    """Kernels of convolutions that are changed, and no other variables."""
    return carried(lambda tensor: change(tensor) if tensor.ndim == 4 else tensor)


def vectors(change: Callable[[Tensor], Tensor]) -> Fault:
    """Biases and variables of BatchNorm that are changed, and no kernels."""
    return carried(lambda tensor: change(tensor) if tensor.ndim == 1 else tensor)


def tap(function: str, change: Callable[[Any], Any]) -> Fault:
    """Taps that are changed as they are carried over."""
    own = getattr(torch_side, function)
    return lambda patch: patch.setattr(torch_side, function, lambda *arguments: change(own(*arguments)))


def square(kernel: Tensor) -> Tensor:
    """A kernel with its inputs for its outputs where there are as many."""
    return kernel.transpose(0, 1).contiguous() if kernel.shape[0] == kernel.shape[1] else kernel


CARRY_FAULTS: dict[str, tuple[Fault, str]] = {
    "gamma for beta": (named_as(("/gamma", "/beta")), "stem"),
    "mean for variance": (named_as(("/moving_mean", "/moving_variance")), "stem"),
    "P3 for P4": (named_as(("conv_c3_3x3", "conv_c4_3x3")), "p3"),
    "P4 for P5": (named_as(("conv_c4_3x3", "conv_c5_3x3")), "p4"),
    "two blocks exchanged": (named_as(("conv4_block2_", "conv4_block3_")), "conv4_block2"),
    "two layers of a block exchanged": (named_as(("conv3_block2_1_bn", "conv3_block2_2_bn")), "conv3_block2"),
    "two layers of a head exchanged": (named_as(("cls_head/0", "cls_head/1")), "cls.p3.0"),
    "two biases exchanged": (named_as(("conv_c3_1x1/bias", "conv_c4_1x1/bias")), "lateral3"),
    "a layer of one head for that of the other": (named_as(("cls_head/2", "box_head/2")), "cls.p3.2"),
    "a name that is missing": (named_as(("conv_c7_3x3/bias", "conv_c8_3x3/bias")), "p7"),
    "height for width in kernels": (kernels(lambda kernel: kernel.transpose(2, 3)), "stem"),
    "kernels changed over": (kernels(lambda kernel: kernel.flip(2, 3)), "stem"),
    "inputs for outputs where there are as many": (kernels(square), "conv2_block1"),
    "colours reversed": (kernels(lambda k: k.flip(1) if k.shape[1] == 3 else k), "stem"),
    "a reshape for a permutation": (kernels(lambda k: k.permute(2, 3, 1, 0).reshape(k.shape)), "stem"),
    "vectors off by one": (vectors(lambda vector: vector.roll(1)), "stem"),
    "kernels in half precision": (kernels(lambda kernel: kernel.half().to(kernel.dtype)), "stem"),
    "height for width in taps": (tap("_to_reference", lambda tap: tap.swapaxes(-3, -2)), "stem"),
    "channels reversed in taps": (tap("_to_reference", lambda tap: tap[..., ::-1]), "stem"),
    "the batch reversed on its way in": (tap("_to_port", lambda array: array[::-1]), "stem"),
}
"""Faults by what they are: how they are planted, and the tap of the forward rung where they show."""
