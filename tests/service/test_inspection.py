"""The use case without HTTP: from the bytes of a photo to an inspection and its overlay."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from models.errors import PhotoError
from models.inspector import Inspector
from models.photo import decode_photo
from service import inspection
from service.archive.archive import Archive
from service.errors import (
    DeadlineError,
    InferenceError,
    QueueFullError,
    QueueTooLongError,
    UntrustworthyError,
)
from service.inspection import InspectionService
from service.orders import Inspected, Order
from service.registry import Registry
from service.settings import Settings
from tests.tiny_bundle import (
    anomalous_photo,
    clean_photo,
    encode,
    poisonous_photo,
    scratched_photo,
    unmeasurable_photo,
)

STAGES = {"decode", "resize", "quality", "queue", "inference", "decide"}


Start = Callable[..., InspectionService]


@pytest.fixture
def start(tiny_bundles: Path) -> Iterator[Start]:
    """Start a service with the given settings; its device may look slow from what it did before."""
    with ExitStack() as running:

        def start_one(*, seconds_a_photo: float = 0.0, **settings: object) -> InspectionService:
            given = {
                "bundles": tiny_bundles,
                "device": "cpu",
                "threads": 1,
                "decode_threads": 2,
                "archive": "none",
                **settings,
            }
            registry = Registry(Settings.of(**given), on_death=lambda error: None)
            registry.load()
            if seconds_a_photo:
                part = registry.part(None)
                part.batcher.pace.learn(part.inspector, seconds_a_photo)
            archive = None
            if given["archive"] != "none":
                archive = Archive(Settings.of(**given))
                archive.start()
                running.callback(archive.close)
            service = InspectionService(registry, Settings.of(**given), archive)
            running.callback(service.close)
            running.callback(registry.close, 5.0)
            return service

        yield start_one


@pytest.fixture
def service(start: Start) -> InspectionService:
    return start()


def order(data: bytes, *, seconds: float = 10.0, **more: object) -> Order:
    given = {"inspection_id": "id-1", "deadline": time.monotonic() + seconds, **more}
    return Order(data, **given)


def inspect(service: InspectionService, wanted: Order) -> Inspected:
    return asyncio.run(service.inspect(wanted))


@pytest.mark.parametrize("paint", [clean_photo, scratched_photo, anomalous_photo])
def test_the_service_says_what_the_inspector_says(
    service: InspectionService, tiny_bundle: Path, paint
) -> None:
    data = encode(paint(), ".jpg")
    expected, _, _ = Inspector.load(tiny_bundle, "cpu", threads=1).inspect(data)
    said = inspect(service, order(data)).inspection
    own = {"id", "timings_ms"}
    assert said.model_dump(exclude=own) == expected.model_dump(exclude=own)


def test_what_came_with_the_photo_is_repeated(service: InspectionService) -> None:
    said = inspect(service, order(encode(clean_photo()), serial="A17", camera="cam3")).inspection
    assert (said.id, said.part, said.serial, said.camera) == ("id-1", "bracket", "A17", "cam3")


def test_an_overlay_is_drawn_only_when_asked_for(service: InspectionService) -> None:
    data = encode(scratched_photo())
    without = inspect(service, order(data))
    assert without.overlay is None
    assert set(without.inspection.timings_ms) == STAGES | {"total"}
    drawn = inspect(service, order(data, overlay="png"))
    assert drawn.overlay is not None
    assert decode_photo(drawn.overlay).media_type == "image/png"
    assert set(drawn.inspection.timings_ms) == STAGES | {"overlay", "total"}


def test_the_stages_add_up_to_about_the_total(service: InspectionService) -> None:
    data = encode(scratched_photo((1200, 1200)), ".png")
    accounted = []
    for _ in range(3):  # a busy machine may come between the stages, but hardly three times
        timings = dict(inspect(service, order(data, overlay="png")).inspection.timings_ms)
        total = timings.pop("total")
        accounted.append(sum(timings.values()) / total)
    assert 0.8 <= max(accounted) <= 1.01


def test_a_photo_that_cannot_be_inspected_says_why(service: InspectionService) -> None:
    with pytest.raises(PhotoError) as error:
        inspect(service, order(encode(clean_photo())[:100]))
    assert error.value.code == "truncated"


def test_outputs_that_are_not_finite_give_an_error_and_no_verdict(service: InspectionService) -> None:
    with pytest.raises(UntrustworthyError, match="not finite"):
        inspect(service, order(encode(unmeasurable_photo()), overlay="jpeg"))


def test_a_photo_the_model_fails_on_gives_an_error_and_the_next_is_answered(
    service: InspectionService,
) -> None:
    with pytest.raises(InferenceError):
        inspect(service, order(encode(poisonous_photo())))
    assert inspect(service, order(encode(clean_photo()))).inspection.verdict == "clean"


@pytest.mark.parametrize("seconds", [-1.0, 0.0])
def test_an_answer_that_would_be_late_is_not_given(service: InspectionService, seconds: float) -> None:
    with pytest.raises(DeadlineError):
        inspect(service, order(encode(clean_photo()), seconds=seconds))


def test_no_more_photos_are_taken_in_than_there_are_places(start: Start) -> None:
    service = start(queue_size=2)
    with service.places.take(), service.places.take(), pytest.raises(QueueFullError), service.places.take():
        pass
    with service.places.take():
        assert inspect(service, order(encode(clean_photo()))).inspection.verdict == "clean"


def test_photos_at_the_same_time_get_their_own_answers(service: InspectionService) -> None:
    paints = [clean_photo, scratched_photo, anomalous_photo] * 6

    async def inspect_all() -> list[Inspected]:
        orders = [order(encode(paint(seed=n)), serial=str(n)) for n, paint in enumerate(paints)]
        return await asyncio.gather(*(service.inspect(each) for each in orders))

    answers = [(done.inspection.serial, done.inspection.verdict) for done in asyncio.run(inspect_all())]
    expected = [(str(n), paint.__name__.removesuffix("_photo")) for n, paint in enumerate(paints)]
    assert answers == expected


def test_a_photo_that_would_wait_past_its_deadline_is_refused_at_once(start: Start) -> None:
    service, data = start(seconds_a_photo=1000.0), encode(clean_photo(), ".jpg")

    async def inspect_two() -> list[Inspected | BaseException]:
        both = (service.inspect(order(data)), service.inspect(order(data)))
        return await asyncio.gather(*both, return_exceptions=True)

    alone, behind = asyncio.run(inspect_two())
    # What was measured in a bad moment must not refuse everything for ever.
    assert isinstance(alone, Inspected)
    assert isinstance(behind, QueueTooLongError)
    assert behind.code == "queue_too_long"


def test_a_photo_that_is_past_the_device_makes_nobody_wait(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, data = start(seconds_a_photo=1000.0), encode(clean_photo(), ".jpg")
    conclude, drawing, done = inspection._conclude, threading.Event(), threading.Event()

    def conclude_slowly(*given: object) -> object:
        drawing.set()
        assert done.wait(10.0)
        return conclude(*given)

    monkeypatch.setattr(inspection, "_conclude", conclude_slowly)

    async def inspect_one_after_another() -> list[Inspected]:
        first = asyncio.create_task(service.inspect(order(data)))
        await asyncio.to_thread(drawing.wait, 10.0)
        second = asyncio.create_task(service.inspect(order(data)))
        await asyncio.sleep(0)
        done.set()
        return await asyncio.gather(first, second)

    assert [each.inspection.verdict for each in asyncio.run(inspect_one_after_another())] == ["clean"] * 2


def test_what_was_answered_before_is_answered_however_long_the_queue(start: Start, tmp_path: Path) -> None:
    service = start(seconds_a_photo=1000.0, archive=str(tmp_path), archive_free_bytes=0)
    data, other = encode(clean_photo(), ".jpg"), encode(scratched_photo(), ".jpg")
    inspect(service, order(data, idempotency_key="abc"))

    async def inspect_again() -> list[Inspected | BaseException]:
        again = order(data, inspection_id="id-3", idempotency_key="abc")
        return await asyncio.gather(
            service.inspect(order(other, inspection_id="id-2")),
            service.inspect(again),
            service.inspect(order(other, inspection_id="id-4")),
            return_exceptions=True,
        )

    ahead, again, refused = asyncio.run(inspect_again())
    assert isinstance(ahead, Inspected)
    assert isinstance(refused, QueueTooLongError), "the queue is too long for what is new"
    assert isinstance(again, Inspected)
    assert again.repeated
    assert again.inspection.id == "id-1"
