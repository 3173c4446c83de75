"""Which role each request takes: the one table. Whatever stands in no row takes an admin."""

import re
from dataclasses import dataclass

from service.access.keys import Role

HEALTH_PATHS = ("/healthz", "/readyz", "/metrics")


@dataclass(frozen=True)
class Rule:
    """A method and a path (`*` is one segment, `**` any number of them) take at least `role`."""

    method: str
    path: str
    role: Role

    def covers(self, method: str, path: str) -> bool:
        pattern = re.escape(self.path).replace(r"\*\*", ".+").replace(r"\*", "[^/]+")
        return method == self.method and re.fullmatch(pattern, path) is not None


RULES = (
    Rule("POST", "/inspect", "camera"),
    Rule("GET", "/parts", "camera"),
    *(Rule("GET", path, "camera") for path in HEALTH_PATHS),
    Rule("GET", "/", "camera"),
    Rule("GET", "/docs", "camera"),
    Rule("GET", "/openapi.json", "camera"),
    Rule("GET", "/parts/**", "operator"),
    Rule("GET", "/inspections", "operator"),
    Rule("GET", "/inspections/**", "operator"),
)


def least_role(method: str, path: str) -> Role:
    """The least role that may send this request. A HEAD takes what its GET does."""
    method = "GET" if method == "HEAD" else method
    return next((rule.role for rule in RULES if rule.covers(method, path)), "admin")
