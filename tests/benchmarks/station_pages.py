"""How fast the station's pages are with 100,000 archived inspections, against 10,000, in one run.

.venv/bin/python -m tests.benchmarks.station_pages [--records 100000] [--rounds 40] [--docs]

Two services run side by side, on a large archive and on a small one; each page is asked of one and then of
the other, A B B A, so that the machine's moods fall on both. Each request is for another inspection, so that
nothing comes out of a cache. With --docs the table goes into docs/performance.md.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection, HTTPResponse
from json import dumps, loads
from pathlib import Path
from statistics import median, quantiles

from tests.benchmarks.report import machine, table, write_section
from tests.benchmarks.station_archive import CANDIDATE, fill
from tests.service.live import Live, serving
from tests.tiny_bundle import make_tiny_bundle

SMALL = 10_000
LIMIT_MS = 300.0
PLANT = {"GLINT_SHIFTS": "06:00,14:00,22:00", "GLINT_TIME_ZONE": "Europe/Berlin"}
SERVING = "20260102-000000"

Ask = Callable[["Filled", HTTPConnection], None]


class Filled:
    """A service on a filled archive, and what is in it."""

    def __init__(self, live: Live, ids: Sequence[str], waiting: Sequence[str]) -> None:
        self.live = live
        self._chance = random.Random(0)
        self._ids = ids
        self._waiting = list(waiting)

    def any_id(self) -> str:
        """Any inspection."""
        return self._chance.choice(self._ids)

    def waiting_id(self) -> str:
        """One that waits for its judgement, each once."""
        return self._waiting.pop()


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        bundle = make_tiny_bundle(folder / "bundles", version=SERVING)
        make_tiny_bundle(folder / "bundles", version=CANDIDATE)
        filled = {size: fill(folder / str(size), bundle, size) for size in (SMALL, given.records)}
        with (
            serving(folder / "bundles", archive=folder / str(SMALL), environment=PLANT) as small,
            serving(folder / "bundles", archive=folder / str(given.records), environment=PLANT) as large,
        ):
            for live in (small, large):
                order = dumps({"version": CANDIDATE})
                _answer(live.connect(), "POST", "/parts/bracket/shadow", 200, order)
            sides = (Filled(large, *filled[given.records]), Filled(small, *filled[SMALL]))
            first_ms = first_question(sides[0])
            found = measure(sides, given.rounds)
    text = report(found, given.records, given.rounds, first_ms)
    print(text)
    if given.docs:
        write_section("performance.md", "station pages", text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How fast the station's pages are.")
    parser.add_argument("--records", type=int, default=100_000, help="Inspections in the large archive.")
    parser.add_argument("--rounds", type=int, default=40, help="Requests of each page to each service.")
    parser.add_argument("--folder", type=Path, help="Folder on the disk to measure. [the temporary folder]")
    parser.add_argument("--docs", action="store_true", help="Write docs/performance.md.")
    return parser.parse_args()


def first_question(filled: Filled) -> float:
    """Milliseconds of the first page of numbers, which reads all inspections; later ones read what is new."""
    begun = time.perf_counter()
    get("/station/numbers")(filled, filled.live.connect())
    return 1e3 * (time.perf_counter() - begun)


def measure(sides: tuple[Filled, Filled], rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """Milliseconds of every request of every page: of the large archive, and of the small one."""
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in PAGES}
    connections = [side.live.connect() for side in sides]
    for number in range(-2, rounds):
        for name, ask in PAGES.items():
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                begun = time.perf_counter()
                ask(sides[which], connections[which])
                if number >= 0:
                    found[name][which].append(1e3 * (time.perf_counter() - begun))
    return found


def get(path: str) -> Ask:
    """Ask for a path; `{id}` in it becomes that of any inspection."""

    def ask(filled: Filled, connection: HTTPConnection) -> None:
        _answer(connection, "GET", path.replace("{id}", filled.any_id()), 200)

    return ask


def take_next(query: str) -> Ask:
    """Ask for the queue as a new operator does: the redirect and the page behind it."""

    def ask(filled: Filled, connection: HTTPConnection) -> None:
        response = _answer(connection, "GET", f"/station/review{query}", 303)
        _answer(connection, "GET", str(response.getheader("location")), 200)

    return ask


def judge(filled: Filled, connection: HTTPConnection) -> None:
    """Send a judgement."""
    body = dumps({"decision": "accept", "operator": "Anna"})
    _answer(connection, "POST", f"/inspections/{filled.waiting_id()}/judgements", 201, body)


def _answer(
    connection: HTTPConnection, method: str, path: str, status: int, body: str | None = None
) -> HTTPResponse:
    headers = {"content-type": "application/json", "accept": "text/html,*/*"}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    text = response.read()
    assert response.status == status, (method, path, response.status, text[:300])
    if response.headers.get_content_type() == "application/json":
        loads(text)
    return response


PAGES: dict[str, Ask] = {
    "board": get("/station/"),
    "inspection": get("/station/inspections/{id}"),
    "photo": get("/station/inspections/{id}/photo"),
    "review, oldest first": take_next(""),
    "review, most doubtful first": take_next("?order=doubtful"),
    "review of one part, newest first": take_next("?order=newest&part=bracket"),
    "review of the sample": take_next("?reason=sample"),
    "one part under review": get("/station/review/{id}"),
    "judgement": judge,
    "difference to the mean part": get("/station/inspections/{id}/difference"),
    "numbers": get("/station/numbers"),
    "numbers of a week by hour": get("/station/numbers?days=7&by=hour"),
    "numbers of one camera and shift": get("/station/numbers?camera=cam1&shift=06:00&by=shift"),
    "numbers of one bundle": get(f"/station/numbers?version={SERVING}"),
    "GET /numbers/trend": get("/numbers/trend?by=shift"),
    "GET /numbers/places": get("/numbers/places?part=bracket"),
    "limits, tried on 10,000 parts": get("/station/limits?last=10000&anomaly=2.5"),
    "GET limits/trial, 10,000 parts": get("/parts/bracket/limits/trial?last=10000&anomaly=2.5"),
    "models": get("/station/models"),
    "GET /reviews": get("/reviews"),
    "GET /reviews/numbers": get("/reviews/numbers"),
    "GET /inspections": get("/inspections?limit=50"),
}


def report(found: dict[str, tuple[list[float], list[float]]], size: int, rounds: int, first_ms: float) -> str:
    """The table, and how it came about."""
    rows = []
    for name, (large, small) in found.items():
        p95 = quantiles(large, n=20)[-1]
        ratio = median(large) / median(small)
        rows.append(
            [
                name,
                f"{median(large):.0f}",
                f"{p95:.0f}",
                f"{max(large):.0f}",
                f"{median(small):.0f}",
                f"{ratio:.2f}",
            ]
        )
    slowest = max(quantiles(large, n=20)[-1] for large, _ in found.values())
    head = ["page", "median, ms", "p95, ms", "slowest, ms", f"median with {SMALL:,}, ms", "ratio of medians"]
    return f"""## Pages of the station

Archive of {size:,} inspections in SQLite: 6 % defects, 2 % doubtful, 1 % of the clean ones in the sample, a
quarter of those judged; a candidate in the shadow has judged all of them. {rounds} requests of each page,
in turns with a service on {SMALL:,} inspections; a page of the queue is the redirect and the page behind it.
{machine()}. The slowest p95 is {slowest:.0f} ms; {LIMIT_MS:.0f} ms are allowed.
The first page of numbers after a start, and one every hour, reads all inspections: {first_ms:.0f} ms,
which is not in the table.

{table(head, rows)}"""


if __name__ == "__main__":
    main()
