"""Pictures as the network is fed: sizes, colours and padding of torchvision and of the keras.io example."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from torch_retinanet import RetinaNetConfig
from torch_retinanet.preprocess import (
    flip_horizontal,
    normalise,
    prepare,
    preprocess_data,
    random_flip_horizontal,
    resize_and_pad_image,
    resized_size,
)

KERAS_IO, TORCHVISION = RetinaNetConfig.keras_io(), RetinaNetConfig.torchvision()
BOXES = torch.tensor([[1.0, 2, 11, 22]])


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_pictures_are_fed_as_torchvision_feeds_them() -> None:
    config = replace(TORCHVISION, min_side=80, max_side=133)
    theirs = GeneralizedRCNNTransform(80, 133, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    images = [noise(3, 48, 64), noise(3, 90, 37), noise(3, 20, 70)]
    expected, _ = theirs(images)
    found = prepare(images, config)
    assert found.sizes == expected.image_sizes
    torch.testing.assert_close(found.images, expected.tensors, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", range(200, 1300, 7))
def test_sizes_are_those_of_torchvision_to_the_pixel(side: int) -> None:
    """Also where a rounded ratio makes 799 pixels of 800."""
    resized = torch.nn.functional.interpolate(
        torch.zeros(1, 1, side, 640),
        scale_factor=min(800 / min(side, 640), 1333 / max(side, 640)),
        recompute_scale_factor=True,
    )
    assert resized_size((side, 640), TORCHVISION).pixels == tuple(resized.shape[-2:])


def test_sizes_by_hand() -> None:
    assert resized_size((480, 640), KERAS_IO).pixels == (800, 1066)
    assert resized_size((400, 1600), KERAS_IO).pixels == (333, 1333)
    assert resized_size((1, 5000), KERAS_IO).pixels == (1, 1333)


def test_a_picture_keeps_its_size_where_none_is_asked_for_and_it_is_not_too_large() -> None:
    config = TORCHVISION.changed(min_side=0)
    assert resized_size((97, 120), config).pixels == (97, 120)
    assert resized_size((1333, 2666), config).pixels == (666, 1333)


def test_the_keras_io_example_pads_and_scales_by_the_uncut_size() -> None:
    """1281 pixels become 1024.8, which begin a ninth stride of 128; torchvision cuts them to 1024 first."""
    image = torch.zeros(3, 1000, 1281)
    padded, size, scales = resize_and_pad_image(image, KERAS_IO)
    assert (tuple(padded.shape), size) == ((3, 896, 1152), (800, 1024))
    assert scales[1] == pytest.approx(1024.8 / 1281)
    padded, size, scales = resize_and_pad_image(image, TORCHVISION)
    assert (tuple(padded.shape), size, scales[1]) == ((3, 800, 1024), (800, 1024), 1024 / 1281)


def test_the_keras_io_example_feeds_bgr_less_the_mean_and_pads_with_black_before() -> None:
    config = replace(KERAS_IO, min_side=50, max_side=60)
    fed = prepare([torch.ones(3, 50, 60)], config)
    assert fed.images.shape == (1, 3, 128, 128)
    torch.testing.assert_close(fed.images[0, :, 0, 0], 255 - torch.tensor([103.939, 116.779, 123.68]))
    torch.testing.assert_close(fed.images[0, :, 50, 0], -torch.tensor([103.939, 116.779, 123.68]))


def test_padding_with_the_mean_is_zero_to_the_network() -> None:
    fed = prepare([torch.ones(3, 50, 60)], replace(TORCHVISION, min_side=50, max_side=60))
    assert fed.images.shape == (1, 3, 64, 64)
    assert not fed.images[0, :, 50:].any()


def test_channels_are_scaled_each_by_its_own() -> None:
    white = normalise(torch.full((3, 1, 1), 255.0), TORCHVISION).flatten()
    expected = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(white, expected, rtol=1e-5, atol=1e-5)


def test_pixels_of_bytes_are_less_the_mean_by_the_deviation_with_nothing_between() -> None:
    config = replace(TORCHVISION, min_side=50, max_side=60)
    pixels = torch.randint(256, (3, 50, 60), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (config.pixel_mean, config.pixel_std))
    fed = prepare([pixels], config).images[0, :, :50, :60]
    assert torch.equal(fed, (pixels.float() - mean) / std)
    torch.testing.assert_close(prepare([pixels / 255], config).images[0, :, :50, :60], fed, rtol=1e-5, atol=1e-5)


def test_a_resized_picture_says_its_size_and_scales() -> None:
    image, size, scales = resize_and_pad_image(noise(3, 100, 150), replace(KERAS_IO, min_side=50))
    assert (tuple(image.shape), size, scales) == ((3, 128, 128), (50, 75), (0.5, 0.5))
    assert not image[:, 50:].any()
    assert not image[:, :, 75:].any()


def test_flipping_twice_changes_nothing() -> None:
    image = noise(3, 30, 40)
    flipped, boxes = flip_horizontal(image, BOXES)
    assert boxes.tolist() == [[29, 2, 39, 22]]
    again = flip_horizontal(flipped, boxes)
    assert torch.equal(again[0], image)
    assert torch.equal(again[1], BOXES)


def test_half_of_all_pictures_are_flipped_and_the_seed_says_which() -> None:
    def draws(seed: int) -> list[bool]:
        generator = torch.Generator().manual_seed(seed)
        return [not torch.equal(random_flip_horizontal(noise(3, 4, 5), BOXES, generator)[1], BOXES) for _ in range(200)]

    assert draws(0) == draws(0) != draws(1)
    assert 70 < sum(draws(0)) < 130


def test_training_pictures_are_flipped_resized_and_padded_with_their_boxes() -> None:
    image, boxes = preprocess_data(torch.ones(3, 300, 400), BOXES, KERAS_IO, torch.Generator().manual_seed(0))
    rows = int(image[0, :, 0].sum())
    assert 640 <= rows <= 1000
    assert image.shape[1] % 128 == image.shape[2] % 128 == 0
    uncut_rows = (boxes[0, 3] - boxes[0, 1]).item() / 20 * 300
    assert rows <= uncut_rows < rows + 1
