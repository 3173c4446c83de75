"""Round the loop: what people say of a class that the service never saw is in the next bundle."""

import json
from pathlib import Path

import pytest

from models.bundle import Bundle
from models.decision import CLEAN
from tests.benchmarks.loop import first_bundle, go_round, held_out
from tests.benchmarks.loop_steps import photos_of
from training.rendering.demo import render_parts

pytestmark = pytest.mark.real

NEW = "scratched"
OPTIONS = (
    *("--trunk", "glint", "--finetune", "head", "--epochs", 1, "--no-int8"),
    *("--image-size", "128x128", "--dims", 40),
)


def test_reviewed_scratches_are_a_class_of_the_next_bundle(tmp_path: Path) -> None:
    render_parts(tmp_path / "photos", good=60, scratched=30, size=(192, 192), progress=False)
    photos = photos_of(tmp_path / "photos")
    first = first_bundle(photos, NEW, tmp_path, OPTIONS)
    aside = held_out(photos, NEW, 0)
    line = [photo for own in photos.values() for photo in own if photo not in aside]
    turn = go_round(first, line, aside, tmp_path / "turn", OPTIONS)

    assert Bundle.open(first).manifest.classes == [CLEAN]
    made = Bundle.open(turn.bundle).manifest
    assert made.classes == [CLEAN, NEW]
    assert turn.reviewing.decisions.total() == len(line) - turn.invalid
    assert turn.reviewing.unasked == turn.invalid
    exported = photos_of(tmp_path / "turn" / "reviewed")
    assert set(exported) == {CLEAN, NEW}
    assert sum(map(len, exported.values())) == len(line) - turn.invalid

    scratches = [each for each in turn.after if each.photo.label == NEW]
    assert len(scratches) == len([photo for photo in aside if photo.label == NEW])
    assert any(each.verdict == NEW for each in scratches)
    passed = [
        sum(not each.rejected_by("combined") for each in answers if each.photo.label == NEW)
        for answers in (turn.before, turn.after)
    ]
    assert passed[1] < passed[0]

    comparison = json.loads((turn.bundle / "manifest.json").read_text())["metrics"]["comparison"]
    assert comparison["version"] == first.name
    assert comparison["n_reviewed"] == comparison["n_photos"] > 0
    assert "reviewed photos that neither bundle was made from" in turn.compared[0]
