"""Whether `--alignment auto` lays parts on a template: those that turn if it pays, none that lie still."""

from pathlib import Path

import numpy as np
import pytest

from models.networks.padim_config import PadimConfig
from models.quality import QualityGate
from tests.training.rendered import as_they_lie
from training.config import TrainConfig
from training.movement import prefer_register, settle_movement
from training.trunk import load_trunk


def scores(apart: float, count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return rng.normal(0, 1, count), rng.normal(apart, 1, count)


@pytest.mark.parametrize(
    ("fixed", "free", "register", "chosen"),
    [
        (0.0, 0.0, 4.0, "register"),
        (0.0, 4.0, 4.0, "register"),
        (4.0, 4.0, 4.0, "fixed"),
        (0.0, 4.0, 1.5, "fixed"),
    ],
)
def test_register_must_be_better_than_fixed_and_no_worse_than_free(
    fixed: float, free: float, register: float, chosen: str
) -> None:
    given = {"fixed": scores(fixed), "free": scores(free), "register": scores(register)}
    found = prefer_register(given)
    assert found.chosen == chosen
    assert set(found.image_auroc) == {"fixed", "free", "register"}
    assert f"{found.image_auroc['register']:.3f}" in found.why


@pytest.mark.parametrize(
    ("turned", "chosen"),
    [
        pytest.param(True, "register", marks=pytest.mark.real),
        pytest.param(False, None, marks=pytest.mark.slow),
    ],
)
def test_auto_lays_parts_that_turn_on_a_template_and_none_that_lie_still(
    turned: bool, chosen: str | None
) -> None:
    asked = TrainConfig(Path("photos"), "bracket", padim=PadimConfig(dims=24), progress=False)
    photos, gate = as_they_lie(turned=turned), QualityGate(limits={})
    found = settle_movement(asked, load_trunk("glint"), photos, gate, "cpu")
    if chosen is None:
        assert found.alignment is None
        assert found.photos.sight.template is None
        assert "nothing to turn back" in found.remark
        return
    assert found.alignment is not None
    assert (found.alignment.asked, found.alignment.chosen) == ("auto", chosen)
    assert "can be turned back" in found.alignment.why
    assert found.photos.sight.template is not None
    assert found.gate.limits["registration"].high == 1.0
