"""Damaged photos: nothing that is incomplete is taken for a photo, and only `PhotoError` ever comes out."""

import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.errors import PhotoError
from models.formats import PhotoLimits
from models.integrity import find_jpeg_end
from models.photo import Photo, decode_photo
from tests.models.photo_files import every_kind, save, textured, tiff

FILES = every_kind()
KINDS = sorted(FILES)
LIMITS = PhotoLimits(max_pixels=4_000_000)


def decoded_or_refused(data: bytes) -> Photo | None:
    """Any exception but `PhotoError`, and any warning, fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return decode_photo(data, limits=LIMITS)
        except PhotoError:
            return None


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_when_whole(kind: str) -> None:
    assert {decode_photo(FILES[kind]).pixels.shape} <= {(40, 56, 3), (56, 40, 3)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_cut_off_anywhere_is_refused(kind: str) -> None:
    data = FILES[kind]
    cuts = {*range(0, len(data), max(1, len(data) // 150)), *range(max(0, len(data) - 40), len(data))}
    assert [cut for cut in sorted(cuts) if decoded_or_refused(data[:cut]) is not None] == []


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_jpeg_that_lost_data_but_has_an_end_marker_is_refused(kept: float, progressive: bool) -> None:
    data = save(textured(200, 240), "JPEG", progressive=progressive)
    part = data[: int(kept * len(data))]
    with Image.open(io.BytesIO(part + b"\xff\xd9")) as picture:
        picture.load()  # The decoder alone takes it, and fills in grey.
    assert decoded_or_refused(part + b"\xff\xd9") is None
    assert decoded_or_refused(part + bytes(200_000)) is None


def test_a_jpeg_that_lost_a_packet_in_its_middle_is_refused() -> None:
    data = save(textured(400, 480), "JPEG")
    assert decoded_or_refused(data[: len(data) // 2] + data[len(data) // 2 + 1400 :]) is None


def test_a_whole_jpeg_of_mid_grey_is_taken() -> None:
    grey = np.full((64, 80, 3), 128, np.uint8)
    np.testing.assert_array_equal(decode_photo(save(grey, "JPEG")).pixels, grey)


def test_trailing_bytes_after_a_jpeg_do_no_harm() -> None:
    data = FILES["jpeg"]
    np.testing.assert_array_equal(decode_photo(data + b"camera data" * 99).pixels, decode_photo(data).pixels)


def test_the_end_of_an_embedded_thumbnail_is_not_the_end_of_the_photo() -> None:
    thumbnail = save(textured(16, 16), "JPEG")
    data = save(textured(), "JPEG", exif=b"Exif\0\0" + thumbnail)
    end_of_thumbnail = data.index(thumbnail) + len(thumbnail)
    assert find_jpeg_end(data) == len(data) - 2
    assert find_jpeg_end(data[:end_of_thumbnail]) is None
    for cut in (end_of_thumbnail, end_of_thumbnail + 30, len(data) - 2):
        assert decoded_or_refused(data[:cut]) is None


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("planar", [False, True])
def test_a_tiff_with_missing_strips_is_refused(channels: int, kind: type, planar: bool) -> None:
    pixels = textured(channels=channels).astype(kind)
    assert decoded_or_refused(tiff(pixels, rows_per_strip=8, strips=4, planar=planar)) is None


@pytest.mark.parametrize("kind", ["png", "png-palette", "png-16", "png-16-grey"])
@pytest.mark.parametrize("where", [0.3, 0.5, 0.9])
def test_a_png_with_one_altered_byte_is_refused(kind: str, where: float) -> None:
    data = bytearray(FILES[kind])
    data[int(where * len(data))] ^= 0x10
    assert decoded_or_refused(bytes(data)) is None


@settings(max_examples=300)
@given(
    kind=st.sampled_from(KINDS), changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6)
)
def test_altered_photos_give_a_photo_or_a_photo_error(kind: str, changes: list[tuple[float, int]]) -> None:
    data = bytearray(FILES[kind])
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    photo = decoded_or_refused(bytes(data))
    assert photo is None or (photo.pixels.dtype == np.uint8 and photo.pixels.shape[2:] == (3,))


@settings(max_examples=300)
@given(
    kind=st.sampled_from(KINDS),
    changes=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=4),
    at_end=st.booleans(),
)
def test_altered_headers_give_a_photo_or_a_photo_error(
    kind: str, changes: list[tuple[int, int]], at_end: bool
) -> None:
    data = bytearray(FILES[kind])
    for place, value in changes:
        data[-1 - place if at_end else place] = value
    photo = decoded_or_refused(bytes(data))
    assert photo is None or (photo.pixels.dtype == np.uint8 and photo.pixels.shape[2:] == (3,))


@settings(max_examples=200)
@given(
    start=st.sampled_from(
        [b"", *(FILES[kind][:12] for kind in KINDS), *(FILES[kind][:60] for kind in KINDS)]
    ),
    rest=st.binary(max_size=200),
)
def test_random_bytes_are_never_a_photo(start: bytes, rest: bytes) -> None:
    assert decoded_or_refused(start + rest) is None
