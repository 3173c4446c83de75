"""Where the time of one request goes, stage by stage, from the client's first byte to its last.

.venv/bin/python -m tests.benchmarks.request_profile [--bundle BUNDLE] [--write]

One client posts 640 x 480 JPEGs, one after another, and gets the overlay in the answer; once without an
archive, once with one. Stages inside come from the answer's `timings_ms`; the rest from moments that an outer
layer of the application notes in a header. Client and service share a clock. What lies between the service's
stages and belongs to none is shown as such.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from models.inspector import Inspector
from tests.benchmarks.moments import HEADER
from tests.benchmarks.photos import given_photos
from tests.benchmarks.posting import Connection, request_for
from tests.benchmarks.report import machine, table, write_section
from tests.benchmarks.resnet_bundle import make_resnet_bundle
from tests.service.live import serving

SCRIPT = "from tests.benchmarks.moments import serve; serve()"
WARM_UP = 5
STAGES = {
    "head": "sending and parsing the request's head",
    "receive": "receiving the photo",
    "decode": "decode: checking and decoding it",
    "resize": "resize",
    "quality": "quality: the gate's readings",
    "queue": "queue: waiting for a thread and for the device",
    "inference": "inference",
    "decide": "decide: verdict and regions",
    "overlay": "overlay: drawing and encoding it",
    "archive": "archive: durable before the answer",
    "between": "between those stages: from thread to thread",
    "answer": "reading the fields, writing the JSON",
    "send": "sending and receiving the answer",
}
UNACCOUNTED = "between"

Profile = dict[str, float]


def main() -> None:
    given = arguments()
    photos = given_photos(given.photos, 8)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = given.bundle or make_resnet_bundle(folder, photos)
        without = profile(bundle, photos, given.requests, None)
        archived = profile(bundle, photos, given.requests, folder / "archive")
        inspector = Inspector.load(bundle, "cpu")
    text = f"{rows_text(without, archived)}\n\n{accounted_text(without, archived)}"
    print(text)
    if given.write:
        write_section("performance.md", "request profile", head_text(inspector, given.requests) + text)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Where the time of one request goes.")
    parser.add_argument("--bundle", type=Path, help="A bundle to serve; one of the usual size without it.")
    parser.add_argument("--photos", type=Path, help="Folder of JPEGs; rendered ones of 640 x 480 without it.")
    parser.add_argument("--requests", type=int, default=100, help="Requests of each kind.")
    parser.add_argument("--write", action="store_true", help="Write the table into docs/performance.md.")
    return parser.parse_args()


def profile(bundle: Path, photos: Sequence[bytes], requests: int, archive: Path | None) -> Profile:
    """Mean milliseconds by stage, and `total`, over so many requests."""
    posted = [request_for(photo) for photo in photos]
    with serving(bundle, script=SCRIPT, archive=archive) as live:
        connection = Connection(live.port)
        seen = [one_request(connection, posted[n % len(posted)]) for n in range(requests + WARM_UP)][WARM_UP:]
        connection.close()
    return {stage: mean(each.get(stage, 0.0) for each in seen) for stage in (*STAGES, "total")}


def one_request(connection: Connection, request: bytes) -> Profile:
    begun = time.monotonic()
    status, head, body = connection.ask(request)
    ended = time.monotonic()
    assert status == 200, body
    moments = json.loads(
        next(line for line in head.split(b"\r\n") if line.startswith(HEADER))[len(HEADER) + 1 :]
    )
    inside = json.loads(body)["timings_ms"]
    whole = inside.pop("total")
    return {
        **inside,
        "head": 1e3 * (moments["called"] - begun),
        "receive": 1e3 * (moments["received"] - moments["called"]),
        "between": whole - sum(inside.values()),
        "answer": 1e3 * (moments["answered"] - moments["received"]) - whole,
        "send": 1e3 * (ended - moments["answered"]),
        "total": 1e3 * (ended - begun),
    }


def head_text(inspector: Inspector, requests: int) -> str:
    size = inspector.manifest.preprocessing
    return (
        f"## One request\n\n{size.width} x {size.height} px, {inspector.variant.precision}, {machine()}. "
        f"One client, 640 x 480 JPEG, the overlay in the answer; means of {requests} requests. "
        "Written by `tests/benchmarks/request_profile.py`.\n\n"
    )


def rows_text(without: Profile, archived: Profile) -> str:
    rows = [
        (said, *_ms_and_share(without, stage), *_ms_and_share(archived, stage))
        for stage, said in STAGES.items()
    ]
    rows.append(("whole request", f"{without['total']:.2f}", "", f"{archived['total']:.2f}", ""))
    return table(("stage", "no archive, ms", "share", "with archive, ms", "share"), rows)


def accounted_text(*profiles: Profile) -> str:
    shares = [1.0 - each[UNACCOUNTED] / each["total"] for each in profiles]
    return f"Accounted for by a stage: **{shares[0]:.1%}** without and **{shares[1]:.1%}** with an archive."


def _ms_and_share(seen: Profile, stage: str) -> tuple[str, str]:
    return f"{seen[stage]:.2f}", f"{seen[stage] / seen['total']:.1%}"


if __name__ == "__main__":
    main()
