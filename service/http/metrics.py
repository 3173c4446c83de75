"""`GET /metrics` for Prometheus."""

from fastapi import APIRouter, Request
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from service.telemetry.telemetry import Telemetry

router = APIRouter()


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "As OpenMetrics if `Accept` asks for it, else in Prometheus's text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
def metrics(request: Request) -> Response:
    telemetry: Telemetry = request.app.state.telemetry
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(telemetry.scraped()), headers={"content-type": content_type})
