"""`glint limits`: other limits from recorded scores, as a version of its own."""

import json
import shutil
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from models.bundle import SPLITS, Bundle, sha256_of_file
from models.errors import BundleError, UsageError
from models.inspector import Inspector
from models.scores import PhotoScores, read_photo_scores, write_scores
from service.console import verify
from tests.tiny_bundle import make_tiny_bundle
from tests.training.recorded import INT8, add_int8, make_recorded_bundle, sign
from training import cli
from training.data.samples import Sample
from training.evaluation import inspect_samples
from training.limits_command import print_plan
from training.rederive import HandSet, plan_limits, write_version
from training.summary import summarise
from training.targets import Targets


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recorded_bundle(tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def bundle(source: Path, tmp_path: Path) -> Path:
    """A bundle to change: a copy, with its photos beside its folder."""
    shutil.copytree(source.parents[2], tmp_path, dirs_exist_ok=True)
    return tmp_path / source.relative_to(source.parents[2])


def test_the_new_version_is_whole_and_the_old_one_untouched(bundle: Path) -> None:
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    made = write_version(plan_limits(bundle, HandSet(anomaly=2.5, classifier=0.6)))
    assert made.path.parent == bundle.parent
    assert sorted(path.name for path in bundle.parent.iterdir()) == sorted([bundle.name, made.path.name])
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before
    assert verify(made.path, "cpu", Console(quiet=True), None)
    manifest = Bundle.open(made.path).manifest
    assert (manifest.limits.anomaly, manifest.limits.classifier) == (2.5, 0.6)
    assert manifest.heatmap.limit == 2.5
    assert manifest.training["limits"] == {"derived_from": bundle.name, "anomaly": 2.5, "classifier": 0.6}
    assert manifest.limit_origins.anomaly.method == "set by hand"


def test_alike_photos_count_once_here_too_and_the_score_keeps_its_kind(bundle: Path) -> None:
    records = [record.model_dump() for record in Bundle.open(bundle).splits()]
    for number, record in enumerate(records):
        record["group"] = f"{record['split']} {number // 4}"
    (bundle / SPLITS).unlink()
    (bundle / SPLITS).write_text(json.dumps(records))
    sign(bundle)
    plan = plan_limits(bundle, Targets(0.2))
    assert (plan.before.n_good, plan.before.n_good_groups) == (24, 6)
    assert plan.after.false_reject_interval is not None
    assert plan.after.false_reject_interval.high > 0.4, "as of 6 photos"
    assert plan.chosen.origins.anomaly.n_groups == 6
    # Figures before and after are of one kind of score, and derived bundles of older ones keep theirs.
    assert plan.chosen.limits.defect_score == Bundle.open(bundle).manifest.limits.defect_score == "larger"
    made = write_version(plan)
    assert made.manifest.metrics["n_good_groups"] == 6


def test_graphs_take_no_more_room(bundle: Path) -> None:
    made = write_version(plan_limits(bundle, HandSet(anomaly=2.5)))
    for name in ("inspector.onnx", "scores/fp32.json", "splits.json"):
        assert (made.path / name).samefile(bundle / name)
    assert not (made.path / "report.html").samefile(bundle / "report.html")


def test_where_there_are_no_hard_links_files_are_copied(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: object, target: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    made = write_version(plan_limits(bundle, HandSet(anomaly=2.5)))
    assert not (made.path / "inspector.onnx").samefile(bundle / "inspector.onnx")
    assert verify(made.path, "cpu", Console(quiet=True), None)


def test_what_is_counted_is_what_the_new_version_says_of_the_photos(bundle: Path) -> None:
    made = write_version(plan_limits(bundle, Targets(0.2)))
    photos = sorted((bundle.parents[2] / "photos").glob("test_*.png"))
    inspector = Inspector.load(made.path, "cpu", threads=1)
    records = inspect_samples(inspector, _samples(photos, made), title="", progress=False)
    expected = summarise(records).model_dump(mode="json")
    found = made.manifest.metrics
    assert found["false_reject_rate"] > 0.0
    for name in ("image_auroc", "false_reject_interval", "escape_interval", "per_class", "confusion", "cost"):
        assert found[name] == expected[name], name


def _samples(photos: list[Path], made: Bundle) -> list[Sample]:
    labels = {record.file: record.label for record in made.splits()}
    return [Sample(p, p.name, labels[p.name], sha256_of_file(p), height=160, width=160) for p in photos]


def test_limits_come_from_calibration_photos_alone(bundle: Path) -> None:
    """Whatever test photos score, the limits stay the same."""
    first = plan_limits(bundle, Targets(0.1)).chosen.limits
    opened = Bundle.open(bundle)
    photos = read_photo_scores(opened)
    moved = [p if p.split == "calibration" else _moved(p) for p in photos]
    write_scores(bundle, "fp32", moved)
    sign(bundle)
    again = plan_limits(bundle, Targets(0.1))
    assert again.chosen.limits == first
    assert again.after.false_reject_rate == 1.0


def _moved(photo: PhotoScores) -> PhotoScores:
    return photo.model_copy(update={"anomaly": 1000.0})


def test_the_ranges_of_the_limits_are_kept_and_shown(bundle: Path) -> None:
    plan = plan_limits(bundle, Targets(0.2))
    made = write_version(plan)
    limits = Bundle.open(made.path).manifest.limits
    assert limits == plan.chosen.limits
    assert limits.doubt is not None
    assert limits.doubt.classifier is not None
    low, high = limits.doubt.anomaly
    assert low < limits.anomaly < high
    report = (made.path / "report.html").read_text(encoding="utf-8")
    assert f"(in doubt from {low:.4g} to {high:.4g})" in report
    stream = StringIO()
    print_plan(plan, Console(file=stream, width=120))
    assert f"{low:.4g} to {high:.4g}" in stream.getvalue()


def test_the_same_limit_by_hand_does_not_lose_its_range(bundle: Path) -> None:
    made = write_version(plan_limits(bundle, Targets(0.2)))
    with pytest.raises(UsageError, match="these very limits already"):
        write_version(plan_limits(made.path, HandSet(anomaly=made.manifest.limits.anomaly)))


def test_a_dry_run_writes_nothing(source: Path) -> None:
    done = CliRunner().invoke(
        cli.app,
        ["limits", str(source), "--max-escapes", "0.1", "--dry-run", "--json"],
        catch_exceptions=False,
    )
    found = json.loads(done.stdout)
    assert found["written"] is None
    assert found["limit_origins"]["anomaly"]["max_escapes"] == 0.1
    assert [path.name for path in source.parent.iterdir()] == [source.name]


def test_the_table_shows_both_limits_and_what_the_photos_can_support(source: Path) -> None:
    done = CliRunner().invoke(
        cli.app, ["limits", str(source), "--max-false-rejects", "0.001", "--dry-run"], catch_exceptions=False
    )
    assert "24 held-out good photos support 4.0% false rejects at best" in done.stdout
    assert "limits now" in done.stdout
    assert "test photos" in done.stdout


@pytest.mark.parametrize("options", [(), ("--max-escapes", "0.1", "--anomaly-limit", "3")])
def test_either_targets_or_limits(source: Path, options: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="either chosen for a target or set by hand"):
        CliRunner().invoke(cli.app, ["limits", str(source), *options], catch_exceptions=False)


def test_targets_that_cannot_be_met_together_are_not_written(bundle: Path) -> None:
    photos = read_photo_scores(Bundle.open(bundle))
    low = [
        p.model_copy(update={"anomaly": 0.01, "probabilities": [1.0, 0.0]})
        for p in photos
        if p.label == "dent"
    ]
    write_scores(bundle, "fp32", [p for p in photos if p.label != "dent"] + low)
    sign(bundle)
    plan = plan_limits(bundle, Targets(0.05, 0.07))
    assert "8 of 16 held-out defects are passed" in plan.conflict
    assert "24 of 24 held-out good photos" in plan.conflict
    with pytest.raises(UsageError, match="cannot be met together"):
        write_version(plan)
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_a_graph_that_still_agrees_stays_with_its_agreement_at_the_new_limit(bundle: Path) -> None:
    add_int8(bundle, off=0.001)
    made = write_version(plan_limits(bundle, HandSet(anomaly=2.9)))
    agreement = made.manifest.variants["int8"].agreement
    assert agreement is not None
    assert (agreement.photos, agreement.flips) == (40, 0)
    assert 0.0 < agreement.score < 0.01


def test_a_graph_whose_verdict_turns_at_the_new_limit_is_left_out(bundle: Path) -> None:
    add_int8(bundle, off=0.01)
    photos = read_photo_scores(Bundle.open(bundle))
    good = max(p.anomaly or 0.0 for p in photos if p.split == "calibration" and p.label == "clean")
    plan = plan_limits(bundle, HandSet(anomaly=1.005 * good))
    assert "1 of 40 photos get another verdict" in plan.dropped["int8"]
    made = write_version(plan)
    assert not (made.path / INT8).exists()
    assert not (made.path / "scores" / "int8.json").exists()
    assert "another verdict" in made.manifest.left_out["int8"]
    assert verify(made.path, "cpu", Console(quiet=True), None)


def test_a_graph_that_was_not_compared_near_the_new_limit_is_left_out(bundle: Path) -> None:
    add_int8(bundle, off=0.0)
    photos = read_photo_scores(Bundle.open(bundle))
    nearest = max(
        (p for p in photos if p.split == "calibration" and p.label == "clean"), key=lambda p: p.anomaly or 0.0
    )
    given = json.loads((bundle / "scores" / "int8.json").read_text())
    kept = [each for each in given if each["sha256"] != nearest.sha256]
    (bundle / "scores" / "int8.json").write_text(json.dumps(kept))
    sign(bundle)
    plan = plan_limits(bundle, HandSet(anomaly=1.01 * (nearest.anomaly or 0.0)))
    assert "1 calibration photos close to the new limit were never compared" in plan.dropped["int8"]


def test_golden_photos_that_have_come_close_to_the_limit_are_left_out(bundle: Path) -> None:
    golden = {result.label: result for result in Bundle.open(bundle).golden_results()}
    made = write_version(plan_limits(bundle, HandSet(anomaly=1.01 * golden["anomalous"].anomaly_score)))
    assert {result.label for result in made.golden_results()} == {"clean", "scratched"}
    assert not (made.path / golden["anomalous"].file).exists()


def test_a_second_change_keeps_both_earlier_reports(bundle: Path) -> None:
    first = write_version(plan_limits(bundle, HandSet(anomaly=2.5)))
    second = write_version(plan_limits(first.path, HandSet(anomaly=2.6)))
    reports = {path.name for path in second.path.glob("report*.html")}
    assert reports == {"report.html", f"report-{bundle.name}.html", f"report-{first.path.name}.html"}
    page = (second.path / "report.html").read_text()
    assert f"Only the limits differ from version {first.path.name}" in page
    assert "<svg" in page
    assert "They were set by hand" in page


def test_a_bundle_that_keeps_no_scores_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="holds no scores of its calibration photos"):
        plan_limits(make_tiny_bundle(tmp_path), Targets(0.01))


def test_escapes_without_a_defect_among_the_photos(tmp_path: Path) -> None:
    bundle = make_recorded_bundle(tmp_path, defects=False)
    with pytest.raises(UsageError, match="no held-out photo of a defect"):
        plan_limits(bundle, Targets(None, 0.05))
    assert plan_limits(bundle, Targets(0.1)).after.escape_rate is None


def test_a_classifier_limit_for_a_bundle_without_one(bundle: Path) -> None:
    sign(bundle, limits=Bundle.open(bundle).manifest.limits.model_copy(update={"classifier": None}))
    with pytest.raises(UsageError, match="no defect class"):
        plan_limits(bundle, HandSet(classifier=0.4))


def test_limits_that_the_bundle_has_make_no_version(bundle: Path) -> None:
    with pytest.raises(UsageError, match="these very limits already"):
        write_version(plan_limits(bundle, HandSet(anomaly=3.0)))
    assert [path.name for path in bundle.parent.iterdir()] == [bundle.name]


def test_altered_scores_are_noticed(bundle: Path) -> None:
    (bundle / "scores" / "fp32.json").write_text("[]")
    with pytest.raises(BundleError, match="altered"):
        plan_limits(bundle, Targets(0.01))
