"""The dashboard and the alarms: what they ask for is what the service shows, and each alarm is explained."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from models.inspector import Inspector
from service.http.problems import _KNOWN
from service.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import ALARMING
from service.telemetry.record import RequestRecord
from service.telemetry.telemetry import Telemetry
from tests.calibration import calibrate
from tests.tiny_bundle import clean_photo, encode, make_tiny_bundle

yaml = pytest.importorskip("yaml", reason="the rules are read with PyYAML")

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKER = REPOSITORY / "docker"
DASHBOARD = json.loads((DOCKER / "grafana" / "dashboards" / "glint.json").read_text())
RULES = yaml.safe_load((DOCKER / "prometheus" / "rules.yml").read_text())["groups"][0]["rules"]
# Prometheus makes them itself.
OF_PROMETHEUS = {"up": {"job"}, "ALERTS": {"alertstate"}}


class Archive(NamedTuple):
    """An archive in good order."""

    waiting: int = 0
    oldest_seconds: float = 0.0
    free_bytes: int = 10**12
    low_water: bool = False
    written: int = 1
    failure: str = ""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """Every sample that the service shows once it has inspected a photo, with the names of its labels."""
    bundle = make_tiny_bundle(tmp_path_factory.mktemp("bundles"))
    photos = [encode(clean_photo(seed=seed)) for seed in range(20)]
    calibrate(bundle, photos)
    settings = Settings.of(bundles=bundle, device="cpu", threads=1)
    registry = Registry(settings, on_death=lambda error: None)
    registry.load()
    telemetry = Telemetry(settings, registry, {}, registry.readiness, Archive)
    inspection = Inspector.load(bundle, "cpu", threads=1).inspect(photos[0])[0]
    telemetry.inspected(inspection)
    for code in ("", "queue_full"):
        record = RequestRecord(
            "id", "POST", "/inspect", 200, code, "clean", "bracket", "left", 0.05, 1.8e9, "", "", inspection
        )
        telemetry.metrics.answered(record)
    samples = [sample for family in telemetry.metrics.registry.collect() for sample in family.samples]
    yield {sample.name: set(sample.labels) | {"job", "instance"} for sample in samples} | OF_PROMETHEUS
    registry.close(5.0)


def questions() -> list[str]:
    """Every PromQL expression of the dashboard and the rules."""
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*asked, *(rule["expr"] for rule in RULES)]


@pytest.mark.parametrize("question", questions())
def test_each_question_is_about_what_is_shown(question: str, shown: dict[str, set[str]]) -> None:
    without_labels = re.sub(r"\{[^}]*\}|\b(by|without) \([^)]*\)", "", question)
    names = set(re.findall(r"\b(?:glint_\w+|process_\w+|up|ALERTS)\b", without_labels))
    assert names
    assert names <= shown.keys()
    labels = set.union(*(shown[name] for name in names))
    assert set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", question)) <= labels
    grouped = {
        name.strip() for group in re.findall(r"\bby \(([^)]*)\)", question) for name in group.split(",")
    }
    assert grouped <= labels


def test_each_legend_and_each_alarm_names_labels_that_are_there(shown: dict[str, set[str]]) -> None:
    every = set.union(*shown.values())
    texts = [target["legendFormat"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    assert {name for text in texts for name in re.findall(r"\{\{(\w+)\}\}", text)} <= every
    summaries = [rule["annotations"]["summary"] for rule in RULES]
    assert {name for text in summaries for name in re.findall(r"\$labels\.(\w+)", text)} <= every


def test_the_alarms_name_problems_that_there_are() -> None:
    named = [codes for rule in RULES for codes in re.findall(r"code=~?\"([^\"]+)\"", rule["expr"])]
    codes = {code for each in named for code in each.split("|")}
    assert codes <= _KNOWN.keys()
    # What is not shown before its first time raises no alarm then.
    assert codes == set(ALARMING)


def test_each_alarm_is_explained() -> None:
    explained = (REPOSITORY / "docs" / "operations.md").read_text()
    for rule in RULES:
        assert f"| `{rule['alert']}` |" in explained
        assert rule["labels"]["severity"] in {"critical", "warning"}


def test_prometheus_asks_the_management_port_of_the_image() -> None:
    config = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    [target] = job["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    assert host in yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert f"GLINT_MANAGEMENT_PORT={port}" in (DOCKER / "Dockerfile").read_text()
    assert config["rule_files"] == ["rules.yml"]


def test_the_panels_ask_the_data_source_that_is_provisioned_and_do_not_overlap() -> None:
    folder = DOCKER / "grafana" / "provisioning"
    [source] = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {each["uid"] for each in sources} == {source["uid"]}
        place: dict[str, Any] = panel["gridPos"]
        rows = range(place["y"], place["y"] + place["h"])
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in rows}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
