"""What a service tells its feed: an inspection, and the answer to a request, made up from a number."""

from models.answer import AnomalyOpinion, ClassifierOpinion, ImageFacts, Inspection
from service.orders import Seen
from service.telemetry.record import RequestRecord

PHOTO = b"photo" * 20


def seen(number: int, verdict: str = "clean", camera: str | None = "cam1", photo: bytes = PHOTO) -> Seen:
    """The inspection with this number."""
    inspection = Inspection(
        id=f"{number:032x}",
        verdict=verdict,
        score=None if verdict == "invalid" else 0.2,
        needs_review=False,
        review_reasons=[],
        rules=[],
        classifier=ClassifierOpinion(probabilities={}, defect_probability=None, limit=None),
        anomaly=AnomalyOpinion(score=1.0, limit=3.0),
        regions=[],
        part="bracket",
        serial=f"A{number}",
        camera=camera,
        bundle_version="1",
        provider="CPUExecutionProvider",
        image=ImageFacts(
            width=8, height=8, sha256="0" * 64, media_type="image/jpeg", bit_depth=8, letterboxed=False
        ),
        timings_ms={},
    )
    return Seen(inspection, photo, b"overlay", "jpeg")


def answered(number: int, code: str, verdict: str = "invalid", camera: str | None = "cam1") -> RequestRecord:
    """The answer to the request with this number."""
    return RequestRecord(
        id=f"{number:032x}",
        method="POST",
        route="/inspect",
        status=503 if code else 200,
        code=code,
        verdict=verdict,
        part="bracket",
        camera=camera,
        seconds=0.1,
        ended=1.7e9,
        key_id="",
        traceparent="",
        inspection=None,
        serial=f"A{number}",
    )
