"""The bundle on disk: the only contract between training and service."""

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import BundleError
from models.manifest import SCHEMA_VERSION, Manifest, checksum_of

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
SPLITS = "splits.json"
GOLDEN = "golden"
GOLDEN_RESULTS = "golden/expected.json"

_Record = TypeVar("_Record", bound=BaseModel)

_RETRAIN = "Copy the bundle again from where it was made, or train it again with `glint train`."


class GoldenResult(BaseModel):
    """What a golden photo gave when the bundle was made (fp32 on the CPU)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    label: str
    verdict: str
    score: float
    probabilities: list[float]
    anomaly_score: float


class SplitRecord(BaseModel):
    """Which split a photo went to, by the sha256 of its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    file: str
    label: str
    group: str
    split: str


@dataclass(frozen=True)
class Bundle:
    """A complete bundle directory and its manifest."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path, *, verify: bool = True) -> "Bundle":
        """Read the bundle at `path`; with `verify`, check every file against its recorded sha256.

        Raises:
            BundleError: when it is missing, incomplete, of another schema, or altered (its limits included).
        """
        manifest_path = path / MANIFEST
        try:
            raw = json.loads(manifest_path.read_bytes())
        except FileNotFoundError:
            raise BundleError(
                f"{path} is not a complete bundle: it has no {MANIFEST}.",
                "Name a folder such as bundles/<part>/<version>, or train one with `glint train`.",
            ) from None
        except (OSError, ValueError, RecursionError) as error:
            raise BundleError(f"{manifest_path} cannot be read: {error}.", _RETRAIN) from error
        found = raw.get("schema_version") if isinstance(raw, dict) else None
        if found != SCHEMA_VERSION:
            raise BundleError(
                f"{manifest_path} has schema version {found}; this Glint reads version {SCHEMA_VERSION}.",
                "Install the Glint that made it, or train it again with `glint train`.",
            )
        # Bundles that came before the quality gate carry no checksum of their manifest.
        if raw.keys() & {"checksum", "quality"} and raw.get("checksum") != checksum_of(raw):
            raise BundleError(
                f"{manifest_path} was altered: its checksum is not the one it carries.", _RETRAIN
            )
        try:
            manifest = Manifest.model_validate(raw)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "the whole"
            problem = f"{manifest_path} is not valid: {field}: {first['msg']}."
            raise BundleError(problem, _RETRAIN) from error
        bundle = cls(path, manifest)
        if verify:
            bundle.verify_files()
        return bundle

    def file(self, name: str) -> Path:
        """Path of a file the manifest lists.

        Raises:
            BundleError: when the manifest does not list it, or it points outside the bundle.
        """
        if name not in self.manifest.files:
            raise BundleError(f"{self.path / MANIFEST} lists no file {name!r}.", _RETRAIN)
        inside = PurePosixPath(name)
        path = self.path / inside
        escapes = inside.is_absolute() or ".." in inside.parts
        if escapes or not path.resolve().is_relative_to(self.path.resolve()):
            raise BundleError(
                f"{self.path / MANIFEST} lists {name!r}, which lies outside the bundle.", _RETRAIN
            )
        return path

    def verify_files(self) -> None:
        """Check that every listed file is there with its recorded sha256.

        Raises:
            BundleError: naming the first file that is missing or altered.
        """
        for name, expected in self.manifest.files.items():
            path = self.file(name)
            if not path.is_file():
                raise BundleError(f"{path} is missing from the bundle.", _RETRAIN)
            if sha256_of_file(path) != expected:
                raise BundleError(f"{path} was altered: its checksum is not the recorded one.", _RETRAIN)

    def golden_results(self) -> list[GoldenResult]:
        """The golden photos with the results recorded when the bundle was made.

        Raises:
            BundleError: when the record cannot be read.
        """
        return self._records(GOLDEN_RESULTS, GoldenResult)

    def splits(self) -> list[SplitRecord]:
        """Which photo went to which split.

        Raises:
            BundleError: when the record cannot be read.
        """
        return self._records(SPLITS, SplitRecord)

    def _records(self, name: str, kind: type[_Record]) -> list[_Record]:
        path = self.file(name)
        try:
            return [kind.model_validate(item) for item in json.loads(path.read_bytes())]
        except (OSError, ValueError, TypeError) as error:
            raise BundleError(f"{path} cannot be read: {error}.", _RETRAIN) from error


def sha256_of_file(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Write the manifest under a temporary name, sync, and rename: the step that completes a bundle.

    Returns:
        The manifest with the checksum that was written.
    """
    checksum = checksum_of(json.loads(manifest.model_dump_json()))
    manifest = manifest.model_copy(update={"checksum": checksum})
    text = manifest.model_dump_json(indent=2) + "\n"
    temporary = folder / f".{MANIFEST}.partial"
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(folder / MANIFEST)
    finally:
        temporary.unlink(missing_ok=True)
    return manifest


def find_bundles(root: Path) -> dict[str, Path]:
    """Find the newest complete bundle of each part: `{part: path}`.

    `root` may hold parts (`root/<part>/<version>`), be one part's folder, or be one bundle.
    Versions are compared by name; `glint train` names them by time. One that cannot be read is passed
    over where a newer one lies beside it.

    Raises:
        BundleError: when there is none, or the newest in a folder cannot be read.
    """
    manifests = [root / MANIFEST] if (root / MANIFEST).is_file() else []
    manifests += sorted(root.glob(f"*/{MANIFEST}")) + sorted(root.glob(f"*/*/{MANIFEST}"))
    paths = [manifest.parent for manifest in manifests if not _hidden(manifest, root)]
    newest: dict[str, Path] = {}
    for path in sorted(paths, key=lambda path: path.name, reverse=True):
        try:
            newest.setdefault(Bundle.open(path, verify=False).manifest.part, path)
        except BundleError as error:
            if not any(newer.parent == path.parent for newer in newest.values()):
                raise
            log.warning("An older bundle is passed over: %s", error)
    if not newest:
        raise BundleError(
            f"{root} holds no complete bundle.", "Train one: `glint train PHOTOS --part NAME --bundles DIR`."
        )
    return newest


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts[:-1])
