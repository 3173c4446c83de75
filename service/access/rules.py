"""Which role each request takes: the one table. Whatever stands in no row takes an admin."""

import re
from dataclasses import dataclass

from service.access.keys import Role

HEALTH_PATHS = ("/healthz", "/readyz", "/metrics")
STATION = "/station/"
SIGN_IN = f"{STATION}sign-in"


@dataclass(frozen=True)
class Rule:
    """A method and a path (`*` is one segment, `**` any number of them) take at least `role`.

    `None` lets everybody in, without a key.
    """

    method: str
    path: str
    role: Role | None

    def covers(self, method: str, path: str) -> bool:
        pattern = re.escape(self.path).replace(r"\*\*", ".+").replace(r"\*", "[^/]+")
        return method == self.method and re.fullmatch(pattern, path) is not None


RULES = (
    Rule("POST", "/inspect", "camera"),
    Rule("GET", "/parts", "camera"),
    *(Rule("GET", path, "camera") for path in HEALTH_PATHS),
    Rule("GET", "/", "camera"),
    Rule("GET", "/api", "camera"),
    Rule("GET", "/docs", "camera"),
    Rule("GET", "/openapi.json", "camera"),
    Rule("GET", "/parts/**", "operator"),
    Rule("GET", "/inspections", "operator"),
    Rule("GET", "/inspections/**", "operator"),
    Rule("POST", "/inspections/*/judgements", "operator"),
    Rule("GET", "/reviews", "operator"),
    Rule("GET", "/reviews/**", "operator"),
    Rule("POST", "/reviews/**", "operator"),
    Rule("GET", "/numbers/**", "operator"),
    Rule("GET", SIGN_IN, None),
    Rule("POST", SIGN_IN, None),
    Rule("POST", f"{STATION}sign-out", None),
    Rule("GET", f"{STATION}static/**", None),
    Rule("GET", f"{STATION}limits", "admin"),
    Rule("GET", f"{STATION}models", "admin"),
    Rule("GET", f"{STATION}models/**", "admin"),
    Rule("GET", "/station", "operator"),
    Rule("GET", STATION, "operator"),
    Rule("GET", f"{STATION}**", "operator"),
)


def least_role(method: str, path: str) -> Role | None:
    """The least role that may send this request, None if everybody may. A HEAD takes what its GET does."""
    method = "GET" if method == "HEAD" else method
    return next((rule.role for rule in RULES if rule.covers(method, path)), "admin")
