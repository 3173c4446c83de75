"""The models page: bundles side by side, a candidate in the shadow, and what was put in place by whom."""

import hashlib

from fastapi import APIRouter, Request
from starlette.responses import Response

from models.bundle import Bundle
from models.errors import BundleError
from service.access.rules import STATION
from service.errors import UnknownVersionError
from service.http.headers import REPORT_POLICY
from service.registry import Registry
from service.station.model_cards import cards_of
from service.station.model_changes import changes_of
from service.station.pages import PageRoute
from service.station.station import Station

PATH = f"{STATION}models"
_REPORT = "report.html"
_COPY_AGAIN = "Copy the bundle again from where it was made."

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(PATH)
def models(request: Request) -> Response:
    """A card for each part."""
    station: Station = request.app.state.station
    registry: Registry = request.app.state.registry
    cards = cards_of(registry, request.app.state.shadows)
    kept = request.app.state.settings.state is not None
    words = station.pages.texts["models"]["confirm"]
    return station.pages.render(
        request,
        "models",
        cards=cards,
        changes={card.part: changes_of(card, words, kept=kept) for card in cards},
        kept=kept,
        recorded=request.app.state.archive is not None,
    )


@router.get(f"{PATH}/{{part}}/{{version}}/report")
def report(request: Request, part: str, version: str) -> Response:
    """A bundle's report as training wrote it, which may run and load nothing."""
    registry: Registry = request.app.state.registry
    found = {each.name: each for each in registry.versions(part)}
    if version not in found:
        raise UnknownVersionError(part, version, list(found))
    manifest = found[version].manifest
    if manifest is None:
        raise BundleError(found[version].problem, _COPY_AGAIN)
    file = Bundle(found[version].path, manifest).file(_REPORT)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise BundleError(f"{file} cannot be read: {error.strerror}.", _COPY_AGAIN) from error
    if hashlib.sha256(data).hexdigest() != manifest.files[_REPORT]:
        raise BundleError(f"{file} was altered: its checksum is not the recorded one.", _COPY_AGAIN)
    headers = {"content-security-policy": REPORT_POLICY}
    return Response(data, media_type="text/html; charset=utf-8", headers=headers)
