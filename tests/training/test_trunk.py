"""Trunk weights: where they may come from, and what is refused."""

import pickle
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet50

import training.trunk
from models.bundle import sha256_of_file
from models.errors import TrunkError
from models.networks.resnet import build_resnet50
from training.trunk import load_trunk


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return resnet50(weights=None).state_dict()


def test_safetensors_in_half_precision_are_loaded_as_float32(tmp_path: Path, state) -> None:
    path = tmp_path / "trunk.safetensors"
    save_file(
        {key: value.half() if value.is_floating_point() else value for key, value in state.items()}, path
    )
    weights = load_trunk(str(path))
    assert not weights.random
    assert weights.provenance.name == "trunk.safetensors"
    assert weights.provenance.sha256 == sha256_of_file(path)
    assert not any(key.startswith("fc.") for key in weights.state)
    assert weights.state["conv1.weight"].dtype == torch.float32
    trunk, _ = build_resnet50(2, weights.state)
    assert torch.equal(trunk.stem.conv1.weight, state["conv1.weight"].half().float())


def test_pth_is_loaded(tmp_path: Path, state) -> None:
    torch.save(state, tmp_path / "trunk.pth")
    weights = load_trunk(str(tmp_path / "trunk.pth"))
    assert torch.equal(weights.state["layer3.0.conv1.weight"], state["layer3.0.conv1.weight"])


def test_a_read_out_of_another_size_or_none_at_all_is_fine(tmp_path: Path, state) -> None:
    save_file(
        {key: value for key, value in state.items() if not key.startswith("fc.")}, tmp_path / "t.safetensors"
    )
    assert load_trunk(str(tmp_path / "t.safetensors")).state is not None


def test_mismatched_keys_are_named(tmp_path: Path, state) -> None:
    changed = dict(state)
    changed["encoder.weight"] = changed.pop("layer2.0.conv1.weight")
    changed["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    save_file(changed, tmp_path / "odd.safetensors")
    with pytest.raises(TrunkError) as caught:
        load_trunk(str(tmp_path / "odd.safetensors"))
    for words in (
        "1 missing (layer2.0.conv1.weight)",
        "1 unknown (encoder.weight)",
        "another shape (conv1.weight)",
    ):
        assert words in caught.value.problem


class Evil:
    """Its unpickling would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil(tmp_path / "proof")))
    torch.save({"conv1.weight": Evil(tmp_path / "proof")}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(TrunkError):
            load_trunk(str(tmp_path / name))
    assert not (tmp_path / "proof").exists()


@pytest.mark.parametrize("name", ["t.safetensors", "t.pth", "t.bin"])
def test_damaged_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(TrunkError, match=name):
        load_trunk(str(tmp_path / name))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrunkError, match=r"nowhere\.pth"):
        load_trunk(str(tmp_path / "nowhere.pth"))


def test_random_weights_come_with_a_loud_warning(caplog) -> None:
    weights = load_trunk("none")
    assert weights.random
    assert "RANDOM" in caplog.text


class Offline:
    """Stands for torchvision's weights behind an address where nobody listens."""

    url = "http://127.0.0.1:9/resnet50-0676ba61.pth"


@pytest.mark.parametrize("choice", ["auto", "imagenet"])
def test_offline_it_gives_up_soon_and_says_what_to_do(tmp_path: Path, monkeypatch, choice: str) -> None:
    monkeypatch.setattr(training.trunk, "IMAGENET", Offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    started = time.monotonic()
    with pytest.raises(TrunkError) as caught:
        load_trunk(choice)
    assert time.monotonic() - started < 10
    assert "--trunk FILE" in caught.value.remedy
    assert not list(tmp_path.rglob("*.p*")), "nothing half-downloaded stays behind"
