"""What the live board costs the line, and how smoothly it runs at 20 inspections a second.

Photos are posted at that rate to a service without a board and with one open in Chromium, in turn, on the
same cores. Writes its table into docs/performance.md.

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
    """What was measured: milliseconds each. `answers` by id, `shown` only with a board."""

    answers: dict[str, tuple[float, float]] = field(default_factory=dict)
    frames: list[float] = field(default_factory=list)
    shown: dict[str, float] = field(default_factory=dict)

    @property
    def latencies(self) -> list[float]:
        """From a photo's first byte to its answer."""
        return [ms for ms, _ in self.answers.values()]

    @property
    def delays(self) -> list[float]:
        """From the answer to the board."""
        return [self.shown[each] - at for each, (_, at) in self.answers.items() if each in self.shown]


def post_all(live: Live, done: Round) -> None:
    """Post at the rate, each camera on a connection of its own."""
    good = [encode(clean_photo((480, 640), seed), ".jpg") for seed in range(4)]
    bad = encode(scratched_photo((480, 640)), ".jpg")
    begun = time.monotonic()

    def camera(number: int) -> None:
        connection = live.connect()
        for count in range(number, int(RATE * SECONDS), CAMERAS):
            time.sleep(max(0.0, begun + count / RATE - time.monotonic()))
            photo = bad if count % EVERY_NTH_IS_REJECTED == 0 else good[count % len(good)]
            started = time.monotonic()
            headers = {"content-type": "image/jpeg"}
            connection.request("POST", f"/inspect?serial=A{count}&camera=cam{number}", photo, headers)
            answer = json.loads(connection.getresponse().read())
            done.answers[answer["id"]] = 1e3 * (time.monotonic() - started), 1e3 * time.time()
        connection.close()

    threads = [threading.Thread(target=camera, args=[number]) for number in range(CAMERAS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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


def one_round(bundles: Path, folder: Path, *, with_board: bool) -> Round:
    """A fresh service, and one run of photos."""
    done = Round()
    with tempfile.TemporaryDirectory(dir=folder) as archive, serving(bundles, archive=Path(archive)) as live:
        if not with_board:
            post_all(live, done)
            return done
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


def report(without: list[Round], with_board: list[Round]) -> str:
    """The section of the page."""
    alone = [ms for each in without for ms in each.latencies]
    beside = [ms for each in with_board for ms in each.latencies]
    frames = [ms for each in with_board for ms in each.frames]
    delays = [ms for each in with_board for ms in each.delays]
    answered = sum(len(each.answers) for each in with_board)
    rows = [
        _compared("answer, median", median(alone), median(beside)),
        _compared("answer, 95th percentile", high(alone), high(beside)),
        ["frame, median", "", f"{median(frames):.1f} ms", ""],
        ["frame, 95th percentile", "", f"{high(frames):.1f} ms", ""],
        ["from the answer to the board, median", "", f"{median(delays):.0f} ms", ""],
        ["from the answer to the board, 95th percentile", "", f"{high(delays):.0f} ms", ""],
        ["parts that the board showed", "", f"{len(delays)} of {answered}", ""],
    ]
    setting = (
        f"{ROUNDS} runs of {SECONDS:.0f} s each without a board and with one open in headless Chromium, "
        f"in turn; {CAMERAS} cameras,\n640x480 px, a small test model. Service, cameras and the "
        f"browser, which draws in software, share {machine()}."
    )
    head = ["", "no board", "a board", "ratio"]
    return f"## The live board at {RATE:.0f} inspections a second\n\n{setting}\n\n{table(head, rows)}"


def _compared(name: str, alone: float, beside: float) -> list[str]:
    return [name, f"{alone:.0f} ms", f"{beside:.0f} ms", f"{beside / alone:.2f}"]


def main() -> None:
    """Measure and write."""
    rounds: dict[bool, list[Round]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_tiny_bundle(folder / "bundles")
        for _ in range(ROUNDS):
            for with_board in (False, True):
                rounds[with_board].append(one_round(folder / "bundles", folder, with_board=with_board))
    text = report(rounds[False], rounds[True])
    print(text)
    write_section("performance.md", "station board", text)


if __name__ == "__main__":
    main()
