"""schemathesis sends the running service what its OpenAPI document allows, and forbids, with all checks."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.quality import QualityGate
from service.access.commands import add_key
from tests.drills.openapi_hooks import KNOWN_INSPECTION
from tests.service.live import Live, serving
from tests.tiny_bundle import encode, make_tiny_bundle, scratched_photo

HOOKS = "tests.drills.openapi_hooks"
REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = os.environ.get("GLINT_OPENAPI_EXAMPLES", "20")
LONGEST_SECONDS = 300.0


def inspect(live: Live, photo: bytes, headers: dict[str, str]) -> dict[str, Any]:
    connection = live.connect()
    connection.request("POST", "/inspect", photo, {"content-type": "image/png", **headers})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


@pytest.mark.slow
def test_the_service_does_what_its_openapi_document_says(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key, _ = add_key(file, "conformance", "admin")
    # Without a gate: what it refuses, a document cannot say.
    bundles = make_tiny_bundle(tmp_path / "bundles", quality=QualityGate(limits={}))
    with serving(bundles, "--keys", str(file), "--open-health", archive=tmp_path / "archive") as live:
        known = inspect(live, encode(scratched_photo()), {"x-api-key": key})["id"]
        arguments = [
            *("run", f"http://127.0.0.1:{live.port}/openapi.json", "--header", f"X-Api-Key: {key}"),
            *("--checks", "all", "--max-examples", EXAMPLES, "--seed", "1", "--no-color"),
        ]
        done = subprocess.run(
            [str(Path(sys.executable).with_name("schemathesis")), *arguments],
            cwd=tmp_path,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": HOOKS,
                "PYTHONPATH": str(REPOSITORY),
                KNOWN_INSPECTION: known,
            },
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
        assert live.process.poll() is None
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: 0" not in done.stdout
    assert "WARNINGS" not in done.stdout, done.stdout[-3000:]
    print(done.stdout[-700:])
