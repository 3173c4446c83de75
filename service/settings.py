"""What the service can be told, by option or by environment variable (`GLINT_PORT=8080`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.cores import usable_cores
from models.cuda.options import CudaSettings
from models.precision import WantedPrecision
from service.errors import SettingsError
from service.plant_time import PlantTime, read_shifts, read_zone


class Settings(BaseSettings):
    """Settings of one service process; each is read from `GLINT_<NAME>` unless given."""

    model_config = SettingsConfigDict(env_prefix="GLINT_", frozen=True, extra="forbid")

    bundles: Path = Field(
        default=Path("bundles"), description="Folder of bundles, of one part, or one bundle."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="`cuda` refuses to start without a GPU; `auto` falls back and says so."
    )
    precision: WantedPrecision = Field(
        default="auto", description="Which graph of a bundle runs; `auto`: the fastest that agrees with fp32."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    keys: Path | None = Field(default=None, description="File of API keys; unset: anybody may do anything.")
    allow_anonymous: bool = Field(
        default=False, description="Listen on other addresses than the loopback one even without keys."
    )
    management_port: int | None = Field(
        default=None, ge=1, le=65535, description="Port that serves health and metrics only, without a key."
    )
    management_host: str = Field(default="127.0.0.1", description="Address of the management port.")
    open_health: bool = Field(
        default=False, description="Health and metrics need no key on the main port either."
    )
    gpu_id: int = Field(default=0, ge=0, description="Which GPU, as CUDA counts them.")
    gpu_memory_mb: int | None = Field(
        default=None, ge=256, description="GPU memory of one model, in MiB; unset: no limit."
    )
    cuda_graphs: bool = Field(
        default=True, description="Whether each batch size is captured as a CUDA graph and replayed."
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads of the model; unset: all cores.")
    decode_threads: int = Field(
        default_factory=usable_cores, ge=1, le=64, description="Threads that decode photos and draw overlays."
    )
    max_bytes: int = Field(default=32 * 1024 * 1024, ge=1, description="Largest photo, encoded, in bytes.")
    max_pixels: int = Field(default=64_000_000, ge=1, description="Largest photo, decoded, in pixels.")
    queue_size: int = Field(
        default=32, ge=1, description="Photos taken in at a time, from upload to answer; more are refused."
    )
    deadline_ms: int = Field(
        default=10_000, ge=1, description="Time for an answer when the request sets no X-Deadline-Ms."
    )
    max_deadline_ms: int = Field(default=60_000, ge=1, description="Longest X-Deadline-Ms that is taken.")
    stall_seconds: float = Field(
        default=30.0, gt=0, description="A batch that runs longer than this turns readiness red."
    )
    canary_seconds: float = Field(
        default=60.0, gt=0, description="Time between two runs of the golden photos of each part."
    )
    state: Path | None = Field(
        default=None,
        description="Folder that keeps which bundle is active or in the shadow, and who is signed in.",
    )
    session_hours: float = Field(
        default=12.0, gt=0, description="Time after its last use that a sign-in at the station ends."
    )
    tensorrt_cache: Path | None = Field(
        default=None, description="Folder of TensorRT's engines; unset: `tensorrt` in the state folder."
    )
    tensorrt: bool = Field(
        default=False, description="Run on TensorRT, with engines that `glint warmup` has built."
    )
    drain_seconds: float = Field(
        default=20.0, gt=0, description="Time for accepted requests to be answered after SIGTERM."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto", description="Log lines: `auto` writes text to a terminal and JSON to anything else."
    )
    max_cameras: int = Field(
        default=64, ge=1, description="Cameras told apart in metrics and drift; more count as `other`."
    )
    usual_reject_rate: float = Field(
        default=0.05, ge=0, lt=1, description="Share of rejects that is usual on this line, for drift."
    )
    archive: str = Field(
        default="archive", min_length=1, description="Folder of the archive; `none` keeps nothing."
    )
    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL or another SQLite file; unset: a file in the archive's folder."
    )
    photo_store: str | None = Field(
        default=None,
        min_length=1,
        description="Folder or s3:// URL; unset: `photos` in the archive's folder.",
    )
    archive_photos: str = Field(
        default="all", description="Photos to keep: `all`, `none`, `defects:0.05`, `defects,bracket=all`."
    )
    archive_free_bytes: int = Field(
        default=2 * 1024**3, ge=0, description="Free space below which photos are removed, clean ones first."
    )
    archive_orphan_seconds: float = Field(
        default=120.0,
        gt=0,
        description="Age at which a photo without a record is removed; longer than any deadline.",
    )
    retention_days: float | None = Field(
        default=None, gt=0, description="Age at which photos are removed; unset: only for want of space."
    )
    retention_rows: Literal["keep", "remove"] = Field(
        default="keep", description="Whether records outlive retention_days without their photos."
    )
    retention_judged: Literal["until_exported", "as_others"] = Field(
        default="until_exported",
        description="Whether photos that were judged stay until they went into a data set.",
    )
    review_sample: float = Field(
        default=0.01, ge=0, le=1, description="Share of the clean inspections that people are to review."
    )
    time_zone: str = Field(
        default="UTC", description="The plant's time zone, by its IANA name: Europe/Berlin."
    )
    shifts: str = Field(
        default="", description="When shifts begin by the plant's clock: 06:00,14:00,22:00; unset: no shifts."
    )
    idempotent_photos: bool = Field(
        default=False, description="Whether the same photo of a part and serial counts as the same request."
    )

    @field_validator("management_port")
    @classmethod
    def _of_its_own(cls, value: int | None, info: ValidationInfo) -> int | None:
        # The port is how a request shows by which way it came in, whatever the addresses.
        if value is not None and value == info.data.get("port"):
            raise ValueError("it is the port of the service itself")
        return value

    @field_validator("tensorrt")
    @classmethod
    def _engines_have_a_place(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("device") == "cpu":
            raise ValueError("TensorRT runs on a GPU, and the device is cpu")
        if value and not (info.data.get("tensorrt_cache") or info.data.get("state")):
            raise ValueError("its engines need a folder, GLINT_TENSORRT_CACHE or GLINT_STATE")
        return value

    @field_validator("time_zone")
    @classmethod
    def _a_known_zone(cls, value: str) -> str:
        read_zone(value)
        return value

    @field_validator("shifts")
    @classmethod
    def _times_of_a_day(cls, value: str) -> str:
        read_shifts(value)
        return value

    @field_validator("archive_orphan_seconds")
    @classmethod
    def _after_every_deadline(cls, value: float, info: ValidationInfo) -> float:
        # Until its deadline, a request may still give the photo its record.
        deadlines = [info.data[name] for name in ("deadline_ms", "max_deadline_ms") if name in info.data]
        if deadlines and 1e3 * value <= max(deadlines):
            raise ValueError("it must be longer than the longest deadline, GLINT_MAX_DEADLINE_MS")
        return value

    def cuda(self, *, build_engines: bool = False) -> CudaSettings:
        """How a GPU is used; `build_engines` builds what TensorRT misses, which takes minutes."""
        folder = self.tensorrt_cache or (self.state / "tensorrt" if self.state else None)
        return CudaSettings(
            device_id=self.gpu_id,
            memory_mb=self.gpu_memory_mb,
            graphs=self.cuda_graphs,
            tensorrt=folder if self.tensorrt else None,
            build_engines=build_engines,
        )

    @property
    def plant_time(self) -> PlantTime:
        """The plant's zone and shifts."""
        return PlantTime(read_zone(self.time_zone), self.time_zone, read_shifts(self.shifts))

    @classmethod
    def of(cls, **given: Any) -> "Settings":
        """Settings from what is given and not None, then the environment, then the defaults.

        Raises:
            SettingsError: naming the first setting that does not hold.
        """
        return cls.exactly({name: value for name, value in given.items() if value is not None})

    @classmethod
    def exactly(cls, values: Mapping[str, Any]) -> "Settings":
        """Settings from these values, None among them; those that are not named as in `of`.

        Raises:
            SettingsError: naming the first setting that does not hold.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise SettingsError(
                f"The setting {name} is {first['input']!r}: {first['msg']}.",
                f"Change --{name.replace('_', '-')} or the environment variable GLINT_{name.upper()}.",
            ) from error
