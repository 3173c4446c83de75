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
from models.files import write_whole
from models.manifest import SCHEMA_VERSION, Manifest, checksum_of

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
SPLITS = "splits.json"
GOLDEN = "golden"
GOLDEN_RESULTS = "golden/expected.json"

# How many bundles an error names.
_NAMED = 5

_Record = TypeVar("_Record", bound=BaseModel)

_RETRAIN = "Copy the bundle again from where it was made, or train it again with `glint train`."


class GoldenOutcome(BaseModel):
    """What one graph gave for a golden photo when the bundle was made, on the CPU."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: str
    score: float
    probabilities: list[float]
    anomaly_score: float


class GoldenResult(GoldenOutcome):
    """A golden photo and what it gave in fp32; `variants` holds the same by precision, where it differs."""

    file: str
    label: str
    variants: dict[str, GoldenOutcome] = {}

    def of(self, precision: str) -> GoldenOutcome:
        """What a graph must give: its own record, or fp32's if it has none."""
        return self.variants.get(precision, self)


class SplitRecord(BaseModel):
    """Which split a photo went to, by the sha256 of its bytes and of its pixels (empty if not known)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    pixels_sha256: str = ""
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
            raise _no_bundle_at(path) from None
        except (OSError, ValueError, RecursionError) as error:
            raise BundleError(f"{manifest_path} cannot be read: {error}.", _RETRAIN) from error
        found = raw.get("schema_version") if isinstance(raw, dict) else None
        if found != SCHEMA_VERSION:
            raise BundleError(
                f"{manifest_path} has schema version {found}; this Glint reads version {SCHEMA_VERSION}.",
                "Install the Glint that made it, or train it again with `glint train`.",
            )
        if raw.get("checksum") != checksum_of(raw):
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

    def read(self, name: str) -> bytes:
        """The bytes of a file the manifest lists.

        Raises:
            BundleError: when it is not listed, cannot be read, or was altered.
        """
        path = self.file(name)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}.", _RETRAIN) from error
        if hashlib.sha256(data).hexdigest() != self.manifest.files[name]:
            raise BundleError(f"{path} was altered: its checksum is not the recorded one.", _RETRAIN)
        return data

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
    """Write the manifest, whole or not at all: the step that completes a bundle.

    Returns:
        The manifest with the checksum that was written.
    """
    checksum = checksum_of(json.loads(manifest.model_dump_json()))
    manifest = manifest.model_copy(update={"checksum": checksum})
    text = manifest.model_dump_json(indent=2) + "\n"
    write_whole(folder / MANIFEST, text.encode())
    return manifest


@dataclass(frozen=True)
class FoundBundles:
    """The newest complete bundle of each part, and why there is none that may be used of the other parts.

    `unreadable` holds the newest bundles of those parts of which it could be found: older ones lie beside it.
    """

    paths: dict[str, Path]
    failures: dict[str, BundleError]
    unreadable: dict[str, Path]


def find_bundles(root: Path) -> dict[str, Path]:
    """Find the newest complete bundle of each part: `{part: path}`; see `survey_bundles`.

    Raises:
        BundleError: when there is none, or the newest of a part cannot be read.
    """
    found = survey_bundles(root)
    for failure in found.failures.values():
        raise failure
    return found.paths


def survey_bundles(root: Path) -> FoundBundles:
    """Find the newest complete bundle of each part, and the parts whose newest one cannot be read.

    `root` may hold parts (`root/<part>/<version>`), be one part's folder, or be one bundle.
    Versions are compared by name; `glint train` names them by time. One that cannot be read is passed
    over where a newer one lies beside it; an older one never stands in for it. Its folder names its part.

    Raises:
        BundleError: when there are none at all.
    """
    newest: dict[str, Path] = {}
    failures: dict[str, BundleError] = {}
    unreadable: dict[str, Path] = {}
    for path in sorted(_folders_of_bundles(root, failures), key=lambda path: path.name, reverse=True):
        if any(newer.parent == path.parent for newer in unreadable.values()):
            continue
        try:
            newest.setdefault(Bundle.open(path, verify=False).manifest.part, path)
        except BundleError as error:
            if any(newer.parent == path.parent for newer in newest.values()):
                log.warning("An older bundle is passed over: %s", error)
            else:
                part = path.absolute().parent.name
                failures[part], unreadable[part] = error, path
    if not newest and not failures:
        raise BundleError(
            f"{root} holds no complete bundle.", "Train one: `glint train PHOTOS --part NAME --bundles DIR`."
        )
    usable = {part: path for part, path in newest.items() if part not in failures}
    return FoundBundles(usable, failures, unreadable)


def _no_bundle_at(path: Path) -> BundleError:
    """What to say of a folder without a manifest: which bundles lie in it, if any do."""
    inside = sorted(_folders_of_bundles(path, {}), key=lambda folder: folder.name, reverse=True)
    if not inside:
        return BundleError(
            f"{path} is not a complete bundle: it has no {MANIFEST}.",
            "Name a folder such as bundles/<part>/<version>, or train one with `glint train`.",
        )
    names = [folder.relative_to(path).as_posix() for folder in inside]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return BundleError(
        f"{path} is not a bundle, it holds bundles: {', '.join(names[:_NAMED])}{more}.",
        f"Name one of them, for example the newest: {inside[0]}.",
    )


def _folders_of_bundles(root: Path, failures: dict[str, BundleError]) -> list[Path]:
    """The folders with a manifest, be it unreadable, at most two levels below `root`."""
    folders = [root]
    for part in _folders_in(root, root.absolute().name, failures):
        folders += [part, *_folders_in(part, part.name, failures)]
    return [f for f in folders if f.absolute().name not in failures and _has_manifest(f)]


def _folders_in(folder: Path, part: str, failures: dict[str, BundleError]) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(e) for e in entries if e.is_dir() and not e.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        failures[part] = BundleError(
            f"{folder} cannot be read: {error.strerror}.", "Let the service's user read it: chmod -R a+rX."
        )
        return []


def _has_manifest(folder: Path) -> bool:
    try:
        (folder / MANIFEST).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # Whoever opens it is told what is wrong.
    return True
