"""What the commands of training do before they load torch."""

import os

import pytest

from training.options import need_training_extra


def test_torchs_threads_wait_asleep_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    need_training_extra()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    need_training_extra()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
