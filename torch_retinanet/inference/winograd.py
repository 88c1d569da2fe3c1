"""3x3 convolutions with stride 1 by fewer products: Winograd's F(m x m, 3 x 3).

Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015). A tile of m x m outputs is computed from its
(m + 2) x (m + 2) inputs by (m + 2)^2 products for each pair of channels, where a direct convolution needs 9 m^2: at
m = 4 a quarter. The products run over all tiles of all maps at once.

The transforms are written in plain torch; `torch.compile` makes one loop of each. Their points decide the rounding.
Those here are symmetric and multiples of 3/4: with 0, 1, -1, 2 and -2, which are common, m = 4 rounds three times as
much.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.polynomial import Polynomial
from torch import Tensor, nn
from torch.nn import functional as F

from torch_retinanet.inference.folding import Folded
from torch_retinanet.inference.packed import PackedProduct

POINTS = {2: (1.0,), 4: (0.75, 1.5)}
"""By m, the points beside 0 and infinity; each stands for itself and its negative."""

KERNEL = 3

OPTIONS: dict[str, Any] = {"cpp.dynamic_threads": True, "assert_indirect_indexing": False}
"""Of the compiler: the number of threads is that of the caller, and tables of rows are known to be right."""


class Transforms(NamedTuple):
    """The matrices of F(m x m, 3 x 3), with n = m + 2.

    Attributes:
        inputs: (n,n), of a row of n inputs.
        kernel: (n,3), of a row of weights.
        outputs: (m,n), from a row of n products to m outputs.
    """

    inputs: np.ndarray
    kernel: np.ndarray
    outputs: np.ndarray


@cache
def transforms(m: int) -> Transforms:
    """The matrices by Cook and Toom's way: polynomials by their values at points, the last at infinity."""
    points = [0.0, *(sign * point for point in POINTS[m] for sign in (1, -1))]
    others = [[q for q in points if q != p] for p in points]
    rows = [*(Polynomial.fromroots(roots).coef for roots in others), Polynomial.fromroots(points).coef]
    inputs = np.array([np.pad(row, (0, m + 2 - len(row))) for row in rows])
    scales = [np.prod([p - q for q in roots]) for p, roots in zip(points, others, strict=True)]
    kernel = [[p**i / scale for i in range(KERNEL)] for p, scale in zip(points, scales, strict=True)]
    outputs = [[p**i for p in points] + [float(i == m - 1)] for i in range(m)]
    return Transforms(inputs, np.array([*kernel, [0, 0, 1]]), np.array(outputs))


def weighted_sum(weights: Sequence[float], terms: Sequence[Tensor]) -> Tensor:
    """The sum of terms, those with a weight of zero left out."""
    pairs = sorted(((float(w), term) for w, term in zip(weights, terms, strict=True) if w), key=lambda pair: -pair[0])
    parts = [(w, term if abs(w) == 1 else term * abs(w)) for w, term in pairs]
    total = parts[0][1] if parts[0][0] > 0 else -parts[0][1]
    for w, part in parts[1:]:
        total = total + part if w > 0 else total - part
    return total


def by_inputs(m: int, values: Sequence[Tensor]) -> list[Tensor]:
    """What a row of m + 2 inputs becomes; a point and its negative share the sums of their even and odd terms."""
    matrix = transforms(m).inputs
    found = [weighted_sum(matrix[0], values)]
    for i in range(1, m + 1, 2):
        even = weighted_sum((matrix[i] + matrix[i + 1]) / 2, values)
        odd = weighted_sum((matrix[i] - matrix[i + 1]) / 2, values)
        found += [even + odd, even - odd]
    return [*found, weighted_sum(matrix[-1], values)]


def by_outputs(m: int, values: Sequence[Tensor]) -> list[Tensor]:
    """The m outputs of a row of m + 2 products."""
    matrix, pairs = transforms(m).outputs, range(1, m + 1, 2)
    sums = [values[i] + values[i + 1] for i in pairs]
    differences = [values[i] - values[i + 1] for i in pairs]
    found = []
    for power, row in enumerate(matrix):
        terms = [values[0], *(differences if power % 2 else sums), values[-1]]
        found.append(weighted_sum([row[0], *(row[i] for i in pairs), row[-1]], terms))
    return found


