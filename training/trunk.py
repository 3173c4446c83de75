"""Where the trunk's weights come from: ImageNet, the project's own, a local file, or random."""

import hashlib
import logging
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import ResNet50_Weights, resnet50

from models.bundle import sha256_of_file
from models.errors import TrunkError
from models.files import replacing
from models.manifest import TrunkProvenance
from training.trunk_choice import WANTED_FILE, check_trunk_file

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
# The weights whose features PaDiM was published with; the newer recipe scores better on ImageNet only.
IMAGENET = ResNet50_Weights.IMAGENET1K_V1
IMAGENET_LICENCE = (
    "torchvision (BSD-3-Clause); trained on ImageNet photos, whose terms some read as non-commercial"
)
# Trained on rendered pictures by `glint pretrain`; the card beside it says how, and how good it is.
SHIPPED = Path(__file__).parent / "trunks" / "glint_rendered.safetensors"
SHIPPED_LICENCE = "the project's own; trained on rendered pictures alone"


@dataclass(frozen=True)
class TrunkWeights:
    """Weights with torchvision's names, float32, without `fc.*`; None means random initialisation.

    A file may end at layer3, as the shipped one does: the classifier then has no layer4.
    """

    state: dict[str, Tensor] | None
    provenance: TrunkProvenance

    @property
    def random(self) -> bool:
        """Nothing of the network is pretrained."""
        return self.state is None


def load_trunk(choice: str) -> TrunkWeights:
    """Get trunk weights for `--trunk auto|imagenet|glint|PATH|none`.

    `auto` takes ImageNet's if they are on this machine or can be downloaded, else those that Glint ships.

    Raises:
        TrunkError: when they cannot be had, do not fit a ResNet50, or are not all finite numbers.
    """
    if choice == "none":
        log.warning(
            "The trunk starts from RANDOM weights: verdicts will be poor. Use this only to try things out."
        )
        licence = "none needed: random weights"
        return TrunkWeights(None, TrunkProvenance(name="random", sha256="", licence=licence))
    if choice == "auto":
        return _imagenet_or_shipped()
    if choice == "imagenet":
        return _imagenet()
    if choice == "glint":
        return _shipped()
    path = Path(choice)
    return _from_file(path, path.name, "as stated by whoever supplied the file; not checked")


def _imagenet_or_shipped() -> TrunkWeights:
    try:
        return _imagenet()
    except TrunkError as error:
        if not SHIPPED.is_file():
            raise
        using = "using the trunk that comes with Glint (--trunk glint)"
        if _cached_file().is_file():
            remedy = "Remove the file to have it downloaded again."
            log.warning("ImageNet's weights are damaged; %s. %s %s", using, error.problem, remedy)
        else:
            log.info("ImageNet's weights are not at hand; %s.", using)
    return _shipped()


def _imagenet() -> TrunkWeights:
    return _from_file(_imagenet_file(), f"torchvision {IMAGENET}", IMAGENET_LICENCE)


def _shipped() -> TrunkWeights:
    return _from_file(SHIPPED, SHIPPED.stem, SHIPPED_LICENCE)


def _from_file(path: Path, name: str, licence: str) -> TrunkWeights:
    state = _read_state(path)
    state = {
        key: value.float() if value.is_floating_point() else value
        for key, value in state.items()
        if not key.startswith("fc.")
    }
    _check_names(path, state)
    _check_numbers(path, state)
    return TrunkWeights(state, TrunkProvenance(name=name, sha256=sha256_of_file(path), licence=licence))


def _read_state(path: Path) -> dict[str, Tensor]:
    check_trunk_file(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, ImportError) as error:
        raise TrunkError(f"{path} cannot be read: {error}.", WANTED_FILE) from error
    except Exception as error:
        # `weights_only` refuses anything but tensors with an UnpicklingError of its own module.
        raise TrunkError(
            f"{path} is refused: it holds more than tensors ({type(error).__name__}).", WANTED_FILE
        ) from error
    if not isinstance(loaded, dict) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise TrunkError(f"{path} holds something other than a state dict.", WANTED_FILE)
    return loaded


def _check_names(path: Path, state: dict[str, Tensor]) -> None:
    expected = {key: tuple(v.shape) for key, v in resnet50(weights=None).state_dict().items()}
    expected = {key: shape for key, shape in expected.items() if not key.startswith("fc.")}
    found = {key: tuple(value.shape) for key, value in state.items()}
    if not any(key.startswith("layer4.") for key in found):
        expected = {key: shape for key, shape in expected.items() if not key.startswith("layer4.")}
    missing = sorted(expected.keys() - found.keys())
    unknown = sorted(found.keys() - expected.keys())
    reshaped = sorted(k for k in expected.keys() & found.keys() if expected[k] != found[k])
    # Counters that old files lack and that inference never reads.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    for key in expected.keys() - found.keys() - set(missing):
        state[key] = torch.zeros((), dtype=torch.long)
    faults = [("missing", missing), ("unknown", unknown), ("of another shape", reshaped)]
    words = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', …' * (len(keys) > 3)})"
        for what, keys in faults
        if keys
    ]
    if words:
        raise TrunkError(
            f"{path} does not fit a ResNet50: keys {'; '.join(words)}.",
            "Give torchvision's ResNet50 state dict, with its key names.",
        )


def _check_numbers(path: Path, state: dict[str, Tensor]) -> None:
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise TrunkError(
                f"{path} holds numbers that are not finite: NaN or infinity in {key}.",
                "Copy the file again from where it came, or train the trunk again.",
            )


def _imagenet_file() -> Path:
    target = _cached_file()
    if not target.is_file():
        _download(str(IMAGENET.url), target)
    return target


def _cached_file() -> Path:
    """Where torchvision keeps ImageNet's weights, once they have been downloaded."""
    return Path(torch.hub.get_dir()) / "checkpoints" / str(IMAGENET.url).rsplit("/", 1)[1]


def _download(url: str, target: Path) -> None:
    response = _connect(url)
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        with replacing(target) as partial:
            with response, partial.open("wb") as stream, Progress(transient=True) as progress:
                total = int(response.headers.get("Content-Length", 0)) or None
                task = progress.add_task("ImageNet weights", total=total)
                while block := response.read(1 << 20):
                    stream.write(block)
                    digest.update(block)
                    progress.advance(task, len(block))
            # torchvision ends the name of each file with the first digits of its sha256.
            if not digest.hexdigest().startswith(target.stem.rsplit("-", 1)[1]):
                raise _offline(url, "the checksum of what arrived is wrong")
    except OSError as error:
        raise _offline(url, str(error)) from error


def _connect(url: str) -> HTTPResponse:
    """Open `url`, or give up after a few seconds: looking up a name offline can hang for far longer."""
    opened: list[HTTPResponse] = []
    failed: list[str] = []

    def attempt() -> None:
        try:
            opened.append(urllib.request.urlopen(url, timeout=CONNECT_SECONDS))  # noqa: S310 - torchvision's https
        except (urllib.error.URLError, OSError) as error:
            failed.append(str(getattr(error, "reason", error)))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS + 1.0)
    if not opened:
        raise _offline(url, failed[0] if failed else "no answer in time")
    return opened[0]


def _offline(url: str, reason: str) -> TrunkError:
    return TrunkError(
        f"torchvision's ImageNet weights are not on this machine and could not be downloaded: {reason}.",
        f"Fetch {url} on a machine that is online and pass it with --trunk FILE, "
        "or use --trunk glint, which comes with Glint.",
    )
