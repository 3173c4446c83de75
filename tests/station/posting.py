"""Posts photos to a running service as a camera does."""

import json
from urllib.parse import quote

from tests.service.live import Live
from tests.tiny_bundle import Pixels, encode


def post(
    live: Live, photo: Pixels | bytes, serial: str, camera: str = "cam1", key: str | None = None, **query: str
) -> dict[str, object]:
    """Post a photo; return the answer, a problem or a verdict."""
    data = photo if isinstance(photo, bytes) else encode(photo, ".jpg")
    fields = {"serial": serial, "camera": camera, **query}
    text = "&".join(f"{name}={quote(value)}" for name, value in fields.items())
    headers = {"content-type": "application/octet-stream", **({"x-api-key": key} if key else {})}
    connection = live.connect()
    try:
        connection.request("POST", f"/inspect?{text}", body=data, headers=headers)
        return dict(json.loads(connection.getresponse().read()))
    finally:
        connection.close()
