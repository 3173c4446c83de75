"""An inspector: one loaded bundle that turns photos into answers. The whole path but HTTP and queueing."""

import math
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.answer import AnomalyOpinion, ClassifierOpinion, ImageFacts, Inspection
from models.bundle import Bundle, GoldenResult
from models.decision import INVALID, decide
from models.errors import BundleError
from models.overlay import draw_overlay
from models.photo import Photo, PhotoLimits, decode_photo
from models.preprocessing import Placement, map_on_photo
from models.regions import find_regions
from models.session import Device, OpenSession, open_session

# How far an answer may be from the one recorded when the bundle was made (fp32, any provider).
GOLDEN_TOLERANCE = 5e-3
PROBABILITY_TOLERANCE = 1e-2
ANOMALY_TOLERANCE = 2e-2  # relative; a GPU's TF32 keeps about three digits

OUTPUTS = ("probabilities", "anomaly_map", "anomaly_score")


@dataclass(frozen=True)
class Prepared:
    """A decoded photo, and what of it the model sees: `tensor` uint8 [H, W, 3], RGB."""

    photo: Photo
    tensor: npt.NDArray[np.uint8]
    place: Placement
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outputs:
    """What the graph gives for one photo: probabilities f32 [C], anomaly_map f32 [h, w], anomaly_score."""

    probabilities: npt.NDArray[np.float32]
    anomaly_map: npt.NDArray[np.float32]
    anomaly_score: float


