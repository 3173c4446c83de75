"""What the decoders let pass: checksums, end markers and missing pieces, each by itself."""

import io

import pytest
from PIL import Image

from models.integrity import extend_jpeg, find_jpeg_end, png_is_whole, tiff_is_whole
from tests.models.photo_files import save, textured, tiff


def tags_of(data: bytes) -> dict[int, object]:
    with Image.open(io.BytesIO(data)) as picture:
        return dict(picture.tag_v2)


def test_a_png_is_whole_with_all_its_chunks_and_checksums() -> None:
    data = save(textured(), "PNG", compress_level=0)
    assert png_is_whole(data)
    assert png_is_whole(data + b"what a camera adds")
    assert not any(png_is_whole(data[:cut]) for cut in range(0, len(data), 7))
    for place in range(8, len(data), 97):
        altered = bytearray(data)
        altered[place] ^= 4
        assert not png_is_whole(bytes(altered)), place


def test_the_end_of_a_jpeg_is_found_behind_its_data() -> None:
    data = save(textured(), "JPEG", progressive=True)
    assert find_jpeg_end(data) == len(data) - 2
    assert find_jpeg_end(data + b"\xff\xd9 and more") == len(data) - 2
    assert all(find_jpeg_end(data[:cut]) is None for cut in range(len(data)))


def test_more_data_changes_a_jpeg_exactly_when_some_was_missing() -> None:
    def pixels(data: bytes) -> bytes:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.tobytes()

    whole = save(textured(), "JPEG")
    short = whole[: int(0.8 * len(whole))] + b"\xff\xd9"
    assert pixels(extend_jpeg(whole, len(whole) - 2)) == pixels(whole)
    assert pixels(extend_jpeg(short, len(short) - 2)) != pixels(short)


@pytest.mark.parametrize("planar", [False, True])
def test_a_tiff_is_whole_when_all_its_strips_lie_inside_the_file(planar: bool) -> None:
    data = tiff(textured(), rows_per_strip=8, planar=planar)
    assert tiff_is_whole(tags_of(data), len(data))
    last = max(tags_of(data)[273]) + tags_of(data)[279][-1]
    assert tiff_is_whole(tags_of(data), last)
    assert not tiff_is_whole(tags_of(data), last - 1)


def test_a_tiff_of_tiles_needs_each_of_them() -> None:
    tags = {256: 100, 257: 50, 322: 32, 323: 32, 324: tuple(range(8)), 325: (10,) * 8}
    assert tiff_is_whole(tags, 100)
    assert not tiff_is_whole({**tags, 324: tuple(range(7)), 325: (10,) * 7}, 100)
    assert not tiff_is_whole({**tags, 325: (10,) * 7}, 100)
    assert not tiff_is_whole({**tags, 322: 0}, 100)
