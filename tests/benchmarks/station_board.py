"""What the live board costs the line, and how smoothly it runs at 20 inspections a second.

Photos are posted at that rate to a service without a board, with one on another machine (a program that
reads the stream and fetches two pictures a second), and with one open in Chromium on the same cores, in
turn. Writes its table into docs/performance.md.

    python -m tests.benchmarks.station_board
"""

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from playwright.sync_api import Page, sync_playwright

from tests.benchmarks.report import machine, table, write_section
from tests.service.live import Live, serving
from tests.tiny_bundle import clean_photo, encode, make_tiny_bundle, scratched_photo

RATE = 20.0
SECONDS = 20.0
ROUNDS = 2
CAMERAS = 4
EVERY_NTH_IS_REJECTED = 12
PICTURE_SECONDS = 0.5
SETTINGS = (NONE, ELSEWHERE, HERE) = ("no board", "a board elsewhere", "a board here")

RECORD = """() => {
  window.frames_seen = [];
  window.parts_seen = {};
  let before = performance.now();
  const frame = (now) => {
    window.frames_seen.push(now - before);
    before = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new MutationObserver(() => {
    for (const { dataset } of document.querySelectorAll("#strip [data-id]")) {
      window.parts_seen[dataset.id] ??= Date.now();
    }
  }).observe(document.getElementById("strip"), { subtree: true, childList: true, attributes: true });
}"""


@dataclass
class Round:
    """What was measured: milliseconds each. `answers` by id, `shown` only with a board.

    `cpu` is what the service computed for each photo, the board's requests included.
    """

    answers: dict[str, tuple[float, float]] = field(default_factory=dict)
    frames: list[float] = field(default_factory=list)
    shown: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0

    @property
    def latencies(self) -> list[float]:
        """From the moment a photo was due, so that a late start counts as a slow answer."""
        return [ms for ms, _ in self.answers.values()]

    @property
    def delays(self) -> list[float]:
        """From the answer to the board."""
        return [self.shown[each] - at for each, (_, at) in self.answers.items() if each in self.shown]


def post_all(live: Live, done: Round) -> None:
    """Post at the rate, each camera on a connection of its own."""
    good = [encode(clean_photo((480, 640), seed), ".jpg") for seed in range(4)]
    bad = encode(scratched_photo((480, 640)), ".jpg")
    begun, computed = time.monotonic(), live.cpu_seconds()

    def camera(number: int) -> None:
        connection = live.connect()
        for count in range(number, int(RATE * SECONDS), CAMERAS):
            due = begun + count / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            photo = bad if count % EVERY_NTH_IS_REJECTED == 0 else good[count % len(good)]
            headers = {"content-type": "image/jpeg"}
            connection.request("POST", f"/inspect?serial=A{count}&camera=cam{number}", photo, headers)
            answer = json.loads(connection.getresponse().read())
            done.answers[answer["id"]] = 1e3 * (time.monotonic() - due), 1e3 * time.time()
        connection.close()

    threads = [threading.Thread(target=camera, args=[number]) for number in range(CAMERAS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.cpu = 1e3 * (live.cpu_seconds() - computed) / len(done.answers)


@contextmanager
def board_elsewhere(live: Live) -> Iterator[None]:
    """What a board on another machine asks of the service."""
    ending = threading.Event()
    stream = live.connect()
    stream.request("GET", "/station/events")
    events = stream.getresponse()

    def read() -> None:
        fetched, pictures = 0.0, live.connect()
        while not ending.is_set() and (line := events.readline()):
            if line.startswith(b'data: {"entry"') and time.monotonic() - fetched > PICTURE_SECONDS:
                fetched = time.monotonic()
                pictures.request("GET", f"/station/pictures/{json.loads(line[6:])['entry']['id']}")
                pictures.getresponse().read()
        pictures.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield
    finally:
        ending.set()
        reader.join()
        stream.close()


@contextmanager
def board(live: Live) -> Iterator[Page]:
    """The board, open in Chromium."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        page.goto(f"http://127.0.0.1:{live.port}/station/")
        page.wait_for_selector('#link-state[data-state="live"]')
        yield page
        browser.close()


def one_round(bundles: Path, folder: Path, setting: str) -> Round:
    """A fresh service, and one run of photos."""
    done = Round()
    with tempfile.TemporaryDirectory(dir=folder) as archive, serving(bundles, archive=Path(archive)) as live:
        if setting == NONE:
            post_all(live, done)
        elif setting == ELSEWHERE:
            with board_elsewhere(live):
                post_all(live, done)
        else:
            with board(live) as page:
                page.evaluate(RECORD)
                post_all(live, done)
                page.wait_for_timeout(500)
                done.frames = page.evaluate("window.frames_seen")
                done.shown = page.evaluate("window.parts_seen")
    return done


def high(values: list[float]) -> float:
    """The 95th percentile."""
    return quantiles(values, n=20)[-1]


def report(rounds: dict[str, list[Round]]) -> str:
    """The section of the page."""
    latencies = {name: [ms for each in rounds[name] for ms in each.latencies] for name in SETTINGS}
    frames = [ms for each in rounds[HERE] for ms in each.frames]
    delays = [ms for each in rounds[HERE] for ms in each.delays]
    answered = sum(len(each.answers) for each in rounds[HERE])
    rows = [
        _compared("answer, median", [median(latencies[name]) for name in SETTINGS]),
        _compared("answer, 95th percentile", [high(latencies[name]) for name in SETTINGS]),
        _compared("CPU time of the service per photo", [_mean_cpu(rounds[name]) for name in SETTINGS]),
        ["frame, median", "", "", f"{median(frames):.1f} ms"],
        ["frame, 95th percentile", "", "", f"{high(frames):.1f} ms"],
        ["frames of more than 50 ms", "", "", f"{sum(ms > 50 for ms in frames)} of {len(frames)}"],
        ["from the answer to the board, median", "", "", f"{median(delays):.0f} ms"],
        ["from the answer to the board, 95th percentile", "", "", f"{high(delays):.0f} ms"],
        ["parts that the board showed", "", "", f"{len(delays)} of {answered}"],
    ]
    said = (
        f"{ROUNDS} runs of {SECONDS:.0f} s each of the three in turn; {CAMERAS} cameras, 640x480 px, a small "
        f"test model;\n{machine()}. The board elsewhere is a program that reads the\nstream and two "
        "pictures a second; the one here is in headless Chromium, which draws in software on these cores.\n"
        "In brackets the ratio to no board. Answers are timed from the moment that the photo was due."
    )
    title = f"## The live board at {RATE:.0f} inspections a second"
    return f"{title}\n\n{said}\n\n{table(['', *SETTINGS], rows)}"


def _mean_cpu(rounds: list[Round]) -> float:
    return sum(each.cpu for each in rounds) / len(rounds)


def _compared(name: str, values: list[float]) -> list[str]:
    first, *others = values
    return [name, f"{first:.1f} ms", *(f"{value:.1f} ms ({value / first:.2f})" for value in others)]


def main() -> None:
    """Measure and write."""
    rounds: dict[str, list[Round]] = {name: [] for name in SETTINGS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_tiny_bundle(folder / "bundles")
        for _ in range(ROUNDS):
            for setting in SETTINGS:
                rounds[setting].append(one_round(folder / "bundles", folder, setting))
    text = report(rounds)
    print(text)
    write_section("performance.md", "station board", text)


if __name__ == "__main__":
    main()
