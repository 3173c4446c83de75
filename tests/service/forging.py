"""Bundles that are altered and carry checksums that say they are not."""

from pathlib import Path

from models.bundle import Bundle, sha256_of_file, write_manifest


def forge(bundle: Path, file: str, old: str, new: str) -> None:
    """Alter a file of a bundle, and its checksum with it."""
    path = bundle / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    manifest = Bundle.open(bundle, verify=False).manifest
    files = {**manifest.files, file: sha256_of_file(path)}
    write_manifest(bundle, manifest.model_copy(update={"files": files}))
