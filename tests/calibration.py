"""Gives a bundle the readings of calibration photos, as training does."""

from collections.abc import Iterable
from pathlib import Path

from models.bundle import write_manifest
from models.inspector import Inspector
from models.manifest import CalibrationReference

READINGS = ("brightness", "contrast", "sharpness")


def calibrate(bundle: Path, photos: Iterable[bytes]) -> None:
    """Write into the bundle's manifest what is read off these encoded photos of good parts."""
    inspector = Inspector.load(bundle, "cpu", threads=1)
    answers = [inspector.inspect(photo)[0] for photo in photos]
    readings = [{reading.name: reading.value for reading in answer.quality} for answer in answers]
    calibration = CalibrationReference(
        readings={name: [each[name] for each in readings] for name in READINGS},
        anomaly_scores=[answer.anomaly.score for answer in answers],
        defect_probabilities=[answer.classifier.defect_probability for answer in answers],
    )
    write_manifest(bundle, inspector.manifest.model_copy(update={"calibration": calibration}))
