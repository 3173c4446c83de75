"""`glint bench` as users run it, on the tiny bundle."""

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.errors import UsageError
from service.bench.errors import BenchError
from service.bench.measures import BenchResult
from service.bench.own_service import bench_settings, own_service
from service.cli import app
from tests.service.forging import forge
from tests.service.live import GLINT
from tests.tiny_bundle import clean_photo, encode, make_tiny_bundle, scratched_photo

pytestmark = pytest.mark.slow

MARK = "GLINTS_BENCH_OF_TEST"


@dataclass(frozen=True)
class Measured:
    """A run of the command, its files, and an archive and a file of keys that the environment named."""

    output: str
    result: BenchResult
    plot: Path
    archive: Path


def command(bundle: Path, *options: object) -> list[str]:
    words = ["bench", "--bundle", bundle, "--device", "cpu", *options]
    return [sys.executable, "-c", GLINT, *(str(word) for word in words)]


def processes_of(mark: str) -> list[int]:
    """Processes with this mark in their environment; the service under measurement inherits it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}\0".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    last = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < last, "it did not come to that within a minute"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def measured(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    folder = tmp_path_factory.mktemp("bench")
    photos = folder / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(encode(clean_photo(), ".jpg"))
    (photos / "b.png").write_bytes(encode(scratched_photo(), ".png"))
    (photos / "c.jpg").write_bytes(b"not a photo")
    files = folder / "bench.json", folder / "bench.svg"
    options = [
        "--photos",
        photos,
        "--clients",
        "8,1",
        "--seconds",
        0.5,
        "--json",
        files[0],
        "--plot",
        files[1],
    ]
    users = {
        "GLINT_QUEUE_SIZE": "2",
        "GLINT_THREADS": "1",
        "GLINT_ARCHIVE": str(folder / "archive"),
        "GLINT_KEYS": str(folder / "no-such-file"),
        "GLINT_PORT": "1",
        MARK: "measured",
    }
    done = subprocess.run(
        command(tiny_bundle, *options), capture_output=True, text=True, env={**os.environ, **users}
    )
    assert done.returncode == 0, done.stderr
    assert not processes_of("measured")
    return Measured(
        done.stdout, BenchResult.model_validate_json(files[0].read_bytes()), files[1], folder / "archive"
    )


def test_the_graph_alone_and_each_number_of_clients_are_measured(measured: Measured) -> None:
    result = measured.result
    assert [run.batch for run in result.raw] == [1]
    assert result.raw[0].photos_per_second > 0
    assert [level.clients for level in result.http] == [1, 8]
    for level in result.http:
        assert level.answered > 0
        assert level.photos_per_second == pytest.approx(level.answered / level.seconds, rel=0.01)
        assert level.latency is not None
        assert 0 < level.latency.p50_ms <= level.latency.p95_ms <= level.latency.p99_ms
    assert (result.part, result.provider) == ("bracket", "CPUExecutionProvider")


def test_stages_add_up_to_the_latency(measured: Measured) -> None:
    for level in measured.result.http:
        assert level.latency is not None
        assert {"decode", "inference", "overlay", "HTTP"} <= set(level.stages_ms)
        assert sum(level.stages_ms.values()) == pytest.approx(level.latency.mean_ms, abs=0.1)
        assert all(ms >= 0 for ms in level.stages_ms.values())


def test_photos_without_a_verdict_are_counted_and_named(measured: Measured) -> None:
    alone, many = measured.result.http
    assert list(alone.refused) == ["415 not_an_image"]
    assert many.refused["503 queue_full"] > 0
    assert "8 clients: " in measured.output
    assert "photos without a verdict, 503 queue_full" in measured.output
    assert alone.lost == many.lost == {}


def test_only_what_cannot_harm_is_taken_from_the_environment(measured: Measured) -> None:
    assert measured.result.settings["queue_size"] == 2
    assert measured.result.settings["threads"] == 1
    assert not {"archive", "keys", "database_url"} & set(measured.result.settings)
    assert not measured.archive.exists()


def test_the_table_and_the_plot_show_it(measured: Measured) -> None:
    assert "raw, batch 1" in measured.output
    assert "where the time goes" in measured.output
    texts = [element.text for element in ElementTree.parse(measured.plot).getroot().iter()]
    shown = " ".join(text for text in texts if text)
    for word in ("photos per second", "raw session", "p99", "inference", "8"):
        assert word in shown


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_however_it_ends(tiny_bundle: Path, how: signal.Signals) -> None:
    environment = {**os.environ, MARK: how.name}
    # Long enough for the signal to come in the middle of it on a busy machine as well.
    words = command(tiny_bundle, "--clients", "1", "--seconds", 2)
    with subprocess.Popen(
        words,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # A test process of xdist ignores it, and whatever it starts would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as bench:
        wait_for(lambda: len(processes_of(how.name)) == 2)
        bench.send_signal(how)
        assert bench.wait(30) != 0
        assert bench.stderr is not None
        assert b"Traceback" not in bench.stderr.read()
    wait_for(lambda: not processes_of(how.name))


def test_an_interruption_in_the_middle_ends_the_service(tiny_bundle: Path) -> None:
    def interrupted() -> None:
        with own_service(bench_settings(tiny_bundle, "cpu", None)) as service:
            services.append(service)
            raise KeyboardInterrupt

    services: list = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert services[0].process.returncode == 0
    assert not services[0].log.exists()


def test_a_service_that_ends_is_told_with_what_it_said(tiny_bundle: Path, tmp_path: Path) -> None:
    settings = bench_settings(tiny_bundle, "cpu", None).model_copy(update={"keys": tmp_path / "keys.json"})
    with pytest.raises(BenchError, match=r"exit code 1(.|\n)*keys\.json"), own_service(settings):
        raise AssertionError("it started without its keys")


def test_a_bundle_that_gives_other_results_is_not_measured(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path)
    forge(bundle, "golden/expected.json", '"verdict": "clean"', '"verdict": "scratched"')
    with (
        pytest.raises(BenchError, match=r"not ready(.|\n)*golden"),
        own_service(bench_settings(bundle, "cpu", None)),
    ):
        raise AssertionError("it was ready")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--clients", "1,x"], "--clients"),
        (["--clients", "0"], "--clients"),
        (["--clients", "513"], "--clients"),
        (["--plot", "bench.png"], "--plot"),
        (["--json", "no/such/folder/bench.json"], "no/such/folder"),
        (["--photos", "no-such-folder"], "no-such-folder"),
    ],
)
def test_what_cannot_be_measured_is_said_at_once(tiny_bundle: Path, options: list[str], named: str) -> None:
    result = CliRunner().invoke(app, ["bench", "--bundle", str(tiny_bundle), "--device", "cpu", *options])
    assert isinstance(result.exception, UsageError)
    assert named in result.exception.problem
