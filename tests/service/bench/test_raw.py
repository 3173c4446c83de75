"""The graph by itself, as many at a time as in the service."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from models.inspector import Inspector, Outputs
from service.bench.raw import run_raw
from tests.tiny_bundle import Pixels, clean_photo


class Watched(Inspector):
    """Knows how many batches ran at the same time, at most."""

    inside = 0
    most = 0
    lock = threading.Lock()

    def run(self, batch: Pixels) -> list[Outputs]:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(0.01)
        try:
            return super().run(batch)
        finally:
            with self.lock:
                self.inside -= 1


@pytest.mark.parametrize("lanes", [1, 2])
def test_as_many_batches_run_side_by_side_as_asked_for(tiny_bundle: Path, lanes: int) -> None:
    inspector = Watched.load(tiny_bundle, "cpu", threads=1)
    assert isinstance(inspector, Watched)
    raw = run_raw(inspector, clean_photo((64, 64))[np.newaxis], 1, lanes, 0.2)
    assert (raw.batch, raw.lanes) == (1, lanes)
    assert inspector.most == lanes
    assert raw.runs >= lanes
    assert 0 < raw.photos_per_second <= raw.runs / 0.2
