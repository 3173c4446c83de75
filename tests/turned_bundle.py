"""A tiny bundle that lays its photos on a template: parts lie anyhow, and a white spot on one is heat."""

import json
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from models.bundle import GOLDEN, GOLDEN_RESULTS, Bundle, sha256_of_file, write_manifest
from models.fan import Fan
from models.manifest import Registration
from models.quality import QualityGate, Range
from models.registration import BESIDE, PART, Template
from models.sight import TEMPLATE, encode_template
from tests.tiny_bundle import encode, golden_results, make_tiny_bundle

Pixels = npt.NDArray[np.uint8]

LEAST = 0.7
SIDE = 96  # of the model's input

# The corners of the part, from its middle, in shares of the photo's side; and where a spot may lie on it.
_OUTLINE = ((-0.28, -0.3), (-0.08, -0.3), (-0.08, 0.06), (0.3, 0.06), (0.3, 0.26), (-0.28, 0.26))
_HOLE = (-0.18, -0.2)
SPOT = (0.2, 0.16)


def turned_part(
    angle: float = 0.0,
    right: float = 0.0,
    down: float = 0.0,
    *,
    size: tuple[int, int] = (192, 192),
    spot: bool = False,
    seed: int = 0,
) -> Pixels:
    """An L with a hole, turned by degrees and moved by shares of the longer side: uint8 RGB [H, W, 3]."""
    height, width = size
    side = max(size)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))

    def at(points: object) -> npt.NDArray[np.float64]:
        turned = np.asarray(points, float) @ np.array([[cos, sin], [-sin, cos]])
        return np.asarray(side * (turned + np.array([right, down])) + ((width - 1) / 2, (height - 1) / 2))

    grey = np.full(size, 110.0, np.float32)
    cv2.fillPoly(grey, [np.rint(16 * at(_OUTLINE)).astype(np.int32)], 148.0, cv2.LINE_8, 4)
    x, y = at(_HOLE).tolist()
    cv2.circle(grey, (round(x), round(y)), round(0.05 * side), 100.0, -1)
    if spot:
        x, y = at(SPOT).tolist()
        cv2.circle(grey, (round(x), round(y)), round(0.07 * side), 250.0, -1)
    noise = np.random.default_rng(seed).normal(0, 2, size)
    return np.repeat(np.clip(cv2.blur(grey, (3, 3)) + noise, 0, 255)[..., None], 3, axis=2).astype(np.uint8)


def spot_at(
    angle: float, right: float, down: float, size: tuple[int, int] = (192, 192)
) -> tuple[float, float]:
    """Where (x, y) the spot lies on the photo, in pixels."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    x, y = SPOT
    side = max(size)
    return (
        side * (cos * x - sin * y + right) + (size[1] - 1) / 2,
        side * (sin * x + cos * y + down) + (size[0] - 1) / 2,
    )


def template() -> Template:
    """Of the part as it lies when it is not turned; everything is judged."""
    picture = np.asarray(cv2.resize(turned_part(), (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    return Template(picture, np.where(picture[..., 0] > 129, PART, BESIDE).astype(np.uint8))


def make_turned_bundle(folder: Path, part: str = "bracket") -> Path:
    """Write such a bundle to `folder/<part>/<version>` and return that path."""
    path = make_tiny_bundle(folder, part=part, size=(SIDE, SIDE), mean=True)
    (path / TEMPLATE).write_bytes(encode_template(template()))
    shutil.rmtree(path / GOLDEN)
    (path / GOLDEN).mkdir()
    photos = {"clean": "golden/clean.png", "anomalous": "golden/anomalous.png"}
    (path / photos["clean"]).write_bytes(encode(turned_part(35.0)))
    (path / photos["anomalous"]).write_bytes(encode(turned_part(-100.0, spot=True)))
    old = Bundle.open(path, verify=False).manifest
    quality = old.quality or QualityGate(limits={})
    limits = {**quality.limits, "registration": Range(low=LEAST, high=1.0)}
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    files = {name: sha256_of_file(path / name) for name in names if name != "manifest.json"}
    changes = {
        "quality": quality.model_copy(update={"limits": limits}),
        "registration": Registration(file=TEMPLATE, fan=Fan()),
        "files": files,
        # As in training: what was stretched cannot be turned.
        "preprocessing": old.preprocessing.model_copy(update={"max_stretch": 1.0}),
    }
    manifest = old.model_copy(update=changes)
    (path / GOLDEN_RESULTS).write_text(json.dumps(golden_results(path, manifest, photos)))
    files[GOLDEN_RESULTS] = sha256_of_file(path / GOLDEN_RESULTS)
    write_manifest(path, manifest.model_copy(update={"files": files}))
    return path
