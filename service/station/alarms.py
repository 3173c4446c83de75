"""What is wrong now: of the service as a whole, and of each camera's line."""

import time
from collections.abc import Callable
from typing import Any

from service.places import Places
from service.registry import Registry
from service.station.cameras import Cameras
from service.status import Readiness
from service.telemetry.drift_watch import DriftWatch

_FRESH_SECONDS = 1.0


class Alarms:
    """Asks all that may know of a fault; at most once a second, however many boards are open."""

    def __init__(
        self,
        registry: Registry,
        readiness: Callable[[], Readiness],
        drift: DriftWatch,
        cameras: Cameras,
        places: Places,
    ) -> None:
        self._registry = registry
        self._readiness = readiness
        self._drift = drift
        self._cameras = cameras
        self._places = places
        self._status: dict[str, Any] = {}
        self._asked = 0.0

    def status(self) -> dict[str, Any]:
        """JSON values: `ready` and `reasons`, whether keys are refused, the `queue`, each camera's alarms."""
        now = time.monotonic()
        if not self._status or now - self._asked >= _FRESH_SECONDS:
            self._status = self._ask()
            self._asked = now
        return self._status

    def _ask(self) -> dict[str, Any]:
        readiness = self._readiness()
        inside, capacity = self._places.load
        drifting = self._drifting()
        failed = {part: p.canary.failure for part, p in self._registry.loaded.items() if p.canary.failure}
        alarms: dict[str, list[dict[str, str]]] = {}
        for name in self._cameras.names():
            of_camera = list(drifting.get(name, []))
            part = self._cameras.part_of(name)
            if part in failed:
                of_camera.append({"kind": "canary", "detail": failed[part]})
            if self._cameras.was_full(name):
                of_camera.append({"kind": "queue", "detail": ""})
            alarms[name] = of_camera
        return {
            "ready": readiness.ready,
            "reasons": readiness.reasons,
            "keys_refused": self._cameras.was_key_refused,
            "queue": {"inside": inside, "capacity": capacity},
            "alarms": alarms,
        }

    def _drifting(self) -> dict[str, list[dict[str, str]]]:
        found: dict[str, list[dict[str, str]]] = {}
        for part, drift in self._drift.of_parts().items():
            for camera in drift.cameras:
                if camera.state == "drifting":
                    detail = f"{part}: {camera.what_to_do}"
                    found.setdefault(camera.camera, []).append({"kind": "drift", "detail": detail})
        return found
