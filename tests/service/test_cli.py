"""`glint inspect`, `glint verify` and the help texts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from models.errors import BundleError
from models.photo import decode_photo
from service.cli import app
from service.console import show_score
from tests.service.forging import forge
from tests.service.live import GLINT
from tests.tiny_bundle import (
    anomalous_photo,
    clean_photo,
    encode,
    make_tiny_bundle,
    scratched_photo,
    unmeasurable_photo,
)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(encode(clean_photo(), ".jpg"))
    (folder / "b.png").write_bytes(encode(scratched_photo(), ".png"))
    (folder / "[c].tiff").write_bytes(encode(anomalous_photo(), ".tiff"))
    return folder


def glint(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_has_a_line_for_each_photo_with_the_fields_of_the_http_answer(
    photos: Path, tiny_bundle: Path, client: TestClient
) -> None:
    files = [photos / "a.jpg", photos / "b.png", photos / "[c].tiff"]
    result = glint("inspect", *files, "--bundle", tiny_bundle, "--device", "cpu", "--json")
    assert result.exit_code == 0, result.output
    answers = lines(result)
    assert [answer.pop("file") for answer in answers] == [str(file) for file in files]
    assert [answer["verdict"] for answer in answers] == ["clean", "scratched", "anomalous"]
    for file, answer in zip(files, answers, strict=True):
        posted = client.post(
            "/inspect?overlay=none",
            content=file.read_bytes(),
            headers={"content-type": "application/octet-stream"},
        ).json()
        own = {"id", "timings_ms"}
        assert set(answer) == set(posted)
        assert {k: v for k, v in answer.items() if k not in own} == {
            k: v for k, v in posted.items() if k not in own
        }


def test_a_photo_outside_the_quality_gate_is_invalid_with_the_reason(photos: Path, tiny_bundle: Path) -> None:
    (photos / "dark.png").write_bytes(encode(np.zeros((64, 64, 3), np.uint8)))
    arguments = ("inspect", photos / "dark.png", photos / "a.jpg", "--bundle", tiny_bundle, "--device", "cpu")
    result = glint(*arguments, "--json")
    assert result.exit_code == 1
    dark, good = lines(result)
    assert (dark["verdict"], dark["score"], good["verdict"]) == ("invalid", None, "clean")
    assert dark["review_reasons"] == ["brightness 0 is outside 0.02 to 0.98"]
    assert [reading["ok"] for reading in dark["quality"] if reading["name"] == "brightness"] == [False]
    table = glint(*arguments)
    assert table.exit_code == 1
    assert "brightness 0 is outside" in " ".join(table.stdout.split())
    assert "review" not in table.stdout


def test_an_altered_limit_is_noticed(photos: Path, tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "bundles")
    manifest = bundle / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"anomaly": 3.0', '"anomaly": 4.0'))
    for command in (("inspect", photos, "--bundle", bundle), ("verify", bundle)):
        result = glint(*command, "--device", "cpu")
        assert isinstance(result.exception, BundleError)
        assert "manifest.json was altered" in str(result.exception)


def test_verify_says_which_versions_a_part_has(tiny_bundle: Path) -> None:
    result = glint("verify", tiny_bundle.parent, "--device", "cpu")
    assert isinstance(result.exception, BundleError)
    assert str(tiny_bundle) in result.exception.remedy


def test_the_table_names_every_photo_and_its_verdict(photos: Path, tiny_bundle: Path) -> None:
    result = glint("inspect", photos, "--bundle", tiny_bundle, "--device", "cpu")
    assert result.exit_code == 0, result.output
    squeezed = "".join(result.stdout.split())  # long paths are folded
    for name, verdict in (("a.jpg", "clean"), ("b.png", "scratched"), ("[c].tiff", "anomalous")):
        assert f"{name}{verdict}" in squeezed or (name in squeezed and verdict in squeezed)


def test_a_photo_that_cannot_be_read_is_named_and_does_not_stop_the_rest(
    photos: Path, tiny_bundle: Path
) -> None:
    (photos / "b.png").write_bytes((photos / "b.png").read_bytes()[:200])
    (photos / "d.png").write_bytes(encode(unmeasurable_photo()))
    result = glint("inspect", photos, photos / "gone.jpg", "--bundle", tiny_bundle, "--json")
    assert result.exit_code == 1
    answers = {Path(answer["file"]).name: answer for answer in lines(result)}
    verdicts = {name: answer["verdict"] for name, answer in answers.items()}
    assert verdicts == {
        "[c].tiff": "anomalous",
        "a.jpg": "clean",
        "b.png": "invalid",
        "d.png": "invalid",
        "gone.jpg": "invalid",
    }
    assert answers["b.png"]["code"] == "truncated"
    assert answers["gone.jpg"]["code"] == "unreadable"
    assert answers["gone.jpg"]["detail"]
    assert answers["d.png"]["score"] is None
    table = glint("inspect", photos, "--bundle", tiny_bundle)
    assert table.exit_code == 1
    assert "invalid" in table.stdout


def test_a_folder_without_photos_is_named(photos: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = glint("inspect", photos / "a.jpg", tmp_path / "empty", "--bundle", tiny_bundle, "--json")
    assert result.exit_code == 1
    photo, empty = lines(result)
    assert photo["verdict"] == "clean"
    assert (empty["verdict"], empty["code"]) == ("invalid", "unreadable")
    assert "without photos" in empty["detail"]


@pytest.mark.parametrize(("score", "shown"), [(0.49999, "0.499"), (0.5, "0.500"), (1.0, "1.000")])
def test_a_score_below_the_limit_is_never_shown_as_the_limit(score: float, shown: str) -> None:
    assert show_score(score) == shown


def test_overlays_are_written_beside_each_other_even_for_equal_names(
    photos: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    (photos / "more").mkdir()
    (photos / "more" / "a.jpg").write_bytes(encode(anomalous_photo(), ".jpg"))
    out = tmp_path / "out"
    result = glint("inspect", photos, "--bundle", tiny_bundle, "--overlays", out)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == ["[c].jpg", "a-2.jpg", "a.jpg", "b.jpg"]
    assert all(decode_photo(path.read_bytes()).width == 160 for path in out.iterdir())


def test_a_folder_of_bundles_will_do_if_there_is_one_part(photos: Path, tmp_path: Path) -> None:
    bundles = tmp_path / "bundles"
    make_tiny_bundle(bundles, part="bracket")
    assert glint("inspect", photos / "a.jpg", "--bundle", bundles).exit_code == 0
    make_tiny_bundle(bundles, part="nut")
    result = glint("inspect", photos / "a.jpg", "--bundle", bundles)
    assert isinstance(result.exception, BundleError)
    assert "bracket, nut" in result.exception.problem


def test_verify_says_what_it_checked(tiny_bundle: Path) -> None:
    result = glint("verify", tiny_bundle, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "files have their recorded checksums" in result.stdout
    assert "CPUExecutionProvider" in result.stdout
    assert "3 golden photos give their recorded results" in result.stdout


def test_verify_fails_on_an_altered_file(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path)
    (bundle / "report.html").write_text("another report")
    result = glint("verify", bundle)
    assert result.exit_code == 1
    assert isinstance(result.exception, BundleError)
    assert "report.html" in result.exception.problem


def test_verify_fails_when_a_golden_photo_gives_another_result(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path)
    forge(bundle, "golden/expected.json", '"verdict": "clean"', '"verdict": "scratched"')
    result = glint("verify", bundle, "--device", "cpu")
    assert result.exit_code == 1
    assert "golden/clean.png: clean instead of scratched" in result.stdout
    assert "golden photos give" not in result.stdout


def test_a_fault_ends_as_one_clear_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GLINT, "serve", "--bundles", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "holds no complete bundle" in done.stderr
    assert "glint train" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["serve", "inspect", "verify", "promote"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = glint(command, "--help")
    assert result.exit_code == 0
    assert f"Example: glint {command}" in result.stdout
