"""The same photo gives the same verdict whatever batch it travels in, and whatever process it meets."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest

from models.bundle import Bundle, sha256_of_file, write_manifest
from models.decision import Limits
from models.inspector import Inspector
from models.session import CPU, CUDA
from service.batching import buckets_for, lanes_for
from tests.end_to_end.product import train
from tests.end_to_end.repeats import BATCHES, Said, farthest, in_batches, prepare, read, through_the_batcher
from tests.tiny_bundle import encode, make_tiny_bundle
from tests.training.small_trunk import GRID, SIZE, small_photos, small_trunk_graph
from training.rendering.demo import render_parts

# On one device. Sums in another order differ by about 1e-7; a bound that any real fault breaks.
SAME = 1e-5
PHOTOS = 200
ROOT = Path(__file__).resolve().parents[2]
# Amidst the opinions on the small photos, so that all verdicts are given and many are close.
AMIDST = Limits(classifier=0.344, anomaly=14_500.0)
TRAINING = (
    *("--trunk", "glint", "--finetune", "head", "--epochs", 1, "--no-int8"),
    *("--image-size", "128x128", "--dims", 40),
)


def assert_same(one: Sequence[Said], other: Sequence[Said], where: str) -> None:
    score, anomaly, flips = farthest(one, other)
    assert (len(one), flips) == (PHOTOS, 0), where
    assert max(score, anomaly) <= SAME, where


def in_another_process(bundle: Path, photos: Path, **environment: str) -> dict[int, list[Said]]:
    """What a fresh process says, in batches of each size."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.repeats", bundle, photos],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return read(done.stdout)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle with convolutions, a projection and a read-out like the served graph's, and 200 photos."""
    root = tmp_path_factory.mktemp("small")
    bundle = make_tiny_bundle(root / "bundles", size=SIZE, limits=AMIDST)
    onnx.save(small_trunk_graph(), bundle / "inspector.onnx")
    manifest = Bundle.open(bundle, verify=False).manifest
    files = {**manifest.files, "inspector.onnx": sha256_of_file(bundle / "inspector.onnx")}
    write_manifest(bundle, manifest.model_copy(update={"files": files, "grid": GRID}))
    (root / "photos").mkdir()
    for number, photo in enumerate(small_photos(PHOTOS)):
        (root / "photos" / f"{number:03d}.png").write_bytes(encode(photo))
    return bundle, root / "photos"


def test_in_batches_through_the_batcher_and_in_another_process(small: tuple[Path, Path]) -> None:
    bundle, photos = small
    inspector = Inspector.load(bundle, "cpu", precision="fp32")
    prepared = prepare(inspector, photos)
    alone = in_batches(inspector, prepared, 1)
    assert {each.verdict for each in alone} == {"clean", "scratched", "anomalous"}
    for size in BATCHES[1:]:
        assert_same(alone, in_batches(inspector, prepared, size), f"batches of {size}")
    on_a_gpu, sizes = through_the_batcher(inspector, prepared, buckets_for(CUDA), lanes=1)
    assert_same(alone, on_a_gpu, f"the batcher's batches of {sizes}")
    for size, said in in_another_process(bundle, photos).items():
        assert_same(alone, said, f"another process, batches of {size}")


@pytest.mark.real
def test_a_trained_bundle_in_batches_through_the_batcher_and_in_three_processes(tmp_path: Path) -> None:
    render_parts(tmp_path / "seen", good=60, scratched=30, size=(192, 192), seed=1, progress=False)
    render_parts(tmp_path / "new", good=130, scratched=70, size=(192, 192), seed=2, progress=False)
    bundle = train(tmp_path / "seen", tmp_path / "bundles", *TRAINING)
    inspector = Inspector.load(bundle, "cpu", precision="fp32")
    prepared = prepare(inspector, tmp_path / "new")
    alone = in_batches(inspector, prepared, 1)
    assert {each.verdict for each in alone} >= {"clean", "scratched"}
    for size in BATCHES[1:]:
        assert_same(alone, in_batches(inspector, prepared, size), f"batches of {size}")

    filled, sizes = through_the_batcher(inspector, prepared, buckets_for(CUDA), lanes=1)
    assert max(sizes) > 1
    assert_same(alone, filled, f"the batcher's batches of {sizes}")
    side_by_side, _ = through_the_batcher(inspector, prepared, buckets_for(CPU), lanes_for(CPU))
    assert_same(alone, side_by_side, "two runs at a time, as on a CPU")

    for number, zone in enumerate(("UTC", "Pacific/Auckland", "America/Caracas")):
        said = in_another_process(bundle, tmp_path / "new", PYTHONHASHSEED=str(number), TZ=zone)
        assert set(said) == set(BATCHES)
        for size, own in said.items():
            assert_same(alone, own, f"process {number}, batches of {size}")
