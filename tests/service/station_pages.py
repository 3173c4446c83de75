"""Photos posted, and the pages of their inspections read."""

import json
import re

import cv2
import numpy as np
from fastapi.testclient import TestClient
from httpx import Response

HTML = {"accept": "text/html"}


def post(client: TestClient, photo: bytes, query: str = "", kind: str = "image/png") -> str:
    """Inspect a photo; return the id."""
    answer = client.post(f"/inspect?{query}", content=photo, headers={"content-type": kind})
    return str(answer.json()["id"])


def page_of(client: TestClient, inspection_id: str) -> Response:
    return client.get(f"/station/inspections/{inspection_id}", headers=HTML)


def data_of(page: Response) -> dict[str, object]:
    found = re.search(r'id="inspection-data">(.*?)</script>', page.text, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def pixels_of(answer: Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    found = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found[..., ::-1]
