"""Pretraining: it learns, can be resumed, and ends in a file that `--trunk` takes."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torchvision.models import resnet50

from models.errors import UsageError
from models.networks.resnet import Trunk, build_resnet50
from training.batch_norm import settle
from training.pretrain.config import PARTS, PretrainConfig, Stage
from training.pretrain.filters import first_filters
from training.pretrain.finish import DEVIATIONS, balance, write_trunk
from training.pretrain.learner import Learner, bfloat16_pays
from training.pretrain.pictures import MOST_VIEWS, Textures, render_example
from training.pretrain.run import CHECKPOINT, LOG, pretrain
from training.pretrain.source import Batch, Order, render_order
from training.trunk import load_trunk

PART = MOST_VIEWS * PARTS
STAGES = (Stage(0.5, 32, PART), Stage(1.0, 48, PART))


def config(out: Path, **changes) -> PretrainConfig:
    given = {
        "minutes": None,
        "images": 160,
        "classes": 4,
        "device": "cpu",
        "progress": False,
        "settle_size": 32,
    }
    return PretrainConfig(out, **{"stages": STAGES, **given, **changes})


@pytest.fixture(scope="module")
def batch() -> Batch:
    return render_order(Textures(4, seed=0), Order(first=0, count=4, size=32, views=2), seed=0)


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    textures = Textures(4, seed=0)
    return torch.from_numpy(np.stack([render_example(textures, n, 64, 0).pixels for n in range(8)]))


@pytest.mark.real
def test_the_loss_falls_on_pictures_seen_again_and_again(tmp_path: Path, batch: Batch) -> None:
    learner = Learner(config(tmp_path, views=2))
    losses = [learner.step([batch] * 2, share=0.05)["flaw_loss"] for _ in range(10)]
    assert losses[-1] < 0.7 * losses[0]


def test_one_view_of_each_scene_is_asked_all_but_the_place(tmp_path: Path) -> None:
    batch = render_order(Textures(4, seed=0), Order(first=0, count=4, size=32), seed=0)
    figures = Learner(config(tmp_path)).step([batch], share=0.05)
    assert set(figures) == {
        f"{name}_{figure}"
        for name in ("surface", "texture16", "texture8", "thing", "flaw")
        for figure in ("loss", "accuracy")
    }


def test_the_state_holds_all_that_is_needed_to_go_on(tmp_path: Path, batch: Batch) -> None:
    first = Learner(config(tmp_path, views=2))
    first.step([batch], share=0.05)
    second = Learner(config(tmp_path, seed=1, views=2))
    second.restore(first.state())
    results = [learner.step([batch], share=0.05) for learner in (first, second)]
    assert results[0] == pytest.approx(results[1], rel=1e-3)
    average = [learner.average.state_dict()["layer3.5.bn3.running_var"] for learner in (first, second)]
    torch.testing.assert_close(*average, rtol=1e-3, atol=1e-3)


def test_schedule_warms_up_and_ends_at_nothing(tmp_path: Path) -> None:
    plan = config(tmp_path)
    assert plan.rate_factor(0.0) < 0.1
    assert plan.rate_factor(0.03) > 0.9
    assert plan.rate_factor(1.0) == 0
    assert [plan.part(share, 0).size for share in (0.0, 0.5, 0.51, 1.0)] == [32, 32, 48, 48]
    assert plan.share_done(seconds=1e9, images=80) == 0.5
    timed = replace(plan, images=None, minutes=2.0)
    assert timed.share_done(seconds=60, images=10**9) == pytest.approx(0.5)


def test_first_filters_answer_to_differences_of_brightness() -> None:
    filters = first_filters()
    assert filters.shape == (64, 3, 7, 7)
    assert filters[:56].sum(dim=(1, 2, 3)).abs().max() < 1e-4
    lengths = filters.flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, lengths[:1].expand(64))


def test_balance_gives_every_channel_its_deviation_and_changes_nothing_else(pictures: torch.Tensor) -> None:
    torch.manual_seed(0)
    trunk = Trunk(resnet50(weights=None)).eval()
    settle(trunk, trunk, pictures)
    with torch.inference_mode():
        before = trunk(pictures)
    balance(trunk, pictures)
    with torch.inference_mode():
        after = trunk(pictures)
    for old, new, wanted in zip(before, after, DEVIATIONS, strict=True):
        deviation = new.transpose(0, 1).flatten(1).std(dim=1)
        live = old.transpose(0, 1).flatten(1).std(dim=1) > 2e-3
        assert live.float().mean() > 0.9
        torch.testing.assert_close(
            deviation[live], torch.full((int(live.sum()),), wanted), rtol=0.02, atol=0.02
        )
        factor = deviation / old.transpose(0, 1).flatten(1).std(dim=1)
        torch.testing.assert_close(new[:, live], (old * factor[:, None, None])[:, live], rtol=1e-2, atol=1e-2)


def test_the_finished_file_holds_half_precision_up_to_layer3(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = write_trunk(Trunk(resnet50(weights=None)).eval(), tmp_path / "trunk.safetensors", seed=0, size=64)
    state = load_file(path)
    expected = {k for k in resnet50(weights=None).state_dict() if not k.startswith(("fc.", "layer4."))}
    assert set(state) == expected
    assert {v.dtype for v in state.values()} == {torch.float16, torch.int64}
    assert all(torch.isfinite(v).all() for v in state.values())
    assert build_resnet50(2, load_trunk(str(path)).state)[1].layer4 is None


@pytest.mark.real
def test_a_run_is_logged_saved_and_resumed(tmp_path: Path) -> None:
    half = config(tmp_path, images=16 * PARTS, views=2)
    assert load_trunk(str(pretrain(half))).state is not None
    with pytest.raises(UsageError, match="earlier run"):
        pretrain(half)
    pretrain(replace(half, images=48 * PARTS, resume=True))
    records = [json.loads(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert records, "a record every 20 steps"
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["images"] == 48 * PARTS
    assert all(np.isfinite(list(record.values())).all() for record in records)


def test_a_finished_trunk_can_be_begun_with(tmp_path: Path, pictures: torch.Tensor) -> None:
    torch.manual_seed(1)
    path = write_trunk(Trunk(resnet50(weights=None)).eval(), tmp_path / "trunk.safetensors", seed=0, size=32)
    learner = Learner(config(tmp_path, trunk=str(path)))
    begun = learner.trunk.eval()
    assert learner.begun_with.startswith("trunk.safetensors (as stated by whoever supplied the file")
    written = write_trunk(
        begun, tmp_path / "next.safetensors", seed=0, size=32, begun_with=learner.begun_with
    )
    with safe_open(written, "pt") as opened:
        assert opened.metadata() == {"begun_with": learner.begun_with}
    given, _ = build_resnet50(1, load_trunk(str(path)).state)
    with torch.inference_mode():
        layers = [network.eval()(pictures) for network in (given, begun)]
    for old, new, deviation in zip(*layers, DEVIATIONS, strict=True):
        live = new.std(dim=(0, 2, 3)) > 0.1
        assert live.float().mean() > 0.8
        # The same features but for the layer's scale, up to batch norm's statistics, which are taken anew.
        both = torch.stack([layer[:, live].transpose(0, 1).flatten(1) for layer in (old, new)])
        alike = [float(torch.corrcoef(pair)[0, 1]) for pair in both.transpose(0, 1)]
        assert np.median(alike) > 0.99
        assert abs(float((both[1].std() / both[0].std()).log()) + np.log(deviation)) < 0.3


def test_bfloat16_is_tried_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that has bfloat16, which comes second of two, take longer, and then less."""
    state = torch.random.get_rng_state()
    for ticks, pays in (((0, 1, 0, 2), False), ((0, 2, 0, 1), True)):
        clock = itertools.cycle(ticks)
        monkeypatch.setattr("training.pretrain.learner.time.perf_counter", lambda clock=clock: next(clock))
        assert bfloat16_pays() is pays
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_checkpoint_of_another_glint_is_refused(tmp_path: Path) -> None:
    learner = Learner(config(tmp_path))
    state = {name: part for name, part in learner.state().items() if name != "begun_with"}
    with pytest.raises(UsageError, match="another Glint"):
        learner.restore(state)


def test_nothing_to_resume_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no checkpoint"):
        pretrain(config(tmp_path, resume=True))
