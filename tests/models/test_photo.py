"""Whole photos: which are taken, and that their pixels are right."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from models.errors import PhotoError
from models.formats import MEDIA_TYPES, PhotoLimits
from models.photo import decode_photo, read_photo
from tests.models.photo_files import (
    bmp_header,
    chunk,
    every_kind,
    png,
    save,
    sixteen_bit,
    textured,
    tiff,
    turned,
)

ORIENTATIONS = range(1, 9)


def refusal(data: bytes, **options: object) -> str:
    """The code with which a photo is refused."""
    with pytest.raises(PhotoError) as caught:
        decode_photo(data, **options)
    assert caught.value.problem
    assert caught.value.remedy
    return caught.value.code


def upright(orientation: int) -> np.ndarray:
    """`textured()` turned by Pillow, the reference."""
    picture = Image.fromarray(textured())
    picture.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_eight_bit_modes_give_exactly_their_pixels(form: str, mode: str) -> None:
    picture = Image.fromarray(textured()).convert(mode)
    photo = decode_photo(save(picture, form))
    np.testing.assert_array_equal(photo.pixels, np.asarray(picture.convert("RGB")))
    assert (photo.bit_depth, photo.media_type) == (8, MEDIA_TYPES[form])
    assert photo.pixels.flags.c_contiguous


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_lossy_formats_give_nearly_their_pixels_in_rgb_order(form: str) -> None:
    photo = decode_photo(save(textured(), form, quality=95))
    assert np.abs(photo.pixels.astype(int) - textured()).mean() < 8
    assert photo.media_type == MEDIA_TYPES[form]


def test_a_photo_knows_its_size_digest_and_peak() -> None:
    pixels = np.full((5, 9, 3), 17, np.uint8)
    data = save(pixels, "PNG")
    photo = decode_photo(data)
    assert (photo.height, photo.width, photo.peak) == (5, 9, 17)
    assert photo.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_opaque_alpha_is_dropped_and_any_transparency_refused(form: str, mode: str) -> None:
    picture = Image.fromarray(textured()).convert(mode)
    photo = decode_photo(save(picture, form, lossless=True))
    np.testing.assert_array_equal(photo.pixels, np.asarray(picture.convert("RGB")))
    alpha = Image.new("L", picture.size, 255)
    alpha.putpixel((3, 2), 254)
    picture.putalpha(alpha)
    assert refusal(save(picture, form, lossless=True, exact=True)) == "transparent"


def test_a_transparent_colour_of_png_is_refused() -> None:
    grey = textured(channels=1)
    key = chunk(b"tRNS", int(grey[0, 0, 0]).to_bytes(2, "big"))
    assert refusal(png(grey, colour_type=0, bits=8, extra=key)) == "transparent"
    deep = sixteen_bit(channels=1)
    key = chunk(b"tRNS", int(deep[0, 0, 0]).to_bytes(2, "big"))
    assert refusal(png(deep, colour_type=0, extra=key)) == "transparent"


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("container", ["png", "tiff <", "tiff >", "tiff strips", "tiff lzw"])
def test_sixteen_bit_values_are_scaled_to_the_nearest(container: str, channels: int) -> None:
    deep = sixteen_bit(channels=channels)
    data = {
        "png": lambda: png(deep, colour_type=2 if channels == 3 else 0),
        "tiff <": lambda: tiff(deep, order="<"),
        "tiff >": lambda: tiff(deep, order=">"),
        "tiff strips": lambda: tiff(deep, rows_per_strip=7),
        "tiff lzw": lambda: cv2.imencode(".tiff", deep[..., ::-1])[1].tobytes(),
    }[container]()
    photo = decode_photo(data)
    np.testing.assert_array_equal(photo.pixels, np.broadcast_to(np.rint(deep / 257), (40, 56, 3)))
    assert (photo.bit_depth, photo.peak) == (16, int(deep.max()))


@pytest.mark.parametrize("colour_type", [4, 6])
def test_sixteen_bit_alpha_must_be_opaque(colour_type: int) -> None:
    values = sixteen_bit(channels=2 if colour_type == 4 else 4)
    values[..., -1] = 65535
    photo = decode_photo(png(values, colour_type=colour_type))
    np.testing.assert_array_equal(photo.pixels, np.broadcast_to(np.rint(values[..., :-1] / 257), (40, 56, 3)))
    values[4, 4, -1] = 65534
    assert refusal(png(values, colour_type=colour_type)) == "transparent"


def test_the_white_level_of_a_twelve_bit_camera_becomes_white() -> None:
    deep = np.array([[[0], [2048], [4095]]], np.uint16)
    assert decode_photo(tiff(deep), white_level=4095).pixels[0, :, 0].tolist() == [0, 128, 255]
    assert decode_photo(tiff(deep)).pixels[0, :, 0].tolist() == [0, 8, 16]
    deep[0, 1] = 4096
    assert refusal(tiff(deep), white_level=4095) == "white_level"


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_eight_bit_photos_are_turned_upright_once(form: str, orientation: int) -> None:
    options = {"lossless": True} if form == "WEBP" else {"quality": 98} if form == "JPEG" else {}
    expected = upright(orientation)
    pixels = decode_photo(turned(form, orientation, **options)).pixels
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < (6 if form == "JPEG" else 0.001)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("container", ["png", "tiff"])
def test_sixteen_bit_photos_are_turned_upright_once(container: str, channels: int, orientation: int) -> None:
    deep = textured()[..., :channels].astype(np.uint16) * 257
    if container == "tiff":
        data = tiff(deep, tags={274: [orientation]})
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        extra = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
        data = png(deep, colour_type=2 if channels == 3 else 0, extra=extra)
    expected = upright(orientation)
    expected = expected if channels == 3 else np.repeat(expected[..., :1], 3, axis=2)
    np.testing.assert_array_equal(decode_photo(data).pixels, expected)


def test_layouts_that_no_decoder_reads_rightly_are_refused() -> None:
    deep = sixteen_bit()
    assert refusal(tiff(deep, planar=True)) == "colour_mode"
    assert refusal(tiff(deep[..., :1], tags={262: [0]})) == "colour_mode"
    assert refusal(tiff(deep[..., :1], tags={339: [2]})) == "colour_mode"
    assert refusal(save(Image.fromarray(textured()).convert("F"), "TIFF")) == "colour_mode"
    assert refusal(save(Image.fromarray(textured()).convert("CMYK"), "JPEG")) == "colour_mode"


def test_eight_bit_tiffs_that_count_from_white_or_lie_in_planes_are_read() -> None:
    colour = textured()
    np.testing.assert_array_equal(decode_photo(tiff(colour, planar=True)).pixels, colour)
    white_is_zero = decode_photo(tiff(colour[..., :1], tags={262: [0]})).pixels
    np.testing.assert_array_equal(white_is_zero[..., 0], 255 - colour[..., 0])


@pytest.mark.parametrize("form", ["TIFF", "WEBP", "PNG", "MPO"])
def test_files_with_several_pictures_are_refused(form: str) -> None:
    first, second = Image.fromarray(textured()), Image.fromarray(255 - textured())
    assert refusal(save(first, form, save_all=True, append_images=[second])) == "several_frames"


@pytest.mark.parametrize(
    "data",
    [b"GIF89a", b"%PDF-1.7", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"a,b\n1,2\n", b"\x00" * 64],
    ids=["gif", "pdf", "svg", "text", "zeros"],
)
def test_what_is_no_photo_is_refused(data: bytes) -> None:
    assert refusal(data) == "not_an_image"


def test_another_format_is_named() -> None:
    with pytest.raises(PhotoError, match="GIF"):
        decode_photo(save(Image.fromarray(textured()), "GIF"))


def test_size_limits_are_kept() -> None:
    data = save(textured(), "PNG")
    exactly = PhotoLimits(max_bytes=len(data), max_pixels=40 * 56)
    assert decode_photo(data, limits=exactly).width == 56
    assert refusal(b"") == "empty"
    assert refusal(data, limits=PhotoLimits(max_bytes=len(data) - 1)) == "too_many_bytes"
    assert refusal(data, limits=PhotoLimits(max_pixels=40 * 56 - 1)) == "too_many_pixels"


@pytest.mark.parametrize("side", [9_000, 10_000, 50_000])
def test_a_header_that_promises_too_many_pixels_is_refused_before_decoding(side: int) -> None:
    limits = PhotoLimits(max_pixels=64_000_000)
    assert refusal(bmp_header(side, side), limits=limits) == "too_many_pixels"
    row = np.zeros((1, side, 1), np.uint8)
    assert refusal(png(row, colour_type=0, bits=8, rows=side), limits=limits) == "too_many_pixels"


def test_files_are_read_from_disk_or_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "part.png"
    path.write_bytes(every_kind()["png"])
    np.testing.assert_array_equal(read_photo(path).pixels, textured())
    with pytest.raises(PhotoError, match=r"missing\.png") as caught:
        read_photo(tmp_path / "missing.png")
    assert caught.value.code == "unreadable"
    with pytest.raises(PhotoError) as caught:
        read_photo(path, limits=PhotoLimits(max_bytes=10))
    assert caught.value.code == "too_many_bytes"
