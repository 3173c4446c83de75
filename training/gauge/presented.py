"""Parts that were put before the camera more than once: the photos of a group are repeats of one part."""

from collections import Counter
from pathlib import Path

from models.decision import CLEAN
from models.errors import DatasetError
from models.inspector import Inspector
from training.data.samples import Dataset, Sample, Skipped
from training.evaluation import inspect_samples
from training.gauge.trials import Part, Trial

_REMEDY = (
    "Photograph parts anew, take each away and present it again, and say in groups.csv (`file,group`) which "
    "photos show the same part; or leave out --presented, and repeats are simulated."
)


def find_presented(dataset: Dataset, root: Path) -> tuple[dict[str, list[Sample]], list[Skipped]]:
    """The parts with several photos, by their group, and the groups that cannot be used.

    Files that hold the same photo are one photo. The photos of a part must agree on whether it is good.

    Raises:
        DatasetError: when no part has several photos.
    """
    groups: dict[str, dict[str, Sample]] = {}
    for sample in dataset.samples:
        groups.setdefault(sample.group, {}).setdefault(sample.content, sample)
    several = {name: list(own.values()) for name, own in groups.items() if len(own) > 1}
    if not several:
        raise DatasetError(
            f"{root} ({dataset.layout}) names no part with more than one photo: each of its "
            f"{len(dataset.samples)} photos stands alone.",
            _REMEDY,
        )
    parts, skipped = {}, []
    for name, own in several.items():
        if len({sample.label == CLEAN for sample in own}) > 1:
            reason = "some photos of this part are labelled good, others defective: " + ", ".join(
                sample.name for sample in own
            )
            skipped.append(Skipped(f"group {name}", reason))
        else:
            parts[name] = own
    return parts, skipped


def inspect_presented(inspector: Inspector, groups: dict[str, list[Sample]], *, progress: bool) -> list[Part]:
    """Inspect every photo of every part."""
    samples = [sample for own in groups.values() for sample in own]
    records = iter(inspect_samples(inspector, samples, title="Inspecting", progress=progress))
    parts = []
    for name, own in groups.items():
        trials = tuple(Trial.of(next(records).inspection) for _ in own)
        usual = Counter(trial.outcome for trial in trials).most_common(1)[0][0]
        reference = next(trial for trial in trials if trial.outcome == usual)
        title = f"{name} ({own[0].name} and {len(own) - 1} more)"
        parts.append(Part(title, own[0].label, reference, {"presented": trials}, tuple(own)))
    return parts
