"""The log: lines of text for people or of JSON for machines, with the request's id and without secrets."""

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

from service.telemetry.record import RequestRecord

LogFormat = Literal["auto", "text", "json"]

# What a line may carry beside its message. Nothing else that is given as `extra` is written.
FIELDS = (
    "method",
    "route",
    "part",
    "camera",
    "verdict",
    "status",
    "code",
    "ms",
    "key_id",
    "trace_id",
    "event",
    "state",
    "alarms",
)
ASKED_OFTEN = frozenset({"/healthz", "/readyz", "/metrics"})
_FIRST_ERROR = 400

request_id: ContextVar[str] = ContextVar("request_id", default="")

access = logging.getLogger("service.access")

_HIDDEN = "[hidden]"
_SIGNS = ("cookie", "auth", "key", "pass", "secret", "token", "signature", "bearer", "basic", "://")
# Between a name and its value, in the forms of a header, an assignment, a dict and a pair of byte strings.
_IS = r"['\"]?\s*(?:=|:|,(?=\s*b?['\"]))\s*(?:b(?=['\"]))?['\"]?"
_SECRETS = (
    # To the end: a cookie header holds several values.
    (re.compile(rf"(?i)(\b(?:set-)?cookie{_IS})[^\r\n'\"]+"), rf"\1{_HIDDEN}"),
    (
        re.compile(
            rf"(?i)((?:authorization|api[-_]?key|\bkey|password|secret|token|signature){_IS})"
            r"(?:(?:bearer|basic)\s+)?[^\s'\"&,;)]+"
        ),
        rf"\1{_HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {_HIDDEN}"),
    (re.compile(r"(://[^\s:/@]*:)[^\s/]+@"), rf"\1{_HIDDEN}@"),
)


def configure_logging(form: LogFormat) -> None:
    """Send every log line to standard error; `auto` writes text to a terminal and JSON to anything else."""
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def hide_secrets(text: str) -> str:
    """Replace keys, passwords and cookies, wherever they stand in a text."""
    lowered = text.lower()
    # Most lines hold none of these words, and looking for a word costs far less than for a pattern.
    if any(word in lowered for word in _SIGNS):
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
    return text


class TextFormatter(logging.Formatter):
    """`2026-01-01 12:00:00,000 INFO service.app: message`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line, and below it the exception's traceback if there is one."""
        return hide_secrets(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, request_id, `FIELDS`, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; what is not known is left out."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": hide_secrets(record.getMessage()),
            "request_id": request_id.get(),
        }
        for field in FIELDS:
            value = getattr(record, field, None)
            line[field] = hide_secrets(value) if isinstance(value, str) else value
        if record.exc_info:
            line["exception"] = hide_secrets(self.formatException(record.exc_info))
        return json.dumps({name: value for name, value in line.items() if value not in (None, "")})


def log_request(record: RequestRecord) -> None:
    """Write the one line of an answered request. Probes that went well are left to the level `debug`."""
    quiet = record.route in ASKED_OFTEN and record.status < _FIRST_ERROR
    level = logging.DEBUG if quiet else logging.INFO
    if not access.isEnabledFor(level):
        return
    ms = round(1e3 * record.seconds, 3)
    told = " ".join(word for word in (record.verdict, record.code) if word)
    fields = {
        "method": record.method[:16],
        "route": record.route,
        "part": record.part,
        "camera": record.camera,
        "verdict": record.verdict,
        "status": record.status,
        "code": record.code,
        "ms": ms,
        "key_id": record.key_id,
        "trace_id": trace_id_of(record.traceparent),
    }
    access.log(
        level,
        "%s %s %d %s in %.1f ms, %s",
        record.method[:16],
        record.route,
        record.status,
        told,
        ms,
        record.id,
        extra=fields,
    )


def trace_id_of(traceparent: str) -> str:
    """The trace's id from a W3C traceparent header; empty if there is none in it."""
    match = re.fullmatch(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", traceparent)
    return match.group(1) if match else ""
