"""Completes the OpenAPI document with what holds of every operation, whoever adds it."""

import copy
from typing import Any

from fastapi import FastAPI

from service.access.rules import HEALTH_PATHS
from service.http.access import KEY_HEADER
from service.http.fields import DEADLINE_HEADER
from service.http.problems import MEDIA_TYPE, Problem
from service.settings import Settings

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key; see `glint keys`."},
    "header": {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "The same key."},
}
_REFUSALS = {
    "401": "There is no valid API key.",
    "403": "The key's role may not do this.",
    "default": "Any other problem; no problem is a verdict.",
}
_PROBLEM = {"schema": {"$ref": "#/components/schemas/Problem"}}
# What FastAPI says of requests that do not validate; the service answers them with a problem.
_UNUSED_SCHEMAS = ("HTTPValidationError", "ValidationError")


def complete_openapi(app: FastAPI, settings: Settings) -> None:
    """Add the problems to every operation, and keys when the service has them."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(generate(), settings)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(generated: dict[str, Any], settings: Settings) -> dict[str, Any]:
    document = copy.deepcopy(generated)  # parts of it belong to the routes, which all applications share
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _UNUSED_SCHEMAS:
        schemas.pop(name, None)
    schemas.setdefault("Problem", Problem.model_json_schema())
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _add_problems(operation["responses"])
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == DEADLINE_HEADER:
                    parameter["schema"]["maximum"] = settings.max_deadline_ms
            if settings.open_health and path in HEALTH_PATHS:
                operation["security"] = []
    if settings.keys is not None:
        components["securitySchemes"] = _SCHEMES
        document["security"] = [{name: []} for name in _SCHEMES]
    return document


def _add_problems(responses: dict[str, Any]) -> None:
    if "HTTPValidationError" in str(responses.get("422")):
        responses["422"] = _problem("A field cannot be used.")
    for response in responses.values():
        content = response.get("content", {})
        # FastAPI files the model under plain JSON.
        if content.get("application/json") == _PROBLEM:
            content[MEDIA_TYPE] = {**content.get(MEDIA_TYPE, {}), **content.pop("application/json")}
    for status, description in _REFUSALS.items():
        responses.setdefault(status, _problem(description))


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: _PROBLEM}}
