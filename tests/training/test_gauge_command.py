"""`glint gauge` as it is called: what it prints and leaves, and what it refuses before the work."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from models.errors import BundleError, UsageError
from tests.training.photos import paint_folder
from training import cli


@pytest.fixture
def glint() -> Iterator[Callable[..., Any]]:
    """Call `glint`; the loggers are afterwards as they were."""
    loggers = [logging.getLogger(name) for name in ("training", "models")]
    kept = [(logger, logger.handlers, logger.level, logger.propagate) for logger in loggers]
    yield lambda *words: CliRunner().invoke(cli.app, [str(word) for word in words], catch_exceptions=False)
    for logger, handlers, level, propagate in kept:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_the_command_prints_json_and_leaves_a_page(
    glint: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    photos = paint_folder(tmp_path / "photos", {"good": 5, "scratched": 3})
    options = ("--repeats", 3, "--shift", 0, "--noise", 0, "--seed", 5, "--device", "cpu", "--quiet")
    done = glint("gauge", tiny_bundle, photos, *options, "--json", "--out", tmp_path / "new" / "out")
    found = json.loads(done.stdout)
    assert (found["part"], found["n_good"], found["n_defective"]) == ("bracket", 5, 3)
    assert found["simulated"]["repeats"] == 3
    assert found["ways"][0]["n_trials"] == 24
    assert set(found["ways"][0]["standard"]) >= {"kappa", "effectiveness", "miss_rate", "false_alarm_rate"}
    assert "keep their outcome" in found["conclusions"][0]
    assert json.loads((tmp_path / "new" / "out" / "gauge.json").read_text()) == found
    assert (tmp_path / "new" / "out" / "gauge.html").read_text().startswith("<!doctype html>")


def test_a_page_that_could_not_be_written_is_refused_before_the_work(
    glint: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match=r"--out .*taken is no folder that can be made"):
        glint("gauge", tmp_path / "no bundle", tmp_path, "--out", tmp_path / "taken")


@pytest.mark.parametrize("name", ["gauge.html", "gauge.json"])
def test_a_folder_that_does_not_take_the_files_is_refused_before_the_work(
    glint: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    with pytest.raises(UsageError, match=rf"--out .*out does not take {name}"):
        glint("gauge", tmp_path / "no bundle", tmp_path, "--out", tmp_path / "out")


@pytest.mark.parametrize("option", ["--repeats", "--shift", "--light", "--noise", "--seed"])
def test_options_of_simulated_repeats_are_refused_where_nothing_is_simulated(
    glint: Callable[..., Any], tmp_path: Path, option: str
) -> None:
    value = {"--light": "0.02"}.get(option, "3")
    with pytest.raises(UsageError, match=rf"With --presented nothing is simulated, so {option} "):
        glint("gauge", tmp_path / "no bundle", tmp_path, "--presented", option, value)
    # What these options are by default is no reason to refuse.
    with pytest.raises(BundleError):
        glint("gauge", tmp_path / "no bundle", tmp_path, "--presented")
