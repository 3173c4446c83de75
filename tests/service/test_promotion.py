"""`glint promote`: one command puts a bundle in place on a running service."""

import json
from pathlib import Path

import pytest

from models.errors import GlintError
from service.access.commands import add_key
from service.promotion import promote
from tests.service.live import free_port, serving
from tests.service.shadow_cases import NEW, OLD, two_bundles


def test_a_bundle_is_put_in_place_or_only_tried(tmp_path: Path) -> None:
    bundles = two_bundles(tmp_path / "bundles") / "bracket"
    keys = {role: add_key(tmp_path / "keys.json", role, role)[0] for role in ("operator", "admin")}
    environment = {"GLINT_OPEN_HEALTH": "true", "GLINT_STATE": str(tmp_path / "state")}
    options = ("--keys", str(tmp_path / "keys.json"))
    with serving(bundles.parent, *options, environment=environment) as live:
        url = f"http://127.0.0.1:{live.port}"
        with pytest.raises(GlintError, match="takes a key of the role admin"):
            promote(bundles / OLD, url, keys["operator"], shadow=False)
        with pytest.raises(GlintError, match="There is no API key"):
            promote(bundles / OLD, url, None, shadow=False)
        assert promote(bundles / OLD, url, keys["admin"], shadow=True) == (
            f"bracket {OLD} runs in the shadow of {NEW}."
        )
        said = promote(bundles / OLD, f"{url}/", keys["admin"], shadow=False)
        assert said == f"bracket is judged by {OLD}, in place of {NEW}."
        written = json.loads((tmp_path / "state" / "activations.json").read_text())
        assert [(each["version"], each["by"]) for each in written] == [(NEW, "start"), (OLD, "admin")]
        with pytest.raises(GlintError, match="serves already"):
            promote(bundles / OLD, url, keys["admin"], shadow=True)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "", "http://[", "http://box:port"]
)
def test_an_address_that_cannot_be_used_is_named(tiny_bundle: Path, url: str) -> None:
    with pytest.raises(GlintError, match="no address of a service"):
        promote(tiny_bundle, url, None, shadow=False)


@pytest.mark.parametrize("key", ["glint_secret\n", "glint_s\u00e9cret", "glint_\u2019secret"])
def test_a_key_that_cannot_be_sent_is_not_shown(tiny_bundle: Path, key: str) -> None:
    with pytest.raises(GlintError, match="The key holds") as raised:
        promote(tiny_bundle, "http://127.0.0.1:1", key, shadow=False)
    assert "cret" not in str(raised.value)


def test_a_service_that_is_not_there_is_said(tiny_bundle: Path) -> None:
    with pytest.raises(GlintError, match="no answer that can be used"):
        promote(tiny_bundle, f"http://127.0.0.1:{free_port()}", None, shadow=False)
