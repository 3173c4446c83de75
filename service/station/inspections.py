"""The page of one inspection, and the pictures and the map that it shows."""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from models.answer import Inspection
from service.access.rules import STATION
from service.archive.errors import PictureError
from service.station.opinions import opinions_of
from service.station.pages import PageRoute
from service.station.recent import Picture
from service.station.sources import Shown, Sources
from service.station.station import Station
from service.verdicts import kind_of

if TYPE_CHECKING:
    from models.heat_map import HeatMap

_PAGE = f"{STATION}inspections/{{inspection_id}}"

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(_PAGE)
def inspection(request: Request, inspection_id: str) -> Response:
    station: Station = request.app.state.station
    sources = station.sources
    shown = sources.find(inspection_id)
    before, after = sources.neighbours(shown)
    missing, has_photo, has_overlay, heat = _pictures(sources, shown)
    lack = sources.lacks_difference(shown.inspection) if has_photo else None
    compares = has_photo and lack is None
    desk = request.app.state.desk
    past = desk.history(inspection_id) if desk is not None else None
    return station.pages.render(
        request,
        "inspection",
        inspection=shown.inspection,
        time=shown.time,
        kind=kind_of(shown.inspection.verdict),
        opinions=opinions_of(shown.inspection),
        before=before,
        after=after,
        past=past,
        standing=past[-1].stands if past else None,
        missing=missing,
        has_photo=has_photo,
        has_overlay=has_overlay,
        heat=heat,
        lack=lack,
        layers=_layers(heat=heat is not None, overlay=has_overlay, difference=compares),
        difference_colours=_difference_colours() if compares else [],
        viewer_data=_viewer_data(shown.inspection, heat, has_overlay=has_overlay),
    )


@router.get(f"{_PAGE}/photo")
def photo(request: Request, inspection_id: str) -> Response:
    sources = _sources(request)
    return _picture(sources.photo(sources.find(inspection_id)))


@router.get(f"{_PAGE}/overlay")
def overlay(request: Request, inspection_id: str) -> Response:
    sources = _sources(request)
    found = sources.overlay(sources.find(inspection_id))
    if found is None:
        raise _no_overlay()
    return _picture(found)


@router.get(f"{_PAGE}/difference")
def difference(request: Request, inspection_id: str) -> Response:
    """The photo less the mean clean part, at the model's size, in the colours of one scale."""
    sources = _sources(request)
    return _picture(sources.difference(sources.find(inspection_id)))


@router.get(f"{_PAGE}/map")
def heat_map(request: Request, inspection_id: str) -> Response:
    """The raw map over the photo: float32, little-endian, row by row."""
    sources = _sources(request)
    found = sources.heat_map(sources.find(inspection_id))
    if found is None:
        raise _no_overlay()
    return Response(found.on_photo().astype("<f4").tobytes(), media_type="application/octet-stream")


def _pictures(sources: Sources, shown: Shown) -> tuple[str, bool, bool, "HeatMap | None"]:
    """Why there is no photo, whether there is one, whether there is an overlay, and the map."""
    record = shown.record
    if record is not None and record.photo_state != "kept":
        return record.photo_state, False, False, None
    try:
        return "", True, sources.overlay(shown) is not None, sources.heat_map(shown)
    except PictureError as error:
        return error.code, True, False, None


def _layers(*, heat: bool, overlay: bool, difference: bool) -> list[str]:
    """What can be laid over the photo or shown in its place; nothing to choose from is an empty list."""
    found = ["heat", "contour"] if heat else ["heat"] if overlay else []
    found += ["photo"] if overlay or difference else []
    found += ["map"] if heat else []
    return [*found, "difference"] if difference else found


def _viewer_data(inspection: Inspection, heat: "HeatMap | None", *, has_overlay: bool) -> dict[str, Any]:
    path = f"{STATION}inspections/{inspection.id}"
    data: dict[str, Any] = {
        "width": inspection.image.width,
        "height": inspection.image.height,
        "photo": f"{path}/photo",
        "overlay": f"{path}/overlay" if has_overlay else None,
        "difference": f"{path}/difference",
        "map": None,
        "regions": [region.model_dump() for region in inspection.regions],
    }
    if heat is not None:
        from models.overlay import LARGEST_OPACITY, heat_colours

        data["map"] = {
            "path": f"{path}/map",
            "height": heat.place.height,
            "width": heat.place.width,
            "scale": heat.scale.model_dump(),
            "colours": heat_colours(),
            "opacity": LARGEST_OPACITY,
        }
    return data


def _difference_colours() -> list[str]:
    from models.mean_part import difference_colours

    return difference_colours()


def _sources(request: Request) -> Sources:
    station: Station = request.app.state.station
    return station.sources


def _picture(found: Picture) -> Response:
    return Response(found.data, media_type=found.media_type)


def _no_overlay() -> PictureError:
    return PictureError("no_overlay", "No overlay was kept of this inspection.", "Look at its photo instead.")
