"""Puts a bundle in place on a running service, from the command line: `glint promote`."""

import http.client
import json
from pathlib import Path
from urllib.parse import urlsplit

from models.bundle import Bundle
from service.errors import RequestError, ServiceError

_SECONDS = 600.0  # a GPU tunes each batch size before the bundle serves


class PromotionError(ServiceError):
    """The service did not do what it was asked to."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__("not_promoted", problem, remedy)


def promote(path: Path, url: str, key: str | None, *, shadow: bool) -> str:
    """Ask the service at `url` to activate the bundle, or to run it in the shadow.

    Args:
        path: of the bundle; the service must have it in its own folder too.
        url: of the service, with a prefix if a proxy adds one.
        key: of the role admin; None for a service without keys.
        shadow: only try it beside the active one.

    Returns:
        What was done, in words.

    Raises:
        BundleError: when the bundle cannot be read.
        RequestError: when the URL or the key cannot be used.
        PromotionError: when the service cannot be reached, or refuses.
    """
    manifest = Bundle.open(path, verify=False).manifest
    target = f"/parts/{manifest.part}/{'shadow' if shadow else 'activate'}"
    answer = _post(url, target, {"version": manifest.version}, key)
    if shadow:
        return f"{manifest.part} {manifest.version} runs in the shadow of {answer['active_version']}."
    before = f", in place of {answer['previous']}" if answer["previous"] else ""
    return f"{manifest.part} is judged by {manifest.version}{before}. {answer['note']}".strip()


def _post(url: str, target: str, order: dict[str, str], key: str | None) -> dict[str, str | None]:
    connection, prefix = _connect(url)
    headers = {"content-type": "application/json", **_key_header(key)}
    try:
        connection.request("POST", prefix + target, json.dumps(order), headers)
        response = connection.getresponse()
        status, answer = response.status, json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PromotionError(
            f"The service at {url} gives no answer that can be used: {error}.", "Look whether it runs there."
        ) from error
    finally:
        connection.close()
    if status != http.client.OK or not isinstance(answer, dict):
        detail = answer.get("detail", "") if isinstance(answer, dict) else ""
        raise PromotionError(f"The service answers {status}: {detail}", "What served goes on serving.")
    return answer


def _key_header(key: str | None) -> dict[str, str]:
    if not key:
        return {}
    if not (key.isascii() and key.isprintable()):
        # Not for the connection to find: it would show the key.
        raise RequestError(
            "bad_field",
            "The key holds a line break or another character that no key has.",
            "Give it as `glint keys add` showed it.",
        )
    return {"x-api-key": key}


def _connect(url: str) -> tuple[http.client.HTTPConnection, str]:
    """A connection to the service, and the prefix of its paths."""
    try:
        place = urlsplit(url)
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        if place.scheme in kinds and place.hostname:
            return kinds[place.scheme](place.hostname, place.port, timeout=_SECONDS), place.path.rstrip("/")
        raise ValueError("it names no host, or another scheme than http and https")
    except ValueError as error:
        raise RequestError(
            "bad_field",
            f"{url!r} is no address of a service: {error}.",
            "Give one as --url http://127.0.0.1:8000.",
        ) from error
