"""An inspector: one loaded bundle that turns photos into answers. The whole path but HTTP and queueing."""

import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.answer import ImageFacts, Inspection, PartPose, Region, inspection_of
from models.bundle import Bundle
from models.cuda.options import CudaSettings
from models.decision import INVALID, Decision, decide, invalid
from models.errors import BundleError
from models.formats import OverlayFormat, PhotoLimits
from models.golden import NO_GOLDEN_PHOTOS, golden_photos
from models.heat_map import HeatMap, attach_map
from models.measuring import measure
from models.opening import open_graph
from models.overlay import draw_overlay, encode_picture
from models.photo import Photo, decode_photo
from models.precision import WantedPrecision
from models.preprocessing import Placement
from models.quality import QualityGate, Reading, refusals
from models.regions import find_regions
from models.resizing import map_on_photo
from models.session import Device, OpenSession, prove_provider
from models.sight import Sight
from models.variants import Choice

OUTPUTS = ("probabilities", "anomaly_map", "anomaly_score")


@dataclass(frozen=True)
class Prepared:
    """A decoded photo, and what of it the model sees: `tensor` uint8 [H, W, 3], RGB.

    `quality` is what was read off it; where a reading is not ok, the photo gets no verdict.
    """

    photo: Photo
    tensor: npt.NDArray[np.uint8]
    place: Placement
    quality: tuple[Reading, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outputs:
    """What the graph gives for one photo: probabilities f32 [C], anomaly_map f32 [h, w], anomaly_score."""

    probabilities: npt.NDArray[np.float32]
    anomaly_map: npt.NDArray[np.float32]
    anomaly_score: float


class Inspector:
    """Inspects photos of one part with one bundle. Safe to call from several threads."""

    def __init__(self, bundle: Bundle, opened: OpenSession, variant: Choice | None = None) -> None:
        """`variant` says which of the bundle's graphs was opened, and why; None for fp32."""
        self.bundle = bundle
        self.manifest = bundle.manifest
        self.sight = Sight.of(bundle)
        self.variant = variant or Choice("fp32", self.manifest.variants["fp32"].file, "it was asked for")
        self.provider = opened.provider
        self.provider_fallback = opened.fallback
        self.engines = opened.engines
        self._session = opened.session
        self._runs = opened.runs
        self._check_graph()

    @classmethod
    def load(
        cls,
        path: Path,
        device: Device = "auto",
        threads: int | None = None,
        *,
        cuda: CudaSettings | None = None,
        precision: WantedPrecision = "auto",
    ) -> "Inspector":
        """Open and verify the bundle at `path` and one of its graphs on `device`.

        Args:
            path: of the bundle.
            device: where it is to run.
            threads: of the CPU; None for one a core.
            cuda: how a GPU is used.
            precision: which graph; `auto` takes the fastest that agrees with fp32.

        Raises:
            BundleError: when the bundle cannot be trusted.
            DeviceError: when `cuda` is asked for and does not run.
            PrecisionError: when the bundle has no such graph, or the device cannot run it.
        """
        bundle = Bundle.open(path)
        opened, choice = open_graph(bundle, device, threads, cuda=cuda, precision=precision, outputs=OUTPUTS)
        return cls(bundle, opened, choice)

    def prepare(self, data: bytes, limits: PhotoLimits | None = None) -> Prepared:
        """Decode and resize an encoded photo.

        Raises:
            PhotoError: when it cannot be inspected.
        """
        started = time.perf_counter()
        photo = decode_photo(data, white_level=self.manifest.preprocessing.white_level, limits=limits)
        decode = 1e3 * (time.perf_counter() - started)
        prepared = self.prepare_photo(photo)
        return replace(prepared, timings_ms={"decode": decode, **prepared.timings_ms})

    def prepare_photo(self, photo: Photo) -> Prepared:
        """Resize a decoded photo, lay it on the template if there is one, and read its quality off it."""
        started = time.perf_counter()
        seen = self.sight.resized(photo.pixels)
        resized = time.perf_counter()
        timings = {"resize": 1e3 * (resized - started)}
        if self.sight.template is not None:
            seen = self.sight.laid(seen)
            timings["register"] = 1e3 * (time.perf_counter() - resized)
        ready = time.perf_counter()
        gate = self.manifest.quality or QualityGate(limits={})
        readings = measure(
            seen.as_it_lies,
            seen.place,
            bit_depth=photo.bit_depth,
            thumbnail=gate.thumbnail,
            registration=seen.correlation,
        )
        quality = tuple(gate.judge(readings))
        timings["quality"] = 1e3 * (time.perf_counter() - ready)
        return Prepared(photo, seen.tensor, seen.place, quality, timings)

    @property
    def keeps_to_a_thread(self) -> bool:
        """Whether `warm_up` and later runs must come from one and the same thread, as on a GPU."""
        return self._runs is not None

    def warm_up(self, size: int) -> None:
        """Run a batch of `size` once; on a GPU, tune, capture and prove it.

        Raises:
            DeviceError: when a GPU cannot run it.
        """
        if self._runs is not None:
            self._runs.prepare(size)
        else:
            self.run(np.zeros((size, *self.manifest.preprocessing.size, 3), dtype=np.uint8))

    def stage(self, photos: Sequence[npt.NDArray[np.uint8]], size: int) -> npt.NDArray[np.uint8] | None:
        """Copy photos, uint8 [H, W, 3], to where the GPU takes a batch of `size` from; give that batch.

        None where there is no such place: on the CPU, and before `warm_up`.
        """
        return None if self._runs is None else self._runs.stage(photos, size)

    def run(self, batch: npt.NDArray[np.uint8]) -> list[Outputs]:
        """Run the graph on uint8 [N, H, W, 3], RGB, at the model's size.

        Raises:
            DeviceError: when the session no longer runs on the provider it was opened on.
            Exception: whatever ONNX Runtime raises.
        """
        found = self._runs.run(batch) if self._runs else self._session.run(OUTPUTS, {"image": batch})
        probabilities, maps, scores = found
        prove_provider(self._session, self.provider)
        return [
            Outputs(p, m, float(s)) for p, m, s in zip(probabilities, maps, scores.reshape(-1), strict=True)
        ]

    def answer(
        self,
        prepared: Prepared,
        outputs: Outputs | None,
        *,
        serial: str | None = None,
        camera: str | None = None,
        inspection_id: str | None = None,
        timings_ms: dict[str, float] | None = None,
    ) -> Inspection:
        """Decide over one photo and find its defect regions.

        The verdict is `invalid` for a photo outside the quality gate, and for outputs that are not finite
        numbers in range, or not of the manifest's shape. `outputs` are None for a photo that was not run,
        since it is outside the gate.
        """
        started = time.perf_counter()
        manifest, photo = self.manifest, prepared.photo
        decision = self._decide(prepared, outputs)
        regions: list[Region] = []
        probabilities, score = {}, None
        if outputs is not None and decision.verdict != INVALID:
            given = (float(p) for p in outputs.probabilities)
            probabilities, score = dict(zip(manifest.classes, given, strict=True)), outputs.anomaly_score
            regions = find_regions(self.photo_map(prepared, outputs), manifest.heatmap.limit, prepared.place)
        timings = {**prepared.timings_ms, **(timings_ms or {})}
        timings["decide"] = 1e3 * (time.perf_counter() - started)
        return inspection_of(
            decision,
            manifest.limits,
            probabilities,
            score,
            id=inspection_id or uuid.uuid4().hex,
            regions=regions,
            quality=list(prepared.quality),
            part=manifest.part,
            serial=serial,
            camera=camera,
            bundle_version=manifest.version,
            provider=self.provider,
            provider_fallback=self.provider_fallback,
            precision=self.variant.precision,
            image=ImageFacts(
                width=photo.width,
                height=photo.height,
                sha256=photo.sha256,
                media_type=photo.media_type,
                bit_depth=photo.bit_depth,
                letterboxed=prepared.place.letterboxed,
                pose=self._pose(prepared.place),
            ),
            timings_ms={stage: round(ms, 3) for stage, ms in timings.items()},
        )

    def _pose(self, place: Placement) -> PartPose | None:
        height, width = self.manifest.preprocessing.size
        return place.pose and PartPose(matrix=place.pose, height=height, width=width)

    def _decide(self, prepared: Prepared, outputs: Outputs | None) -> Decision:
        if unfit := refusals(prepared.quality):
            return invalid(unfit)
        if outputs is None:
            return invalid(["the model was not run"])
        manifest = self.manifest
        if (
            outputs.probabilities.shape != (len(manifest.classes),)
            or outputs.anomaly_map.shape != manifest.grid
        ):
            return invalid(["the model's outputs are not of the shape in the manifest"])
        finite = bool(np.isfinite(outputs.anomaly_map).all())
        score = outputs.anomaly_score if finite else math.nan
        return decide([float(p) for p in outputs.probabilities], manifest.classes, score, manifest.limits)

    def photo_map(self, prepared: Prepared, outputs: Outputs) -> npt.NDArray[np.float32]:
        """The anomaly map over the photo itself: float32 [h, w] at about the model's scale."""
        return map_on_photo(outputs.anomaly_map, self.manifest.preprocessing.size, prepared.place)

    def overlay(self, prepared: Prepared, outputs: Outputs) -> npt.NDArray[np.uint8]:
        """The heatmap overlay, uint8 RGB, at the photo's aspect."""
        return draw_overlay(prepared.photo.pixels, self.photo_map(prepared, outputs), self.manifest.heatmap)

    def encoded_overlay(self, prepared: Prepared, outputs: Outputs, form: OverlayFormat = "jpeg") -> bytes:
        """The heatmap overlay as a file, with the raw map inside it; see `models.heat_map`."""
        heat = HeatMap(
            outputs.anomaly_map, self.manifest.preprocessing.size, prepared.place, self.manifest.heatmap
        )
        return attach_map(encode_picture(self.overlay(prepared, outputs), form), form, heat)

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
            BundleError, PhotoError: when the golden photos or their recorded results cannot be read.
        """
        goldens = golden_photos(self.bundle)
        if not goldens:
            return [NO_GOLDEN_PHOTOS]
        differences = []
        for golden in goldens:
            answer, _, outputs = self.inspect(golden.data)
            differences.append(golden.compare(answer, outputs))
        return [difference for difference in differences if difference]

    def _check_graph(self) -> None:
        remedy = "Train the bundle again with `glint train`."
        size = [*self.manifest.preprocessing.size, 3]
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
