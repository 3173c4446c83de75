"""Archives full of inspections, for benchmarks: a month of them, as the service writes them."""

import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from models.inspector import Inspector
from models.overlay import encode_picture
from service.archive.archive import Archive
from service.archive.candidates import candidate_of
from service.archive.entries import Entry
from service.archive.policy import draw
from service.archive.records import Record
from service.archive.shadows import write
from service.archive.tables import inspections, reviews
from service.review.desk import Desk
from service.review.items import Wish
from service.review.judgements import Opinion
from service.settings import Settings
from service.shadow.comparison import ShadowVerdict
from tests.tiny_bundle import anomalous_photo, clean_photo, encode, scratched_photo

SIZE = (960, 1280)
SHARES = (("scratched", 0.04), ("anomalous", 0.02), ("clean", 0.94))
DOUBTFUL = 0.02
SAMPLED = 0.01
JUDGED = 0.25
CHUNK = 5000
CANDIDATE = "20260101-000000"  # a bundle that has judged all of them in the shadow
FLIPPED = 0.01
PAINTS = {"clean": clean_photo, "scratched": scratched_photo, "anomalous": anomalous_photo}


def fill(folder: Path, bundle: Path, count: int) -> tuple[list[str], list[str]]:
    """Fill an archive with `count` inspections of a month; all ids, and those that wait for a judgement.

    Rows are as the service writes them; all that show the same share their photo's file.
    """
    archive = Archive(Settings.of(archive=str(folder), review_sample=SAMPLED, archive_free_bytes=0))
    archive.start()
    try:
        models = recorded(archive, bundle)
        made = list(records(models, count))
        for start in range(0, count, CHUNK):
            chunk = made[start : start + CHUNK]
            rows = [row for each in chunk if (row := candidate_of(each, SAMPLED)) is not None]
            with archive.holdings.database.writing() as connection:
                connection.execute(insert(inspections), [asdict(each) for each in chunk])
                connection.execute(insert(reviews), rows)
            write(archive.holdings.database, [shadow_of(each) for each in chunk])
        desk = Desk(archive.holdings)
        waiting = [item.inspection_id for item in desk.waiting(Wish("newest"), count)]
        for inspection_id in waiting[: round(JUDGED * len(waiting))]:
            desk.judge(inspection_id, Opinion("accept", "Anna"))
    finally:
        archive.close()
    return [each.id for each in made], waiting[round(JUDGED * len(waiting)) :]


def recorded(archive: Archive, bundle: Path) -> dict[str, Record]:
    """One real record of each verdict."""
    inspector = Inspector.load(bundle, "cpu", threads=1)
    found = {}
    for verdict, paint in PAINTS.items():
        photo = encode(paint(SIZE), ".jpg")
        inspection, prepared, outputs = inspector.inspect(photo)
        overlay = encode_picture(inspector.overlay(prepared, outputs))
        entry = Entry(inspection, photo, overlay, "jpeg")
        archive.submit(entry, time.monotonic() + 10.0).result()
        found[verdict] = archive.find(inspection.id)
    return found


def records(models: dict[str, Record], count: int) -> Sequence[Record]:
    """As many records as wanted, from a month ago until now."""
    chance = random.Random(0)
    begin, step = datetime.now(UTC) - timedelta(days=30), timedelta(days=30) / count
    verdicts = chance.choices([name for name, _ in SHARES], [share for _, share in SHARES], k=count)
    made = []
    for number, verdict in enumerate(verdicts):
        new_id = uuid.UUID(int=chance.getrandbits(128)).hex
        model = models[verdict]
        doubtful = verdict == "clean" and chance.random() < DOUBTFUL
        made.append(
            replace(
                model,
                id=new_id,
                answer=model.answer.replace(model.id, new_id),
                time=begin + number * step,
                serial=f"S{number:07d}",
                camera=f"cam{number % 4}",
                score=0.49 if doubtful else chance.random(),
                needs_review=doubtful,
            )
        )
    return made


def shadow_of(record: Record) -> ShadowVerdict:
    """What the candidate said of it: mostly the same."""
    flips = draw(record.id) < FLIPPED
    return ShadowVerdict(
        inspection_id=record.id,
        version=CANDIDATE,
        time=record.time,
        part=record.part,
        verdict=("scratched" if record.verdict == "clean" else "clean") if flips else record.verdict,
        score=record.score,
        anomaly_score=record.anomaly_score,
        defect_probability=record.defect_probability,
        needs_review=record.needs_review,
        active_version=record.bundle_version,
        active_verdict=record.verdict,
    )
