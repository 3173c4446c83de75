"""The application: a factory, so that importing this module loads and starts nothing."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from service.archive.archive import Archive, open_archive
from service.http.archive import router as archive_router
from service.http.problems import install_problem_handlers
from service.http.requests import CloseUnreadUploads, RequestIds, UnforeseenErrors
from service.http.routes import router
from service.inspection import InspectionService
from service.registry import Registry
from service.settings import Settings

EXIT_CODE_DEAD_WORKER = 70
_SECONDS_FOR_LAST_ANSWERS = 1.0

log = logging.getLogger(__name__)


def create_app(
    settings: Settings | None = None,
    *,
    registry: Registry | None = None,
    on_death: Callable[[BaseException], None] | None = None,
    archive: Archive | None = None,
) -> FastAPI:
    """Make the application. Bundles load in the background once it starts, so that /healthz answers at once.

    Args:
        settings: from the environment if not given.
        registry: one that is already loaded; otherwise one is made from the settings.
        on_death: called if a device worker dies; otherwise `end_process`.
        archive: one that is already started; otherwise one is made from the settings.
    """
    settings = settings or Settings.of()
    registry = registry or Registry(settings, on_death or end_process)
    archive = archive or open_archive(settings)
    app = FastAPI(
        title="Glint",
        version=version("glint-inspection"),
        summary="Inspects photos of parts: a verdict, a score and a heatmap.",
        lifespan=_lifespan,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.registry = registry
    app.state.archive = archive
    app.state.inspections = InspectionService(registry, settings, archive)
    app.include_router(router)
    app.include_router(archive_router)
    install_problem_handlers(app)
    app.add_middleware(UnforeseenErrors)
    app.add_middleware(RequestIds)
    app.add_middleware(CloseUnreadUploads)
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
    else:
        registry.load_in_background()
    try:
        yield
    finally:
        await asyncio.to_thread(registry.close, settings.drain_seconds)
        app.state.inspections.close()
        if archive is not None:
            await asyncio.to_thread(archive.close)


def end_process(error: BaseException) -> None:
    """End the process with a code other than 0, once the last answers had a moment to go out.

    A service whose worker is dead can only refuse; its supervisor can start a new one.
    """
    log.critical("The service ends: %r", error)
    timer = threading.Timer(_SECONDS_FOR_LAST_ANSWERS, os._exit, args=[EXIT_CODE_DEAD_WORKER])
    timer.daemon = True
    timer.start()
