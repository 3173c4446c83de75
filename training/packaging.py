"""Making the bundle directory: whole or not at all."""

import json
import logging
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from models.bundle import MANIFEST, SPLITS, Bundle, sha256_of_file, write_manifest
from models.errors import DatasetError, UsageError
from models.manifest import (
    CalibrationReference,
    DatasetFingerprint,
    Manifest,
    Registration,
    TrunkProvenance,
    Variant,
)
from models.preprocessing import Preprocessing
from models.quality import QualityGate
from training.config import TrainConfig
from training.data.samples import Dataset
from training.data.splits import Split
from training.limits import ChosenLimits

if TYPE_CHECKING:
    # It loads torch, which `glint limits` does without.
    from training.variants.write import WrittenVariants

_PARTIAL = ".partial-"
_LIBRARIES = ("glint-inspection", "torch", "torchvision", "onnx", "onnxruntime-gpu", "numpy", "pillow")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Findings:
    """All that training found out and the manifest records, but for the figures on test photos.

    `learnt` is what the manifest says of training beside the settings it was asked for.
    """

    config: TrainConfig
    dataset: Dataset
    split: Split
    classes: Sequence[str]
    preprocessing: Preprocessing
    trunk: TrunkProvenance
    chosen: ChosenLimits
    agreement: dict[str, float]
    quality: QualityGate
    calibration: CalibrationReference
    registration: Registration | None = None
    learnt: Mapping[str, Any] = field(default_factory=dict)


def check_destination(bundles: Path, part: str) -> None:
    """Refuse a place for bundles that cannot be written to, before minutes go into training; make nothing.

    Raises:
        UsageError: naming the folder.
    """
    home = bundles / part
    nearest = next((path for path in (home, *home.parents) if os.path.exists(path)), Path())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        reason = "cannot be written to" if nearest.is_dir() else "is not a folder"
        raise UsageError(
            f"No bundle can be made in {home}: {nearest} {reason}.", "Name another folder with --bundles."
        )


def name_leftovers(bundles: Path, part: str) -> None:
    """Warn of what trainings of this part that were killed have left behind.

    It is not removed: it may belong to a training that runs at the same time.
    """
    for folder in sorted((bundles / part).glob(f"{_PARTIAL}*")):
        log.warning("%s is left of a training that was cut off; remove it, unless one is running.", folder)


class BundleDraft:
    """A bundle in the making: a hidden folder that is renamed to its version when it is complete.

    Used as a context manager; leaving it without `publish` removes the folder.
    """

    def __init__(self, bundles: Path, part: str) -> None:
        self.part = part
        self._home = bundles / part
        self._home.mkdir(parents=True, exist_ok=True)
        self.created = datetime.now(UTC)
        self.version, self.folder = self._claim(self.created.strftime("%Y%m%d-%H%M%S"))
        self._published = False

    def __enter__(self) -> "BundleDraft":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._published:
            shutil.rmtree(self.folder, ignore_errors=True)

    def write_splits(self, split: Split) -> None:
        """Write which photo went where."""
        text = json.dumps([record.model_dump() for record in split.records()], indent=1)
        (self.folder / SPLITS).write_text(text + "\n", encoding="utf-8")

    def manifest(
        self,
        findings: Findings,
        metrics: dict[str, Any] | None = None,
        variants: "WrittenVariants | None" = None,
    ) -> Manifest:
        """The manifest over the files that are in the folder now; `variants` are those beside fp32."""
        preprocessing, stride = findings.preprocessing, findings.config.padim.stride
        return Manifest(
            part=self.part,
            version=self.version,
            created=self.created,
            classes=list(findings.classes),
            preprocessing=preprocessing,
            grid=(preprocessing.height // stride, preprocessing.width // stride),
            limits=findings.chosen.limits,
            limit_origins=findings.chosen.origins,
            heatmap=findings.chosen.heatmap,
            trunk=findings.trunk,
            dataset=DatasetFingerprint(
                layout=findings.dataset.layout,
                sha256=findings.dataset.fingerprint,
                photos=findings.split.counts(),
                skipped=len(findings.dataset.skipped),
            ),
            training={**findings.config.summary(), **findings.learnt},
            metrics=metrics or {},
            agreement=findings.agreement,
            libraries=_installed_libraries(),
            variants={
                "fp32": Variant(file="inspector.onnx", precision="fp32"),
                **(variants.written if variants else {}),
            },
            left_out=variants.left_out if variants else {},
            quality=findings.quality,
            registration=findings.registration,
            calibration=findings.calibration,
            files=self.checksums(),
        )

    def publish(self, manifest: Manifest) -> Bundle:
        """Write the manifest and give the folder its final name."""
        manifest = write_manifest(self.folder, manifest)
        final = self._home / self.version
        self.folder.rename(final)
        self._published = True
        return Bundle(final, manifest)

    def checksums(self) -> dict[str, str]:
        """The sha256 of each file in the folder, but for the manifest and hidden ones."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        names = {path.relative_to(self.folder).as_posix(): path for path in files}
        return {
            name: sha256_of_file(path) for name, path in names.items() if name != MANIFEST and name[0] != "."
        }

    def _claim(self, stamp: str) -> tuple[str, Path]:
        for attempt in range(1, 1000):
            version = stamp if attempt == 1 else f"{stamp}-{attempt}"
            folder = self._home / f"{_PARTIAL}{version}"
            if (self._home / version).exists():
                continue
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return version, folder
        raise DatasetError(f"No free version name is left under {self._home}.", "Remove old bundles.")


def _installed_libraries() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        versions[name] = library_version(name)
    return versions