class InputTransform(nn.Module):
    """Rows (R,C) of pixels to what is multiplied ((m+2)^2,T,C).

    `windows` ((m+2)^2,T) says which row stands where in the window of each of T tiles; -1 is a zero.
    """

    def __init__(self, m: int) -> None:
        super().__init__()
        self.m, self.n = m, m + 2

    def forward(self, rows: Tensor, windows: Tensor) -> Tensor:
        pixels = [_pixel(rows, windows[i]) for i in range(self.n**2)]
        columns = [by_inputs(self.m, pixels[column :: self.n]) for column in range(self.n)]
        found = [value for i in range(self.n) for value in by_inputs(self.m, [column[i] for column in columns])]
        return torch.stack([value.to(rows.dtype) for value in found])


class OutputTransform(nn.Module):
    """(m+2)^2 products (T,K) to the pixels of T tiles (T*m*m,K), tile by tile, with a bias (K,) and ReLU or not."""

    def __init__(self, m: int, *, relu: bool) -> None:
        super().__init__()
        self.m, self.n, self.relu = m, m + 2, relu

    def forward(self, products: Sequence[Tensor], bias: Tensor) -> Tensor:
        values = [products[i].float() for i in range(self.n**2)]
        columns = [by_outputs(self.m, values[column :: self.n]) for column in range(self.n)]
        found = [value + bias for i in range(self.m) for value in by_outputs(self.m, [column[i] for column in columns])]
        pixels = [(value.relu() if self.relu else value).to(products[0].dtype) for value in found]
        return torch.stack(pixels, dim=1).flatten(0, 1)


def _pixel(rows: Tensor, places: Tensor) -> Tensor:
    return torch.where((places >= 0)[:, None], rows[places.clamp(min=0)].float(), 0.0)


@cache
def compiled(kind: type[nn.Module], m: int, threads: int, **options: bool) -> Callable[..., Any]:
    """A transform as one loop, for all sizes of maps; traced first, so that its numbers are constants.

    `torch.compile` makes it anew for each number of threads, and gives up after some: each has a function of its own.
    """
    traced = torch.fx.symbolic_trace(kind(m, **options))
    return torch.compile(traced, dynamic=True, fullgraph=True, options=OPTIONS)


class WinogradConv:
    """A 3x3 convolution from rows of pixels to the pixels of tiles, with ReLU after it or not."""

    def __init__(self, conv: Folded, m: int, dtype: torch.dtype, *, relu: bool) -> None:
        self.m, self.relu = m, relu
        kernel = torch.from_numpy(transforms(m).kernel)
        weights = torch.einsum("ia,ocab,jb->ijoc", kernel, conv.weight, kernel).flatten(0, 1).to(dtype)
        self.products = [PackedProduct(matrix) for matrix in weights]
        self.bias = conv.bias.float()

    def __call__(self, rows: Tensor, windows: Tensor) -> Tensor:
        """Rows (R,C) to those of T tiles (T*m*m,K); `windows` as for `transform_inputs`."""
        threads = torch.get_num_threads()
        factors = compiled(InputTransform, self.m, threads)(*_as_compiled(rows, windows))
        products = [product(one) for product, one in zip(self.products, factors, strict=True)]
        pixels: Tensor = compiled(OutputTransform, self.m, threads, relu=self.relu)(products, self.bias)
        return pixels[: windows.shape[1] * self.m**2]


def _as_compiled(rows: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows and windows for which nothing is compiled anew: no views, and not one row or tile alone."""
    if windows.shape[1] == 1:
        windows = F.pad(windows, (0, 1), value=-1)
    if len(rows) == 1:
        rows = F.pad(rows, (0, 0, 0, 1))
    return rows.new_empty(0).set_(rows), windows.new_empty(0).set_(windows)  # type: ignore[call-overload]


def suits(conv: Folded) -> bool:
    """Whether a convolution is one that this file computes."""
    shape = tuple(conv.weight.shape[2:])
    return shape == (KERNEL, KERNEL) and conv.stride == (1, 1) and conv.padding == (1, 1) and conv.groups == 1
