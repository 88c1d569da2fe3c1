"""Padding and BatchNorm as Keras has them, against Keras itself."""

import keras
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from torch_retinanet.layers import (
    Conv2dSameStride2,
    PadSameStride2,
    PointwiseConv2d,
    PopulationBatchNorm2d,
    same_padding,
)


def test_an_even_side_gets_its_one_zero_at_the_end_and_an_odd_one_both() -> None:
    assert same_padding(8, kernel=3) == (0, 1)
    assert same_padding(7, kernel=3) == (1, 1)
    assert same_padding(128, kernel=7) == (2, 3)
    assert same_padding(127, kernel=7) == (3, 3)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 4), (5, 8), (7, 7), (32, 31)])
@pytest.mark.parametrize("kernel", [3, 7])
def test_a_stride_two_convolution_is_that_of_keras(size: tuple[int, int], kernel: int) -> None:
    rng = np.random.default_rng(0)
    images, weight = rng.normal(size=(2, *size, 4)), rng.normal(size=(kernel, kernel, 4, 5))
    expected = keras.ops.convert_to_numpy(keras.ops.conv(images, weight, strides=2, padding="same"))
    conv = Conv2dSameStride2(4, 5, kernel, bias=False).double()
    conv.weight = nn.Parameter(torch.from_numpy(weight).permute(3, 2, 0, 1))
    with torch.no_grad():
        found = conv(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [(4, 4), (5, 8), (1, 2)])
def test_a_padded_max_pool_is_that_of_keras(size: tuple[int, int]) -> None:
    images = np.random.default_rng(0).uniform(size=(2, *size, 3))
    expected = keras.ops.convert_to_numpy(
        keras.ops.max_pool(keras.ops.convert_to_tensor(images, "float64"), 3, strides=2, padding="same")
    )
    pool = nn.Sequential(PadSameStride2(kernel=3), nn.MaxPool2d(3, stride=2))
    found = pool(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(found, expected)


def test_the_running_variance_takes_the_variance_of_the_batch_itself() -> None:
    images = torch.rand(2, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    norm = PopulationBatchNorm2d(3, momentum=0.25).double().train()
    expected_output = nn.BatchNorm2d(3).double().train()(images)
    torch.testing.assert_close(norm(images), expected_output)
    torch.testing.assert_close(norm.running_mean, 0.25 * images.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, 0.75 + 0.25 * images.var((0, 2, 3), correction=0))


def test_a_batch_with_one_value_for_each_channel_has_no_variance_as_in_keras() -> None:
    images = torch.rand(1, 3, 1, 1, dtype=torch.float64)
    theirs = keras.layers.BatchNormalization(momentum=0.75, dtype="float64")
    expected = keras.ops.convert_to_numpy(theirs(images.permute(0, 2, 3, 1).numpy(), training=True))
    norm = PopulationBatchNorm2d(3, momentum=0.25).double().train()
    np.testing.assert_allclose(norm(images).detach().permute(0, 2, 3, 1), expected, atol=1e-12)
    np.testing.assert_allclose(norm.running_mean, theirs.moving_mean, rtol=1e-12)
    np.testing.assert_allclose(norm.running_var, theirs.moving_variance, rtol=1e-12)


def test_in_evaluation_it_is_torch_own_batch_norm_and_keeps_its_statistics() -> None:
    norm, plain = PopulationBatchNorm2d(3).eval(), nn.BatchNorm2d(3).eval()
    images = torch.rand(2, 3, 4, 4)
    assert torch.equal(norm(images), plain(images))
    assert torch.equal(norm.running_mean, torch.zeros(3))


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(4, 4), (9, 5), (40, 1), (1, 40)])
def test_a_pointwise_convolution_is_the_plain_one_forward_and_backward(size: tuple[int, int], bias: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    plain = nn.Conv2d(6, 10, 1, bias=bias)
    images = torch.randn(4, 6, *size, generator=generator).to(memory_format=torch.channels_last)
    given = torch.randn(4, 10, *size, generator=generator)
    found = _output_and_gradients(PointwiseConv2d.of(plain), images, given)
    right = _output_and_gradients(plain.double(), images.double(), given.double())
    assert found[0].is_contiguous(memory_format=torch.channels_last)
    for one, exact in zip(found, right, strict=True):
        assert (one - exact).abs().amax() <= 64 * torch.finfo(torch.float32).eps * exact.abs().amax()


def _output_and_gradients(conv: nn.Conv2d, images: Tensor, given: Tensor) -> list[Tensor]:
    images = images.clone(memory_format=torch.preserve_format).requires_grad_()
    output = conv(images)
    return [output, *torch.autograd.grad(output, [images, *conv.parameters()], given)]


@pytest.mark.usefixtures("one_thread")
def test_rows_stand_for_pictures_where_that_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    plain = nn.Conv2d.forward

    def watched(conv: nn.Conv2d, images: Tensor) -> Tensor:
        seen.append(tuple(images.shape))
        return plain(conv, images)

    monkeypatch.setattr(nn.Conv2d, "forward", watched)
    conv, images = PointwiseConv2d(3, 2, 1), torch.rand(2, 3, 8, 5)
    last = images.to(memory_format=torch.channels_last)
    for given in (last, images, last[:, :, :7].to(memory_format=torch.channels_last), torch.cat([last] * 8)):
        conv(given)
    assert seen == [(16, 3, 1, 5), (2, 3, 8, 5), (2, 3, 7, 5), (16, 3, 8, 5)]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    conv(last)
    assert seen[-1] == (2, 3, 8, 5)


def test_a_pointwise_convolution_takes_over_parameters_and_draws_no_random_numbers() -> None:
    conv = nn.Conv2d(3, 2, 1)
    before = torch.get_rng_state()
    made = PointwiseConv2d.of(conv)
    assert made.weight is conv.weight
    assert made.bias is conv.bias
    assert torch.equal(torch.get_rng_state(), before)
