"""The review queue: one inspection at a time, to be accepted or overruled."""

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from models.decision import ANOMALOUS, CLEAN
from service.access.rules import STATION
from service.archive.errors import ArchiveOffError
from service.archive.records import Record
from service.http.cookies import give_visitor_token
from service.http.judgements import desk_of, known
from service.registry import Registry
from service.review.errors import HeldError
from service.review.items import ORDERS, REASONS, Wish
from service.review.judgements import Judgement, can_be_judged
from service.station.pages import PageRoute
from service.station.station import Station
from service.station.viewer import Viewer, viewer_of

if TYPE_CHECKING:
    from service.archive.archive import Archive
    from service.review.desk import Desk

PATH = f"{STATION}review"
_MOST_CLASSES = 9  # as many as there are digits to choose them by
_MOST_LOOKED_AT = 100

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(PATH)
def next_item(request: Request) -> Response:
    """Take the next item and go to its page."""
    desk, wish, viewer = desk_of(request), _wish(request), viewer_of(request)
    found = _first(desk, wish) if _is_from_elsewhere(request) else desk.take(holder_of(viewer), wish)
    if found is not None:
        base = request.scope.get("root_path", "")
        response = RedirectResponse(f"{base}{PATH}/{found}{_query(wish)}", 303)
        if viewer.is_new:
            # The item's page must know who has just taken it.
            give_visitor_token(response, request.scope, viewer.token)
        return response
    station: Station = request.app.state.station
    return station.pages.render(request, "review_empty", **_queue(desk, wish))


@router.get(f"{PATH}/{{inspection_id}}")
def item(request: Request, inspection_id: str) -> Response:
    """The page of one inspection; any can be judged, whether it waits or not."""
    station: Station = request.app.state.station
    desk, wish, viewer = desk_of(request), _wish(request), viewer_of(request)
    record = _archive(request).find(known(inspection_id))
    past = desk.history(record.id)
    return station.pages.render(
        request,
        "review",
        record=record,
        image=record.inspection.image,
        reasons=record.inspection.review_reasons,
        kind="clean" if record.verdict == CLEAN else "defect",
        judgeable=can_be_judged(record.verdict),
        has_photo=record.photo_state == "kept",
        past=past,
        latest=past[-1].id if past else None,
        standing=past[-1].stands if past else None,
        held=not _is_from_elsewhere(request) and _is_held(desk, record.id, holder_of(viewer)),
        holder=holder_of(viewer),
        classes=_classes(request, desk, record, past),
        chosen=_chosen(record.verdict),
        unnamed=ANOMALOUS,
        **_queue(desk, wish),
    )


def holder_of(viewer: Viewer) -> str:
    """By what name a browser holds items of the queue; it does not tell its cookie."""
    return hashlib.sha256(f"holder:{viewer.token}".encode()).hexdigest()[:32]


def _is_from_elsewhere(request: Request) -> bool:
    """Whether another site leads here. It gets no lease; the page asks for one while it is open."""
    return request.headers.get("sec-fetch-site") in ("cross-site", "same-site")


def _first(desk: "Desk", wish: Wish) -> str | None:
    """The first item that nobody has, without taking it."""
    return next((item.inspection_id for item in desk.waiting(wish, _MOST_LOOKED_AT) if not item.held), None)


def _queue(desk: "Desk", wish: Wish) -> dict[str, Any]:
    counts = desk.counts(wish.part)
    return {
        "wish": asdict(wish),
        "query": _query(wish),
        "waiting": sum(counts.waiting.values()),
        "waiting_by": counts.waiting,
        "judged": counts.judged,
        "parts": desk.parts(),
        "orders": ORDERS,
        "all_reasons": REASONS,
    }


def _wish(request: Request) -> Wish:
    asked = request.query_params
    orders = [each for each in ORDERS if each == asked.get("order")]
    reasons = [each for each in REASONS if each == asked.get("reason")]
    return Wish(
        order=orders[0] if orders else "oldest",
        part=(asked.get("part") or "")[:64] or None,
        reason=reasons[0] if reasons else None,
    )


def _query(wish: Wish) -> str:
    given = {name: value for name, value in asdict(wish).items() if value and value != "oldest"}
    return f"?{urlencode(given)}" if given else ""


def _classes(request: Request, desk: "Desk", record: Record, past: list[Judgement]) -> list[str]:
    """The classes to choose from: the verdict's, those that were named before, and those of the model."""
    registry: Registry = request.app.state.registry
    loaded = registry.loaded.get(record.part)
    named = [record.verdict, *(each.label for each in reversed(past)), *desk.classes(record.part)]
    of_model = loaded.inspector.manifest.classes if loaded else []
    found = dict.fromkeys(label for label in [*named, *of_model] if label not in (None, CLEAN, ANOMALOUS))
    return [str(label) for label in found][: _MOST_CLASSES - 1]


def _chosen(verdict: str) -> str:
    """The class that a defect has unless another is chosen."""
    return ANOMALOUS if verdict in (CLEAN, ANOMALOUS) else verdict


def _is_held(desk: "Desk", inspection_id: str, holder: str) -> bool:
    try:
        desk.hold(inspection_id, holder)
    except HeldError:
        return True
    return False


def _archive(request: Request) -> "Archive":
    archive: Archive | None = request.app.state.archive
    if archive is None:
        raise ArchiveOffError
    return archive
