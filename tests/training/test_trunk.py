"""Trunk weights: where they may come from, and what is refused."""

import logging
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
from training.trunk import SHIPPED, load_trunk


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


def test_tensors_that_are_no_state_dict_are_refused_as_such(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(TrunkError, match="something other than a state dict"):
        load_trunk(str(tmp_path / "list.pth"))


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


@pytest.fixture
def offline(tmp_path: Path, monkeypatch) -> Path:
    """A machine without network and without cached weights."""
    monkeypatch.setattr(training.trunk, "IMAGENET", Offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch, state) -> Path:
    """A file that ends at layer3, in the place of the shipped one."""
    path = tmp_path / "own.safetensors"
    ending = {key: value.half() for key, value in state.items() if not key.startswith(("layer4.", "fc."))}
    save_file(ending, path)
    monkeypatch.setattr(training.trunk, "SHIPPED", path)
    return path


def test_offline_it_gives_up_soon_and_says_what_to_do(offline: Path, monkeypatch) -> None:
    monkeypatch.setattr(training.trunk, "SHIPPED", offline / "missing.safetensors")
    started = time.monotonic()
    for choice in ("auto", "imagenet"):
        with pytest.raises(TrunkError) as caught:
            load_trunk(choice)
        assert "--trunk FILE" in caught.value.remedy
    assert time.monotonic() - started < 10
    assert not list(offline.rglob("*.p*")), "nothing half-downloaded stays behind"


def test_offline_auto_takes_the_shipped_trunk_and_says_so_calmly(
    offline: Path, shipped: Path, caplog
) -> None:
    caplog.set_level(logging.INFO)
    weights = load_trunk("auto")
    assert weights.provenance.sha256 == sha256_of_file(shipped)
    assert "project's own" in weights.provenance.licence
    assert [record.levelname for record in caplog.records] == ["INFO"]
    with pytest.raises(TrunkError):
        load_trunk("imagenet")


def test_auto_prefers_imagenet_weights_that_are_at_hand(offline: Path, shipped: Path, state) -> None:
    cached = offline / "cache" / "hub" / "checkpoints" / "resnet50-0676ba61.pth"
    cached.parent.mkdir(parents=True)
    torch.save(state, cached)
    assert load_trunk("auto").provenance.sha256 == sha256_of_file(cached)
    assert load_trunk("glint").provenance.sha256 == sha256_of_file(shipped)


def test_damaged_imagenet_weights_are_said_to_be_damaged(offline: Path, shipped: Path, caplog) -> None:
    cached = offline / "cache" / "hub" / "checkpoints" / "resnet50-0676ba61.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"not weights at all")
    assert load_trunk("auto").provenance.sha256 == sha256_of_file(shipped)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    for words in ("damaged", "--trunk glint", str(cached), "Remove the file"):
        assert words in record.getMessage()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused_by_file_and_tensor(
    tmp_path: Path, state, number: float
) -> None:
    changed = {**state, "layer2.1.bn2.running_var": state["layer2.1.bn2.running_var"].clone()}
    changed["layer2.1.bn2.running_var"][3] = number
    save_file(changed, tmp_path / "broken.safetensors")
    with pytest.raises(TrunkError, match=r"broken\.safetensors .* layer2\.1\.bn2\.running_var"):
        load_trunk(str(tmp_path / "broken.safetensors"))


def test_a_file_that_ends_at_layer3_gives_a_head_without_layer4(shipped: Path, state) -> None:
    weights = load_trunk(str(shipped))
    assert not weights.random
    trunk, head = build_resnet50(2, weights.state)
    assert torch.equal(trunk.layer3[0].conv1.weight, state["layer3.0.conv1.weight"].half().float())
    assert head.layer4 is None
    layers = trunk(torch.zeros((1, 64, 64, 3), dtype=torch.uint8))
    assert head(layers).shape == (1, 2)


def test_a_file_with_half_of_layer4_is_refused(tmp_path: Path, state) -> None:
    save_file(
        {key: value for key, value in state.items() if not key.startswith("layer4.1.")},
        tmp_path / "torn.safetensors",
    )
    with pytest.raises(TrunkError, match=r"missing \(layer4\.1"):
        load_trunk(str(tmp_path / "torn.safetensors"))


def test_the_shipped_trunk_fits() -> None:
    weights = load_trunk("glint")
    assert SHIPPED.stat().st_size < 20e6
    trunk, head = build_resnet50(2, weights.state)
    assert head.layer4 is None
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        assert all(torch.isfinite(layer).all() for layer in trunk(images))
