"""schemathesis sends the running service what its OpenAPI document allows, and forbids, with all checks."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models.quality import QualityGate
from service.access.commands import add_key
from tests.drills.conftest import DrillRecord
from tests.drills.harness import photos, post
from tests.service.live import Live, serving
from tests.service.review.drawings import drawing
from tests.tiny_bundle import make_tiny_bundle

HOOKS = "tests.drills.openapi_hooks"
REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = os.environ.get("GLINT_OPENAPI_EXAMPLES", "20")
LONGEST_SECONDS = 300.0


def judge(live: Live, inspection_id: str, key: str) -> str:
    """Judge an inspection with a mask; the judgement's id."""
    order = {"decision": "accept", "operator": "Anna", "mask": base64.b64encode(drawing()).decode()}
    connection = live.connect()
    headers = {"x-api-key": key, "content-type": "application/json"}
    connection.request("POST", f"/inspections/{inspection_id}/judgements", json.dumps(order), headers)
    made = json.loads(connection.getresponse().read())
    connection.close()
    return str(made["id"])


@pytest.mark.drill
def test_the_service_does_what_its_openapi_document_says(tmp_path: Path, drill_record: DrillRecord) -> None:
    file = tmp_path / "keys.json"
    key, _ = add_key(file, "conformance", "admin")
    # Of schemathesis' own photos some are one black pixel; this part's gate lets them pass.
    make_tiny_bundle(tmp_path / "bundles", quality=QualityGate(limits={}))
    candidate = make_tiny_bundle(tmp_path / "bundles", version="20251201-000000")
    options = ("--keys", str(file), "--open-health")
    with serving(tmp_path / "bundles", *options, archive=tmp_path / "archive") as live:
        unjudged, known = (post(live.port, photo, headers={"x-api-key": key}) for photo in photos(2))
        judgement = judge(live, known.answer["id"], key)
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
                "GLINT_DRILL_INSPECTION": known.answer["id"],
                "GLINT_DRILL_JUDGEMENT": judgement,
                "GLINT_DRILL_UNJUDGED": unjudged.answer["id"],
                "GLINT_DRILL_PART": candidate.parent.name,
                "GLINT_DRILL_CANDIDATE": candidate.name,
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
    [cases] = re.findall(r"\d+ generated, .*", done.stdout)
    [operations] = re.findall(r"Tested: (\d+)", done.stdout)
    drill_record(
        fault="Requests that the OpenAPI document allows, and that it forbids",
        provoked=f"schemathesis with all checks, on all {operations} operations",
        expected="no check fails, no 5xx",
        seen=cases,
    )
