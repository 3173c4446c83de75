"""Renders the station's pages, errors included."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from models.errors import GlintError
from service.http.cookies import give_visitor_token
from service.http.pages import wants_page
from service.http.problems import CODE_HEADER, code_of, status_of
from service.http.scopes import inspection_id_of
from service.station.assets import Assets
from service.station.navigation import ENTRIES
from service.station.texts import LANGUAGE, load_texts
from service.station.viewer import viewer_of

_TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """The templates, with the texts and the assets that they use."""

    def __init__(self) -> None:
        self.assets = Assets()
        self.texts = load_texts()
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["as_json"] = as_json
        self._environment.filters["as_word"] = self._word_of

    def render(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        """Render `templates/<template>.html.j2` for whoever sent the request.

        Templates know, besides `values`: `texts`, `viewer`, `navigation`, `here` (the path that was asked
        for), `url` (the address of a path of this service) and `asset` (that of a static file).
        """
        viewer = viewer_of(request)
        base = str(request.scope.get("root_path", ""))
        page = self._environment.get_template(f"{template}.html.j2").render(
            values,
            language=LANGUAGE,
            texts=self.texts,
            viewer=viewer,
            navigation=[entry for entry in ENTRIES if viewer.may(entry.role)],
            here=request.url.path.removeprefix(base),
            base=base,
            url=lambda path: f"{base}{path}",
            asset=lambda name: f"{base}{self.assets.path(name)}",
            assets_version=self.assets.version,
        )
        response = HTMLResponse(page, status)
        if viewer.is_new:
            give_visitor_token(response, request.scope, viewer.token)
        return response

    def _word_of(self, verdict: str) -> str:
        """A verdict in words; defect classes go by their own names."""
        word = str(self.texts["verdicts"].get(verdict, verdict))
        return word[:1].upper() + word[1:]

    def render_error(self, request: Request, status: int, code: str, detail: str) -> Response:
        """Render what went wrong; `code` is that of the problem which a program would be told."""
        response = self.render(
            request,
            "error",
            status=status,
            title=HTTPStatus(status).phrase,
            detail=detail,
            request_id=inspection_id_of(request.scope),
        )
        response.headers[CODE_HEADER] = code
        return response


class PageRoute(APIRoute):
    """A route whose errors a browser is shown as a page. Programs get the problem."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with its errors rendered."""
        handle = super().get_route_handler()

        async def handle_and_render(request: Request) -> Response:
            try:
                return await handle(request)
            except (GlintError, HTTPException) as error:
                if not wants_page(request.headers):
                    raise
                pages: Pages = request.app.state.station.pages
                if isinstance(error, HTTPException):
                    told = (error.status_code, "", error.detail)
                else:
                    code = code_of(error)
                    told = (status_of(code), code, str(error))
                # A template comes from the disk, and photos must not wait for it.
                return await asyncio.to_thread(pages.render_error, request, *told)

        return handle_and_render


def as_json(value: Any) -> Markup:
    """JSON that may stand inside a `<script type="application/json">`."""
    text = json.dumps(value, ensure_ascii=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704
