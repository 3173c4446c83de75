"""Training refuses what it can, and measures bundles, before or without loading what is slow to load."""

from pathlib import Path

from tests.fresh import HEAVY, modules_after
from training.rendering.demo import render_parts


def after_command(*arguments: object) -> set[str]:
    """The modules that are loaded when `glint` with these arguments has ended."""
    return modules_after(
        f"import models.cli; sys.argv = {['glint', *map(str, arguments)]}\n"
        "try: models.cli.main()\n"
        "except SystemExit: pass"
    )


def test_a_training_is_refused_before_the_networks_are_loaded(tmp_path: Path) -> None:
    render_parts(tmp_path / "photos", good=20, scratched=0, size=(64, 64), progress=False)
    # The photos suffice; it is the last check that this fails.
    loaded = after_command(
        *("train", tmp_path / "photos", "--bundles", tmp_path / "bundles", "--trunk", "none", "--quiet"),
        *("--dims", 1792, "--image-size", "2048x2048"),
    )
    assert {"cv2", "training"} < loaded
    assert loaded & HEAVY == set()
    assert not (tmp_path / "bundles").exists()


def test_help_costs_nothing() -> None:
    loaded = after_command("train", "--help")
    assert "training" in loaded
    assert loaded & (HEAVY | {"numpy", "cv2", "onnxruntime"}) == set()


def test_measuring_a_bundle_and_choosing_its_limits_load_no_network() -> None:
    loaded = modules_after("import training.evaluation, training.evaluation_table, training.rederive")
    assert loaded & HEAVY == set()
