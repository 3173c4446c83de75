"""Inspects photos over and over with small disturbances, by the service's own path from pixels to verdict."""

from collections.abc import Sequence
from dataclasses import replace

from models.errors import PhotoError
from models.inspector import Inspector, Prepared
from models.photo import Photo, read_photo
from models.quality import refusals
from training.ahead import work_ahead
from training.data.samples import Sample, Skipped
from training.gauge.disturbances import Amplitudes, Disturbance, draw
from training.gauge.trials import Part, Trial, Way
from training.progress import track

_AS_IT_IS = Disturbance()


def simulate(
    inspector: Inspector,
    samples: Sequence[Sample],
    amplitudes: Amplitudes,
    *,
    repeats: int,
    seed: int,
    progress: bool,
) -> tuple[list[Part], list[Skipped]]:
    """Inspect each photo as it is, then `repeats` times with each kind of disturbance.

    Returns:
        The parts in the order of the samples, and the photos that can no longer be read.
    """
    parts, skipped = [], []
    for sample in track(samples, "Inspecting over and over", enabled=progress):
        try:
            photo = read_photo(sample.path, white_level=inspector.manifest.preprocessing.white_level)
        except PhotoError as error:
            skipped.append(Skipped(sample.name, error.problem))
            continue
        parts.append(_repeat(inspector, sample, photo, amplitudes, repeats, seed))
    return parts, skipped


def _repeat(
    inspector: Inspector, sample: Sample, photo: Photo, amplitudes: Amplitudes, repeats: int, seed: int
) -> Part:
    place = inspector.manifest.preprocessing.place(photo.height, photo.width)

    def prepare(disturbance: Disturbance) -> Prepared:
        return inspector.prepare_photo(replace(photo, pixels=disturbance.apply(photo.pixels, place)))

    drawn = draw(amplitudes, repeats, seed=seed, content=sample.content)
    everything = [_AS_IT_IS, *(each for own in drawn.values() for each in own)]
    found = (_inspect(inspector, prepared) for prepared in work_ahead(prepare, everything))
    reference = next(found)
    trials: dict[Way, tuple[Trial, ...]] = {
        kind: tuple(next(found) for _ in own) for kind, own in drawn.items()
    }
    return Part(sample.name, sample.label, reference, trials, (sample,))


def _inspect(inspector: Inspector, prepared: Prepared) -> Trial:
    # As in the service, what the quality gate refuses is not run.
    outputs = None if refusals(prepared.quality) else inspector.run(prepared.tensor[None])[0]
    return Trial.of(inspector.answer(prepared, outputs))
