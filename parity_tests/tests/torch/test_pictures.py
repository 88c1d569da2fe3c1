"""Any picture becomes RGB bytes: what each kind of file, Pillow mode, array and tensor becomes, and what is refused."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import ExifTags, Image

from torch_retinanet import pictures
from torch_retinanet.errors import InputError
from torch_retinanet.pictures import read_picture

NOISE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def pixels(source: Any) -> npt.NDArray[np.uint8]:
    """What is read, rows first, (H,W,3)."""
    picture = read_picture(source)
    assert picture.dtype == torch.uint8
    assert picture.is_contiguous()
    return picture.permute(1, 2, 0).numpy()


def gray_of(source: Any) -> list[list[int]]:
    """The rows of what is read, which must be gray."""
    red, green, blue = read_picture(source)
    assert torch.equal(red, green)
    assert torch.equal(green, blue)
    rows: list[list[int]] = red.tolist()
    return rows


@pytest.mark.parametrize("as_text", [True, False])
def test_a_file_is_read_channel_by_channel(as_text: bool, tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    Image.fromarray(NOISE).save(path)
    picture = read_picture(str(path) if as_text else path)
    assert picture.shape == (3, 5, 7)
    assert np.array_equal(pixels(path), NOISE)


ORIENTED = {
    1: NOISE,
    2: np.fliplr(NOISE),
    3: np.rot90(NOISE, 2),
    4: np.flipud(NOISE),
    5: NOISE.transpose(1, 0, 2),
    6: np.rot90(NOISE, -1),
    7: np.rot90(NOISE, 2).transpose(1, 0, 2),
    8: np.rot90(NOISE, 1),
}
"""What a viewer shows of the noise stored with each orientation."""


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", ORIENTED)
def test_a_picture_is_turned_upright_once(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"noise{suffix}"
    Image.fromarray(NOISE).save(path, exif=exif)
    assert np.array_equal(pixels(path), ORIENTED[orientation])
    with Image.open(path) as picture:
        assert np.array_equal(pixels(picture), ORIENTED[orientation])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("orientation", ORIENTED)
def test_a_picture_is_left_as_it_is_stored_where_its_boxes_lie_on_it_so(
    orientation: int, suffix: str, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"noise{suffix}"
    Image.fromarray(NOISE).save(path, exif=exif)
    assert np.array_equal(read_picture(path, upright=False).permute(1, 2, 0).numpy(), NOISE)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_illegal_orientation_is_ignored(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(NOISE).save(tmp_path / "noise.png", exif=exif)
    assert np.array_equal(pixels(tmp_path / "noise.png"), NOISE)


def test_exif_that_cannot_be_parsed_is_ignored(tmp_path: Path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "noise.png", exif=b"Exif\x00\x00no such thing")
    assert np.array_equal(pixels(tmp_path / "noise.png"), NOISE)


@pytest.mark.parametrize("name", ["deep.png", "deep.tif", "deep.pgm"])
def test_16_bits_are_scaled_and_not_cut_off(name: str, tmp_path: Path) -> None:
    deep = np.array([[0, 128, 129, 257], [291, 32768, 65406, 65535]], dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / name)
    expected = [[0, 0, 1, 1], [1, 128, 254, 255]]
    assert gray_of(tmp_path / name) == gray_of(deep) == expected


@pytest.mark.parametrize(("mode", "order"), [("I;16", "<u2"), ("I;16L", "<u2"), ("I;16B", ">u2"), ("I", "=i4")])
def test_every_deep_gray_mode_of_pillow_is_read(mode: str, order: str) -> None:
    values = np.array([[0, 257 * 77, 65535]], dtype=order)
    assert gray_of(Image.frombytes(mode, (3, 1), values.tobytes())) == [[0, 77, 255]]


def test_a_deep_gray_picture_is_turned_upright_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(np.array([[0, 65535]], dtype=np.uint16)).save(tmp_path / "deep.png", exif=exif)
    assert gray_of(tmp_path / "deep.png") == [[0], [255]]


def test_floating_gray_is_up_to_one_or_up_to_255() -> None:
    assert gray_of(Image.fromarray(np.array([[0, 0.2, 1]], dtype=np.float32))) == [[0, 51, 255]]
    assert gray_of(Image.fromarray(np.array([[0, 1, 254.6]], dtype=np.float32))) == [[0, 1, 255]]


@pytest.mark.parametrize("value", [-1, 256, np.nan, np.inf])
def test_floating_gray_that_is_neither_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="source: pixels of mode F must be from 0 to 1 or to 255"):
        read_picture(Image.fromarray(np.array([[0, value]], dtype=np.float32)))


@pytest.mark.parametrize("value", [-1, 65536])
def test_whole_gray_beyond_16_bits_is_refused(value: int) -> None:
    with pytest.raises(InputError, match="source: pixels of mode I must be from 0 to 65535"):
        read_picture(Image.fromarray(np.array([[0, value]], dtype=np.int32)))


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_gray_is_tripled(mode: str, tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert(mode).save(tmp_path / "gray.png")
    assert gray_of(tmp_path / "gray.png") == [[0, 255]]


def test_what_is_transparent_lies_on_white() -> None:
    red = Image.fromarray(np.array([[[255, 0, 0, 0], [255, 0, 0, 102], [255, 0, 0, 255]]], dtype=np.uint8))
    expected = [[[255, 255, 255], [255, 153, 153], [255, 0, 0]]]
    assert pixels(red).tolist() == expected
    assert pixels(red.convert("RGBa")).tolist() == expected
    assert gray_of(Image.fromarray(np.array([[[0, 0], [0, 102], [0, 255]]], dtype=np.uint8))) == [[255, 153, 0]]


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 102])])
def test_a_palette_may_have_a_transparent_colour_or_an_alpha_for_each(
    transparency: int | bytes, tmp_path: Path
) -> None:
    picture = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8)).convert("P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(tmp_path / "opaque.png")
    picture.save(tmp_path / "clear.png", transparency=transparency)
    assert pixels(tmp_path / "opaque.png").tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    blue = [0, 0, 255] if transparency == 1 else [153, 153, 255]
    assert pixels(tmp_path / "clear.png").tolist() == [[[255, 0, 0], [255, 255, 255], blue]]


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 7), (np.uint16, 7)])
def test_a_gray_picture_may_have_a_transparent_value(dtype: type[np.integer[Any]], value: int, tmp_path: Path) -> None:
    top = np.iinfo(dtype).max
    Image.fromarray(np.array([[0, value, top // 5]], dtype=dtype)).save(tmp_path / "gray.png", transparency=value)
    assert gray_of(tmp_path / "gray.png") == [[0, 255, 51]]


@pytest.mark.parametrize(("mode", "tolerance"), [("CMYK", 0), ("HSV", 4), ("YCbCr", 3), ("RGBX", 0)])
def test_other_colour_spaces_become_rgb(mode: str, tolerance: int) -> None:
    found = pixels(Image.fromarray(NOISE).convert(mode)).astype(int)
    assert np.abs(found - NOISE).max() <= tolerance


def test_a_cmyk_jpeg_is_no_negative(tmp_path: Path) -> None:
    flat = np.broadcast_to(np.array([200, 60, 30], dtype=np.uint8), (16, 16, 3))
    Image.fromarray(flat).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert np.abs(pixels(tmp_path / "print.jpg").astype(int) - flat).max() <= 4


def test_lab_is_read() -> None:
    (red, green, blue) = pixels(Image.new("LAB", (1, 1), (128, 128, 128)))[0, 0]
    assert red == green == blue
    assert 115 <= red <= 123


def test_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "film.png", save_all=True, append_images=frames[1:])
    assert pixels(tmp_path / "film.png")[0, 0].tolist() == [255, 0, 0]


def test_a_picture_of_the_caller_is_left_as_it_is() -> None:
    picture = Image.fromarray(NOISE).convert("RGBA")
    picture.getexif()[ExifTags.Base.Orientation] = 6
    before = picture.tobytes()
    assert read_picture(picture).shape == (3, 7, 5)
    assert (picture.mode, picture.size, picture.tobytes()) == ("RGBA", (7, 5), before)


ARRAYS: dict[str, npt.NDArray[Any]] = {
    "uint8": NOISE,
    "uint16": NOISE.astype(np.uint16) * 257,
    "uint16 big-endian": (NOISE.astype(np.uint16) * 257).astype(">u2"),
    "float16": (NOISE / 255).astype(np.float16),
    "float32": (NOISE / 255).astype(np.float32),
    "float64": NOISE / 255,
    "opaque": np.dstack([NOISE, np.full((5, 7), 255, dtype=np.uint8)]),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_an_array_of_any_depth_gives_the_same_bytes(kind: str) -> None:
    assert np.array_equal(pixels(ARRAYS[kind]), NOISE)
    assert np.array_equal(pixels(ARRAYS[kind][::-1, ::-1]), NOISE[::-1, ::-1]), "views too"


def test_an_array_without_colour_is_tripled() -> None:
    assert gray_of(np.array([[False, True]])) == [[0, 255]]
    assert gray_of(np.array([[[0], [9]]], dtype=np.uint8)) == [[0, 9]]
    assert gray_of(np.array([[0, 0.2]])) == [[0, 51]]


def test_an_array_with_alpha_lies_on_white() -> None:
    assert pixels(np.array([[[1, 0, 0, 0.4]]])).tolist() == [[[255, 153, 153]]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_floating_tensor_is_scaled(dtype: torch.dtype) -> None:
    values = torch.tensor([[[0, 0.25, 1]]], dtype=dtype, requires_grad=True)
    assert gray_of(values) == [[0, 64, 255]]


def test_bytes_survive_the_way_through_floats_and_back() -> None:
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(read_picture(every.to(dtype) / 255), every.expand(3, -1, -1))
    assert torch.equal(read_picture(read_picture(every)), every.expand(3, -1, -1))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (np.zeros(4, np.uint8), "source: an array of shape (4,) must be"),
        (np.zeros((2, 2, 2), np.uint8), "source: an array of shape (2, 2, 2) must be"),
        (np.zeros((3, 2, 2), np.uint8), "source: an array of shape (3, 2, 2) must be"),
        (np.zeros((0, 2, 3), np.uint8), "source: an array of shape (0, 2, 3) must be"),
        (np.zeros((2, 2), np.int64), "source: an array of int64 must be uint8, uint16, bool or floating"),
        (np.array([[0, np.nan]]), "source: floating values from nan to nan must be from 0 to 1"),
        (np.array([[0, 1.5]]), "source: floating values from 0 to 1.5 must be from 0 to 1"),
        (np.array([[-0.1, 1]]), "source: floating values from -0.1 to 1 must be from 0 to 1"),
        (torch.zeros(2, 2), "source: a tensor of shape (2, 2) must be (1,H,W) or (3,H,W)"),
        (torch.zeros(4, 2, 2), "source: a tensor of shape (4, 2, 2) must be"),
        (torch.zeros(2, 2, 3), "source: a tensor of shape (2, 2, 3) must be"),
        (torch.zeros(1, 3, 2, 2), "source: a tensor of shape (1, 3, 2, 2) must be"),
        (torch.zeros(3, 2, 0), "source: a tensor of shape (3, 2, 0) must be"),
        (torch.zeros(3, 2, 2, dtype=torch.int64), "source: a tensor of torch.int64 must be uint8 or floating"),
        (torch.full((3, 1, 1), torch.nan), "source: floating values from nan to nan must be"),
        (torch.full((3, 1, 1), 255.0), "source: floating values from 255 to 255 must be from 0 to 1"),
        (Image.new("RGB", (0, 5)), "source: a picture of 0x5 pixels must have no side of 0"),
        (Image.new("La", (1, 1)), "source: not a picture that Pillow can read (conversion from La to"),
        (3, "source: 3 must be a path, a picture of Pillow, an array or a tensor"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_whatever_would_need_a_guess_is_refused_in_a_sentence(source: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}"):
        read_picture(source)


def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "noise.png"
    Image.fromarray(NOISE).save(path)
    whole = path.read_bytes()
    for broken in (b"no picture", whole[:60], whole[:-60]):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=f"^{re.escape(str(path))}: not a picture that Pillow can read"):
            read_picture(path)
    with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path))}: not a picture"):
        read_picture(tmp_path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: an empty file"):
        read_picture(path)


def test_a_file_that_is_missing_is_said_to_be() -> None:
    with pytest.raises(FileNotFoundError, match=r"^nowhere\.png: there is no such file$"):
        read_picture("nowhere.png")


def test_a_picture_of_pillow_that_turns_out_broken_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.bmp"
    Image.fromarray(NOISE).save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with Image.open(path) as picture, pytest.raises(InputError, match=r"^source: not a picture that Pillow can read"):
        read_picture(picture)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    Image.fromarray(NOISE).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InputError, match=r"bomb\.png: has more pixels than Pillow's limit against decompression bombs"):
        read_picture(tmp_path / "bomb.png")


BROKEN = {"broken_data_stream.png", "truncated_image.png", "truncated_jpeg.jpg"}
TURNED = {"Landscape_6.jpg": (1200, 1800), "Portrait_8.jpg": (1800, 1200), "hopper_orientation_6.jpg": (128, 128)}
"""Height and width, upright."""


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_every_awkward_picture_is_read_or_refused(awkward: Path) -> None:
    paths = [path for path in awkward.iterdir() if path.suffix in (".png", ".jpg", ".mpo", ".tif")]
    assert len(paths) == 20
    for path in paths:
        if path.name in BROKEN:
            with pytest.raises(InputError, match=f"^{re.escape(str(path))}: not a picture that Pillow can read"):
                read_picture(path)
        else:
            assert read_picture(path).shape[0] == 3


@pytest.mark.parametrize("name", TURNED)
def test_awkward_photos_stand_upright(name: str, awkward: Path) -> None:
    assert read_picture(awkward / name).shape[1:] == TURNED[name]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "CMYK"])
def test_a_picture_read_in_bands_is_the_same(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.fromarray(NOISE).convert(mode)
    whole = read_picture(picture)
    monkeypatch.setattr(pictures, "BAND", 3 * picture.width)
    assert torch.equal(read_picture(picture), whole)
    assert torch.equal(read_picture(pictures.to_pillow(whole)), whole)
