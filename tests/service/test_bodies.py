"""The body of any request but a photo is small and comes at once, or is not read to its end."""

import asyncio
import json

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from service.http.bodies import MAX_BODY_BYTES, MOST_LARGE_BODIES, BodyLimits
from tests.service.conftest import StartClient
from tests.service.test_http_problems import problem_of
from tests.tiny_bundle import clean_photo, encode

ACTIVATE = "/parts/bracket/activate"
JUDGEMENTS = f"/inspections/{'0' * 32}/judgements"
VERSION = b'{"version": "20260101-000000"}'


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ACTIVATE),
        ("POST", "/nowhere"),
        ("GET", "/parts"),
        ("PUT", "/inspect"),
        ("PUT", JUDGEMENTS),
        ("GET", JUDGEMENTS),
    ],
)
def test_a_large_body_is_refused(client: TestClient, method: str, path: str) -> None:
    declared = b" " * (MAX_BODY_BYTES + 1)
    in_pieces = iter([b" " * 1024] * 5)
    for content in (declared, in_pieces):
        response = client.request(method, path, content=content)
        problem_of(response, 413, "body_too_large")


def test_an_endless_body_is_read_no_further_than_the_limit() -> None:
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b" " * 1024, "more_body": True}

    assert answer_to(receive, seconds=5.0) == (413, "body_too_large")
    assert asked == MAX_BODY_BYTES // 1024 + 1


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def receive() -> Message:
        await asyncio.sleep(60.0)
        raise AssertionError("it was waited for")

    assert answer_to(receive, seconds=0.05) == (408, "upload_too_slow")


def answer_to(receive: Receive, seconds: float) -> tuple[int, str]:
    """Status and code of the answer to a body in pieces."""
    sent: list[Message] = []

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("the request went on")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": ACTIVATE,
        "headers": [(b"transfer-encoding", b"chunked")],
        "state": {"inspection_id": "1"},
    }
    asyncio.run(BodyLimits(never, seconds)(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])["code"]


def test_only_so_many_large_bodies_are_held_at_a_time() -> None:
    assert asyncio.run(statuses_while_all_places_are_taken()) == {
        "large": 503,
        "of unknown size": 503,
        "small": 200,
        "large, afterwards": 200,
    }


async def statuses_while_all_places_are_taken() -> dict[str, int]:
    """The answers to judgements while as many large ones wait for theirs as may."""
    go_on, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.release()
        if scope["state"]["waits"]:
            await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    limits = BodyLimits(app, seconds=5.0)

    async def answer_to_judgement(length: int | None, *, waits: bool = False) -> int:
        statuses: list[int] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": bytes(length or 9), "more_body": False}

        async def send(message: Message) -> None:
            statuses.append(message.get("status", 0))

        declared = (b"transfer-encoding", b"chunked")
        if length is not None:
            declared = (b"content-length", str(length).encode())
        state = {"inspection_id": "1", "waits": waits}
        scope = {"type": "http", "method": "POST", "path": JUDGEMENTS, "headers": [declared], "state": state}
        await limits(scope, receive, send)
        return statuses[0]

    large = MAX_BODY_BYTES + 1
    held = [asyncio.create_task(answer_to_judgement(large, waits=True)) for _ in range(MOST_LARGE_BODIES)]
    for _ in held:
        await begun.acquire()
    found = {
        "large": await answer_to_judgement(large),
        "of unknown size": await answer_to_judgement(None),
        "small": await answer_to_judgement(MAX_BODY_BYTES),
    }
    go_on.set()
    assert await asyncio.gather(*held) == [200] * MOST_LARGE_BODIES
    return {**found, "large, afterwards": await answer_to_judgement(large)}


def test_a_body_within_the_limit_is_used_whole(client: TestClient) -> None:
    whole = VERSION + b" " * (MAX_BODY_BYTES - len(VERSION))
    for content in (whole, iter([whole[:10], whole[10:]])):
        response = client.post(ACTIVATE, content=content, headers={"content-type": "application/json"})
        assert response.status_code == 200


def test_photos_have_limits_of_their_own(start: StartClient) -> None:
    photo = encode(clean_photo(), ".png")
    assert len(photo) > MAX_BODY_BYTES
    response = start().post("/inspect", content=photo, headers={"content-type": "image/png"})
    assert response.json()["verdict"] == "clean"
