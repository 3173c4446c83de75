"""The application: a factory, so that importing this module loads and starts nothing."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI

from models.decision import INVALID
from service.access.exposure import check_exposure
from service.access.ring import KeyRing
from service.access.sessions import Sessions
from service.activations.opening import open_book
from service.archive.opening import open_archive
from service.http.access import AccessControl
from service.http.archive import router as archive_router
from service.http.bodies import BodyLimits
from service.http.bundles import router as bundles_router
from service.http.forgery import RefuseForgeries
from service.http.headers import SecurityHeaders
from service.http.judgements import router as judgements_router
from service.http.limits import HeadLimits
from service.http.metrics import router as metrics_router
from service.http.numbers import router as numbers_router
from service.http.observation import ObserveRequests
from service.http.openapi import complete_openapi
from service.http.problems import install_problem_handlers
from service.http.requests import CloseUnreadUploads, RequestIds, UnforeseenErrors
from service.http.reviews import router as reviews_router
from service.http.routes import router
from service.http.shadows import router as shadows_router
from service.http.trends import router as trends_router
from service.http.trials import router as trials_router
from service.inspection import InspectionService
from service.orders import Seen
from service.past_bundles import preprocessing_of
from service.readiness import readiness_of
from service.registry import Registry
from service.review.opening import open_desk
from service.settings import Settings
from service.shadow.ledger import open_ledger
from service.shadow.metrics import ShadowCollector
from service.shadow.shadows import Shadows
from service.station.alarms import Alarms
from service.station.cameras import Cameras
from service.station.feed import Feed
from service.station.routes import router as station_router
from service.station.sources import Sources
from service.station.station import Station
from service.statistics.analyst import open_analyst
from service.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from service.archive.archive import Archive

EXIT_CODE_DEAD_WORKER = 70
_SECONDS_FOR_LAST_ANSWERS = 1.0

log = logging.getLogger(__name__)


def create_app(
    settings: Settings | None = None,
    *,
    registry: Registry | None = None,
    on_death: Callable[[BaseException], None] | None = None,
    archive: "Archive | None" = None,
) -> FastAPI:
    """Make the application. Bundles load in the background once it starts, so that /healthz answers at once.

    Args:
        settings: from the environment if not given.
        registry: one that is already loaded; otherwise one is made from the settings.
        on_death: called if a device worker dies; otherwise `end_process`.
        archive: one that is already started; otherwise one is made from the settings.

    Raises:
        ExposureError: when others than this machine could reach it without a key.
        KeysError: when the file of keys is missing or broken.
    """
    settings = settings or Settings.of()
    check_exposure(settings)
    keys = KeyRing(settings.keys) if settings.keys else None
    sessions = Sessions(keys, 3600.0 * settings.session_hours, settings.state) if keys else None
    archive = archive or open_archive(settings)
    registry = registry or Registry(settings, on_death or end_process, open_book(settings, archive))
    app = FastAPI(
        title="Glint",
        version=version("glint-inspection"),
        summary="Inspects photos of parts: a verdict, a score and a heatmap.",
        lifespan=_lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.settings = settings
    app.state.registry = registry
    app.state.keys = keys
    app.state.archive = archive
    app.state.desk = open_desk(archive)
    app.state.analyst = open_analyst(archive, settings.plant_time, partial(preprocessing_of, registry))
    app.state.readiness = readiness = partial(readiness_of, registry, archive, keys)
    telemetry = Telemetry(settings, registry, os.environ, readiness, archive.status if archive else None)
    app.state.telemetry = telemetry
    app.state.shadows = shadows = Shadows(
        registry, settings, open_ledger(archive), lambda: app.state.inspections.places.load[0] > 0
    )
    telemetry.metrics.registry.register(ShadowCollector(shadows))
    feed = Feed(Cameras(telemetry.cameras), keeps_photos=archive is None)
    observe = partial(_look_on, telemetry, feed, shadows)
    app.state.inspections = inspections = InspectionService(registry, settings, archive, observe=observe)
    app.state.station = Station(
        sessions,
        feed,
        Alarms(registry, readiness, telemetry.drift, feed.cameras, inspections.places),
        Sources(feed.recent, archive, registry, settings),
    )
    app.include_router(router)
    app.include_router(archive_router)
    app.include_router(judgements_router)
    app.include_router(reviews_router)
    app.include_router(numbers_router)
    app.include_router(trends_router)
    app.include_router(trials_router)
    app.include_router(metrics_router)
    app.include_router(bundles_router)
    app.include_router(shadows_router)
    app.include_router(station_router)
    install_problem_handlers(app)
    complete_openapi(app, settings)
    # The last one added sees a request first.
    app.add_middleware(RefuseForgeries)
    app.add_middleware(BodyLimits, seconds=1e-3 * settings.deadline_ms)
    app.add_middleware(AccessControl, settings=settings, keys=keys, sessions=sessions)
    app.add_middleware(HeadLimits)
    app.add_middleware(UnforeseenErrors)
    app.add_middleware(ObserveRequests, listeners=[*telemetry.listeners, feed.answered])
    app.add_middleware(RequestIds)
    app.add_middleware(CloseUnreadUploads)
    app.add_middleware(SecurityHeaders)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    registry: Registry = app.state.registry
    archive: Archive | None = app.state.archive
    if archive is not None:
        await asyncio.to_thread(archive.start)
    if settings.device == "cuda":
        # The service must not listen before the GPU is proved.
        await asyncio.to_thread(registry.load)
    registry.load_in_background(then=app.state.shadows.resume)
    try:
        yield
    finally:
        app.state.station.feed.close()
        await asyncio.to_thread(app.state.station.close)
        await asyncio.to_thread(registry.close, settings.drain_seconds)
        app.state.inspections.close()
        await asyncio.to_thread(app.state.shadows.close)
        await asyncio.to_thread(app.state.telemetry.close)
        if archive is not None:
            await asyncio.to_thread(archive.close)


def _look_on(telemetry: Telemetry, feed: Feed, shadows: Shadows, seen: Seen) -> None:
    if seen.inspection.verdict != INVALID:
        telemetry.inspected(seen.inspection)
    feed.seen(seen)
    shadows.seen(seen)


def end_process(error: BaseException) -> None:
    """End the process with a code other than 0, once the last answers had a moment to go out.

    A service whose worker is dead can only refuse; its supervisor can start a new one.
    """
    log.critical("The service ends: %r", error)
    timer = threading.Timer(_SECONDS_FOR_LAST_ANSWERS, os._exit, args=[EXIT_CODE_DEAD_WORKER])
    timer.daemon = True
    timer.start()
