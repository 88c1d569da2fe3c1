"""Right pairs that once were called different or incomplete, each with a mistake that must be seen."""

import copy

import keras
import pytest
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from parity_tests import Result, TorchModule, compare_models, randomise
from parity_tests.sides.names import are_folded
from parity_tests.tests.support.small_models import pictures

L = keras.layers


def distance_in_keras() -> keras.Model:
    """How far apart one encoder puts two pictures: what it adds to both goes away, and so do the gradients by that."""
    layers = [L.Conv2D(4, 3, name="conv"), L.BatchNormalization(name="norm", epsilon=1e-5), L.Flatten()]
    encoder = keras.Sequential([keras.Input((8, 6, 3)), *layers, L.Dense(5, name="dense")], name="encoder")
    first, second = keras.Input((8, 6, 3)), keras.Input((8, 6, 3))
    model = keras.Model([first, second], keras.ops.abs(encoder(first) - encoder(second)))
    randomise(model)
    return model


class Siamese(nn.Module):
    """The same in torch, or its square."""

    def __init__(self, *, squared: bool = False) -> None:
        super().__init__()
        self.conv, self.norm, self.dense = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(96, 5)
        self.squared = squared

    def encoded(self, x: Tensor) -> Tensor:
        made: Tensor = self.dense(self.norm(self.conv(x)).permute(0, 2, 3, 1).flatten(1))
        return made

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        difference = self.encoded(first) - self.encoded(second)
        return difference.square() if self.squared else difference.abs()


def of_distance(*, squared: bool) -> Result:
    images = pictures(2, 8, 6, 3)
    return compare_models(distance_in_keras(), Siamese(squared=squared), [images, images[::-1].copy()])


class Perceptron(nn.Module):
    """Two layers under names of one's own."""

    def __init__(self, first: str, last: str, slope: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({first: nn.Linear(6, 8), last: nn.Linear(8, 3)})
        self.act = nn.LeakyReLU(slope)

    def forward(self, x: Tensor) -> Tensor:
        first, last = self.layers.values()
        made: Tensor = last(self.act(first(x)))
        return made


def by_parameters(slope: float) -> Result:
    pairs = {"fc1": "hidden", "fc2": "out"}
    names = {f"layers.{own}.{leaf}": f"layers.{theirs}.{leaf}" for own, theirs in pairs.items() for leaf in LEAVES}
    return compare_models(Perceptron("hidden", "out"), Perceptron("fc1", "fc2", slope), pictures(4, 6), names=names)


LEAVES = ("weight", "bias")


class ConvAndNorm(nn.Module):
    """A convolution and its BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv2d(3, 4, 3, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.norm(self.conv(x)).relu()
        return made


def folded(bias: float) -> Result:
    block = ConvAndNorm().eval()
    randomise(block)
    other = copy.deepcopy(block)
    assert isinstance(other.conv, nn.Conv2d)
    assert isinstance(other.norm, nn.BatchNorm2d)
    conv = fuse_conv_bn_eval(other.conv, other.norm)
    assert conv.bias is not None
    conv.bias.data += bias
    other.conv, other.norm = conv, nn.Identity()
    reference, port = (TorchModule(nn.Sequential(one), {"block": "0"}) for one in (block, other))
    return compare_models(reference, port, pictures(2, 3, 8, 6), transfer=False, rungs=["forward"])


class Deployed(nn.Module):
    """Convolutions with their BatchNorm, and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv: nn.Module = nn.Conv2d(3, 4, 3, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(4)
        self.conv2: nn.Module = nn.Conv2d(4, 4, 3, groups=4)
        self.norm2: nn.Module = nn.BatchNorm2d(4)
        self.top = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x)).relu()
        made: Tensor = self.top(self.norm2(self.conv2(x)).relu().mean((2, 3)))
        return made


def deployed(eps: float) -> Result:
    """Every module and every rung, the second BatchNorm folded with another eps."""
    reference = Deployed().eval()
    randomise(reference)
    port = copy.deepcopy(reference)
    for conv, norm, more in (("conv", "norm", 0.0), ("conv2", "norm2", eps)):
        folding, layer = port.get_submodule(norm), port.get_submodule(conv)
        assert isinstance(folding, nn.BatchNorm2d)
        assert isinstance(layer, nn.Conv2d)
        folding.eps += more
        setattr(port, conv, fuse_conv_bn_eval(layer, folding))
        setattr(port, norm, nn.Identity())
    return compare_models(reference, port, pictures(2, 3, 8, 6), transfer=False)


PAIRS = {
    "gradients that cancel": (lambda: of_distance(squared=False), lambda: of_distance(squared=True)),
    "a table of parameters": (lambda: by_parameters(0.0), lambda: by_parameters(0.01)),
    "BatchNorm folded into weights of its own": (lambda: folded(0.0), lambda: folded(0.01)),
    "BatchNorm folded, module by module": (lambda: deployed(0.0), lambda: deployed(0.005)),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_a_right_pair_is_equal(pair: str) -> None:
    result = PAIRS[pair][0]()
    assert result.verdict == "equal", result.summary


@pytest.mark.planted
@pytest.mark.parametrize("pair", PAIRS)
def test_a_mistake_in_it_is_named(pair: str) -> None:
    starts = {
        "gradients that cancel": "different: output",
        "a table of parameters": "different: layers.out.input",
        "BatchNorm folded into weights of its own": "different: block",
        "BatchNorm folded, module by module": "different: norm2 is where it starts",
    }
    assert PAIRS[pair][1]().summary.startswith(starts[pair])


@pytest.mark.parametrize(
    ("reference", "port", "folded_so"),
    [
        (["norm/gamma", "norm/beta", "norm/moving_mean", "norm/moving_variance"], ["conv.bias"], True),
        (["norm.weight", "norm.bias"], ["conv.bias"], False),
        (["norm.running_mean", "norm.running_var", "last.weight"], ["conv.bias"], False),
        (["norm.running_mean", "norm.running_var"], ["conv.bias", "last.weight"], False),
        (["norm.running_mean", "norm.running_var"], [], False),
    ],
)
def test_nothing_but_batchnorm_is_folded_and_into_nothing_but_biases(
    reference: list[str], port: list[str], folded_so: bool
) -> None:
    assert are_folded(reference, port) is folded_so
