"""The product as its users meet it: the `glint` command and HTTP, nothing else."""

import http.client
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.service.live import Live

GLINT = Path(sys.executable).with_name("glint")


def glint(*words: object) -> str:
    """Run `glint` and return what it prints; fail with its errors unless it ends with 0."""
    done = subprocess.run([GLINT, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def train(photos: Path, bundles: Path, *options: object) -> Path:
    """`glint train`; returns the bundle."""
    glint("train", photos, "--part", "part", "--bundles", bundles, "--device", "cpu", "--quiet", *options)
    (manifest,) = bundles.glob("part/*/manifest.json")
    return manifest.parent


def evaluate(photos: Path, bundle: Path, *options: object) -> dict[str, Any]:
    """`glint evaluate --json`."""
    words = ("evaluate", photos, "--bundle", bundle, "--json", "--device", "cpu", "--quiet", *options)
    return json.loads(glint(*words))


def inspect(photos: Sequence[Path], bundle: Path) -> list[dict[str, Any]]:
    """`glint inspect --json`, one answer a photo."""
    lines = glint("inspect", *photos, "--bundle", bundle, "--json", "--device", "cpu").splitlines()
    return [json.loads(line) for line in lines]


def post(live: Live, photos: Sequence[Path]) -> list[dict[str, Any]]:
    """`POST /inspect` with each photo as the raw body."""
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=60)
    answers = []
    for photo in photos:
        headers = {"content-type": "application/octet-stream"}
        connection.request("POST", "/inspect?part=part&overlay=none", photo.read_bytes(), headers)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, body
        answers.append(json.loads(body))
    connection.close()
    return answers


def assert_same_answers(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> None:
    """Same verdicts and regions, scores within 1e-4, for the same photos in the same order."""
    assert [a["image"]["sha256"] for a in ours] == [b["image"]["sha256"] for b in theirs]
    assert [a["verdict"] for a in ours] == [b["verdict"] for b in theirs]
    assert max(abs(a["score"] - b["score"]) for a, b in zip(ours, theirs, strict=True)) <= 1e-4
    assert [len(a["regions"]) for a in ours] == [len(b["regions"]) for b in theirs]