class Inspector:
    """Inspects photos of one part with one bundle. Safe to call from several threads."""

    def __init__(self, bundle: Bundle, opened: OpenSession) -> None:
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.provider = opened.provider
        self.provider_fallback = opened.fallback
        self._session = opened.session
        self._check_graph()

    @classmethod
    def load(cls, path: Path, device: Device = "auto", threads: int | None = None) -> "Inspector":
        """Open and verify the bundle at `path` and its graph on `device`.

        Raises:
            BundleError: when the bundle cannot be trusted.
            DeviceError: when `cuda` is asked for and does not run.
        """
        bundle = Bundle.open(path)
        graph = bundle.file(bundle.manifest.variants["fp32"].file)
        return cls(bundle, open_session(graph, device, threads))

    def prepare(self, data: bytes, limits: PhotoLimits | None = None) -> Prepared:
        """Decode and resize an encoded photo.

        Raises:
            PhotoError: when it cannot be inspected.
        """
        preprocessing = self.manifest.preprocessing
        started = time.perf_counter()
        photo = decode_photo(data, white_level=preprocessing.white_level, limits=limits)
        decoded = time.perf_counter()
        tensor = preprocessing.apply(photo.pixels)
        place = preprocessing.place(photo.height, photo.width)
        done = time.perf_counter()
        timings = {"decode": 1e3 * (decoded - started), "resize": 1e3 * (done - decoded)}
        return Prepared(photo, tensor, place, timings)

    def run(self, batch: npt.NDArray[np.uint8]) -> list[Outputs]:
        """Run the graph on uint8 [N, H, W, 3], RGB, at the model's size."""
        probabilities, maps, scores = self._session.run(OUTPUTS, {"image": batch})
        return [
            Outputs(p, m, float(s)) for p, m, s in zip(probabilities, maps, scores.reshape(-1), strict=True)
        ]

    def answer(
        self,
        prepared: Prepared,
        outputs: Outputs,
        *,
        serial: str | None = None,
        camera: str | None = None,
        inspection_id: str | None = None,
        timings_ms: dict[str, float] | None = None,
    ) -> Inspection:
        """Decide over one photo and find its defect regions. Outputs that are not finite give `invalid`."""
        started = time.perf_counter()
        manifest, photo = self.manifest, prepared.photo
        probabilities = [float(p) for p in outputs.probabilities]
        score = outputs.anomaly_score
        finite = bool(np.isfinite(outputs.anomaly_map).all())
        decision = decide(probabilities, manifest.classes, score if finite else math.nan, manifest.limits)
        valid = decision.verdict != INVALID
        regions = []
        if valid:
            regions = find_regions(self.photo_map(prepared, outputs), manifest.heatmap.limit, prepared.place)
        timings = {**prepared.timings_ms, **(timings_ms or {})}
        timings["decide"] = 1e3 * (time.perf_counter() - started)
        return Inspection(
            id=inspection_id or uuid.uuid4().hex,
            verdict=decision.verdict,
            score=decision.score,
            needs_review=decision.needs_review,
            review_reasons=list(decision.review_reasons),
            rules=list(decision.rules),
            classifier=ClassifierOpinion(
                probabilities=dict(zip(manifest.classes, probabilities, strict=True)) if valid else {},
                defect_probability=decision.defect_probability,
                limit=manifest.limits.classifier,
            ),
            anomaly=AnomalyOpinion(score=score if valid else None, limit=manifest.limits.anomaly),
            regions=regions,
            part=manifest.part,
            serial=serial,
            camera=camera,
            bundle_version=manifest.version,
            provider=self.provider,
            provider_fallback=self.provider_fallback,
            image=ImageFacts(
                width=photo.width,
                height=photo.height,
                sha256=photo.sha256,
                media_type=photo.media_type,
                bit_depth=photo.bit_depth,
                letterboxed=prepared.place.letterboxed,
            ),
            timings_ms={stage: round(ms, 3) for stage, ms in timings.items()},
        )

    def photo_map(self, prepared: Prepared, outputs: Outputs) -> npt.NDArray[np.float32]:
        """The anomaly map over the photo itself: float32 [h, w] at about the model's scale."""
        size = (self.manifest.preprocessing.height, self.manifest.preprocessing.width)
        return map_on_photo(outputs.anomaly_map, size, prepared.place)

    def overlay(self, prepared: Prepared, outputs: Outputs) -> npt.NDArray[np.uint8]:
        """The heatmap overlay, uint8 RGB, at the photo's aspect."""
        return draw_overlay(prepared.photo.pixels, self.photo_map(prepared, outputs), self.manifest.heatmap)

    def inspect(self, data: bytes, limits: PhotoLimits | None = None) -> tuple[Inspection, Prepared, Outputs]:
        """Decode, run and decide over one photo.

        Raises:
            PhotoError: when it cannot be inspected.
        """
        prepared = self.prepare(data, limits)
        started = time.perf_counter()
        outputs = self.run(prepared.tensor[None])[0]
        timings = {"inference": 1e3 * (time.perf_counter() - started)}
        return self.answer(prepared, outputs, timings_ms=timings), prepared, outputs

    def check_golden(self) -> list[str]:
        """Inspect the golden photos; return what differs from the recorded results, empty when all agree.

        Raises:
            BundleError: when the golden photos or their recorded results cannot be read.
        """
        goldens = self.bundle.golden_results()
        if not goldens:
            return ["there are no golden photos, so nothing can be compared"]
        differences = []
        for golden in goldens:
            answer, _, outputs = self.inspect(self.bundle.file(golden.file).read_bytes())
            difference = _difference(golden, answer, outputs)
            if difference:
                differences.append(f"{golden.file}: {difference}")
        return differences

    def _check_graph(self) -> None:
        remedy = "Train the bundle again with `glint train`."
        size = [self.manifest.preprocessing.height, self.manifest.preprocessing.width, 3]
        found = [list(node.shape[1:]) for node in self._session.get_inputs()]
        if found != [size]:
            raise BundleError(
                f"The graph of {self.bundle.path} takes {found}, but its manifest says {size}.", remedy
            )
        classes = {node.name: node.shape[-1] for node in self._session.get_outputs()}
        if not set(OUTPUTS) <= set(classes) or classes["probabilities"] != len(self.manifest.classes):
            raise BundleError(
                f"The graph of {self.bundle.path} gives {classes}, but {', '.join(OUTPUTS)} over "
                f"{len(self.manifest.classes)} classes are needed.",
                remedy,
            )


def _difference(golden: GoldenResult, answer: Inspection, outputs: Outputs) -> str:
    """Say what differs from the recorded result; empty when all agree."""
    if answer.verdict != golden.verdict:
        return f"{answer.verdict} instead of {golden.verdict}"
    if answer.score is None or abs(answer.score - golden.score) > GOLDEN_TOLERANCE:
        return f"score {answer.score} instead of {golden.score}"
    # The score follows the stronger opinion; a fault in the weaker one would not show in it.
    if len(outputs.probabilities) != len(golden.probabilities) or not np.allclose(
        outputs.probabilities, golden.probabilities, rtol=0.0, atol=PROBABILITY_TOLERANCE
    ):
        return f"probabilities {outputs.probabilities.tolist()} instead of {golden.probabilities}"
    if not math.isclose(outputs.anomaly_score, golden.anomaly_score, rel_tol=ANOMALY_TOLERANCE):
        return f"anomaly score {outputs.anomaly_score} instead of {golden.anomaly_score}"
    return ""
