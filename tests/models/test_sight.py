"""What the model sees of a part that was turned, and what is said of the photo it was turned from."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import MANIFEST, Bundle, checksum_of, sha256_of_file, write_manifest
from models.errors import BundleError
from models.heat_map import read_map
from models.inspector import Inspector
from models.manifest import Manifest
from models.mean_part import draw_difference
from models.preprocessing import Placement, Preprocessing
from models.registration import BESIDE, Template
from models.resizing import map_on_photo, own_part, turned_back
from models.sight import TEMPLATE, Sight, encode_template
from tests.tiny_bundle import clean_photo, encode, make_tiny_bundle
from tests.turned_bundle import SIDE, make_turned_bundle, spot_at, turned_part


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return make_turned_bundle(tmp_path_factory.mktemp("turned"))


@pytest.fixture(scope="module")
def inspector(bundle: Path) -> Inspector:
    return Inspector.load(bundle, "cpu", threads=1)


@pytest.mark.parametrize("size", [(192, 192), (256, 288), (640, 580)])
@pytest.mark.parametrize(("angle", "right", "down"), [(0, 0, 0), (75, 0.06, -0.05), (-160, -0.05, 0.07)])
def test_a_spot_is_found_where_it_is_on_the_photo(
    inspector: Inspector, size: tuple[int, int], angle: float, right: float, down: float
) -> None:
    photo = turned_part(angle, right, down, size=size, spot=True)
    answer, prepared, outputs = inspector.inspect(encode(photo))
    x, y = spot_at(angle, right, down, size)
    assert answer.verdict == "anomalous", answer.review_reasons
    assert len(answer.regions) == 1
    box = answer.regions[0].box
    assert (box.x + box.width / 2, box.y + box.height / 2) == pytest.approx((x, y), abs=0.05 * max(size))
    assert box.width < 0.3 * max(size)
    on_photo = inspector.photo_map(prepared, outputs)
    row, column = divmod(int(on_photo.argmax()), on_photo.shape[1])
    found = column * size[1] / on_photo.shape[1], row * size[0] / on_photo.shape[0]
    assert found == pytest.approx((x, y), abs=0.08 * max(size))
    assert on_photo.max() == outputs.anomaly_map.max() == answer.anomaly.score
    # The tensor shows the part as the template has it.
    expected = Sight(inspector.manifest.preprocessing).see(turned_part(size=size, spot=True)).tensor
    middle = np.s_[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4]
    # Letterboxed, it is smaller in the template's place than the template, which is of square photos.
    if size[0] == size[1]:
        off = np.abs(prepared.tensor[middle].astype(int) - expected[middle]).mean()
        assert off < 5.0


def test_a_good_part_is_clean_at_any_angle(inspector: Inspector) -> None:
    for seed, angle in enumerate(range(-180, 180, 45)):
        answer, _, _ = inspector.inspect(encode(turned_part(angle, 0.04, -0.03, seed=seed)))
        assert answer.verdict == "clean"
        (reading,) = (each for each in answer.quality if each.name == "registration")
        assert reading.ok
        assert reading.value > 0.8
        assert answer.timings_ms["register"] > 0


@pytest.mark.parametrize(
    "photo", [clean_photo(), np.full((192, 192, 3), 110, np.uint8)], ids=["another part", "empty"]
)
def test_a_photo_that_does_not_register_is_invalid_and_told_why(
    inspector: Inspector, photo: np.ndarray
) -> None:
    answer, _, _ = inspector.inspect(encode(photo))
    assert answer.verdict == "invalid"
    assert answer.score is None
    assert answer.regions == []
    (reason,) = answer.review_reasons
    assert reason.startswith("registration ")
    assert "outside 0.7 to 1" in reason


def test_the_map_inside_an_overlay_is_laid_over_the_turned_part(inspector: Inspector) -> None:
    _, prepared, outputs = inspector.inspect(encode(turned_part(120.0, 0.05, 0.0, spot=True)))
    for form in ("jpeg", "png"):
        found = read_map(inspector.encoded_overlay(prepared, outputs, form))
        assert found is not None
        assert found.place == prepared.place
        assert np.allclose(found.on_photo(), inspector.photo_map(prepared, outputs), atol=1e-3)


def test_golden_photos_and_old_bundles_hold(inspector: Inspector, tmp_path: Path) -> None:
    assert inspector.check_golden() == []
    old = make_tiny_bundle(tmp_path)
    raw = json.loads((old / MANIFEST).read_bytes())
    del raw["registration"]
    raw["checksum"] = checksum_of(raw)
    (old / MANIFEST).write_text(json.dumps(raw))
    loaded = Inspector.load(old, "cpu", threads=1)
    assert loaded.sight.template is None
    answer, prepared, _ = loaded.inspect(encode(clean_photo()))
    assert prepared.place.pose is None
    assert "registration" not in {reading.name for reading in answer.quality}


def test_the_difference_from_the_mean_lies_where_the_spot_is(inspector: Inspector) -> None:
    angle, right, down = 75.0, 0.06, -0.05
    sight = Sight.of(inspector.bundle)
    assert sight.template is not None
    drawn = draw_difference(turned_part(angle, right, down, spot=True), sight.template.picture, sight)
    x, y = (SIDE / 192 * at for at in spot_at(angle, right, down))
    assert drawn[round(y), round(x)].max() > 200
    assert np.median(drawn) < 60


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    angle=st.floats(-180, 180),
    right=st.floats(-12, 12),
    down=st.floats(-12, 12),
    row=st.integers(20, 75),
    column=st.integers(20, 75),
)
def test_there_and_back_a_point_is_where_it_was(
    angle: float, right: float, down: float, row: int, column: int
) -> None:
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    middle = np.full(2, (SIDE - 1) / 2)
    rotation = np.array([[cos, -sin], [sin, cos]])
    shift = middle - rotation @ middle + (right, down)
    pose = (cos, -sin, float(shift[0]), sin, cos, float(shift[1]))
    place = Placement(SIDE, SIDE, 0, 0, SIDE, SIDE, letterboxed=False, pose=pose)
    x, y = rotation @ (column, row) + shift
    values = np.zeros((SIDE, SIDE), np.float32)
    values[row, column] = 1.0
    back = turned_back(values, place)
    inside = 1 <= x < SIDE - 1 and 1 <= y < SIDE - 1
    if inside:
        found = np.argwhere(back > 0).mean(axis=0)
        assert found == pytest.approx((y, x), abs=1.0)
        assert own_part(place, SIDE, SIDE)[row, column]
    # Whether the photo has it or not, the largest value is kept, at the nearest place that the photo has.
    on_photo = map_on_photo(values, (SIDE, SIDE), place)
    assert on_photo.max() == 1.0
    at = divmod(int(on_photo.argmax()), SIDE)
    assert at == pytest.approx((np.clip(y, 0, SIDE - 1), np.clip(x, 0, SIDE - 1)), abs=1.0)


def test_what_the_template_stands_for_is_not_seen(inspector: Inspector) -> None:
    template = inspector.sight.template
    assert template is not None
    weight = template.weight.copy()
    weight[:, : SIDE // 2] = 0
    half = Sight(Preprocessing(height=SIDE, width=SIDE), Template(template.picture, weight))
    seen = half.see(turned_part(20.0, spot=True)).tensor
    assert np.array_equal(seen[:, : SIDE // 2], template.picture[:, : SIDE // 2])
    assert not np.array_equal(seen[:, SIDE // 2 :], template.picture[:, SIDE // 2 :])


def test_a_template_that_was_altered_or_has_another_size_is_refused(bundle: Path, tmp_path: Path) -> None:
    path = make_turned_bundle(tmp_path)
    whole = (path / TEMPLATE).read_bytes()
    (path / TEMPLATE).write_bytes(whole[:-20] + bytes(20))
    with pytest.raises(BundleError, match=r"template\.png was altered"):
        Inspector.load(path, "cpu", threads=1)
    small = np.zeros((32, 32, 3), np.uint8)
    (path / TEMPLATE).write_bytes(encode_template(Template(small, small[..., 0])))
    manifest = Bundle.open(path, verify=False).manifest
    files = {**manifest.files, TEMPLATE: sha256_of_file(path / TEMPLATE)}
    write_manifest(path, manifest.model_copy(update={"files": files}))
    with pytest.raises(BundleError, match="no picture of 96 x 96 pixels"):
        Inspector.load(path, "cpu", threads=1)


def test_a_template_without_a_part_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    path = make_turned_bundle(tmp_path)
    nowhere = Template(turned_part(size=(SIDE, SIDE)), np.full((SIDE, SIDE), BESIDE, np.uint8))
    for data, reason in (
        (encode_template(nowhere), "does not say where the part is"),
        (b"", "is no picture"),
    ):
        (path / TEMPLATE).write_bytes(data)
        manifest = Bundle.open(path, verify=False).manifest
        files = {**manifest.files, TEMPLATE: sha256_of_file(path / TEMPLATE)}
        write_manifest(path, manifest.model_copy(update={"files": files}))
        with pytest.raises(BundleError, match=reason):
            Inspector.load(path, "cpu", threads=1)


def test_a_part_that_the_border_cuts_off_is_invalid(inspector: Inspector) -> None:
    answer, _, _ = inspector.inspect(encode(turned_part(20.0, 0.42, 0.0)))
    assert answer.verdict == "invalid"
    assert any(reason.startswith("registration ") for reason in answer.review_reasons)


@pytest.mark.parametrize("change", ["file", "limit", "no limit at all"])
def test_a_manifest_whose_template_is_unlisted_or_without_a_limit_is_refused(
    inspector: Inspector, change: str
) -> None:
    raw = inspector.manifest.model_dump()
    if change == "file":
        del raw["files"][TEMPLATE]
    elif change == "limit":
        del raw["quality"]["limits"]["registration"]
    else:
        raw["quality"]["limits"]["registration"]["low"] = 0.0
    with pytest.raises(ValueError, match="template"):
        Manifest.model_validate(raw)
