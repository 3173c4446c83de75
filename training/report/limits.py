"""Where the limits come from, as rows of the report."""

from dataclasses import dataclass

from models.manifest import LimitOrigin, Manifest
from training.report.tables import percent
from training.targets import BY_ESCAPES, BY_HAND


@dataclass(frozen=True)
class LimitRow:
    """One rule: where it fires, and what was asked for; `origin` is None for a rule that never fires."""

    rule: str
    fires: str
    asked: str
    origin: LimitOrigin | None

    @property
    def by_hand(self) -> bool:
        """Whether somebody set the limit."""
        return self.origin is not None and self.origin.method == BY_HAND


def limit_rows(manifest: Manifest) -> list[LimitRow]:
    """A row for each rule, the classifier's first."""
    limits, origins = manifest.limits, manifest.limit_origins
    classifier = (
        "never fires"
        if limits.classifier is None
        else f"defect probability \u2265\u00a0{limits.classifier:.4g}"
    )
    anomaly = f"anomaly score \u2265\u00a0{limits.anomaly:.4g}"
    if limits.doubt:
        classifier += _in_doubt(limits.doubt.classifier)
        anomaly += _in_doubt(limits.doubt.anomaly)
    return [
        LimitRow("classifier", classifier, _asked(origins.classifier), origins.classifier),
        LimitRow("anomaly", anomaly, _asked(origins.anomaly), origins.anomaly),
    ]


def _in_doubt(around: tuple[float, float] | None) -> str:
    return "" if around is None else f" (in doubt from {around[0]:.4g} to {around[1]:.4g})"


def _asked(origin: LimitOrigin | None) -> str:
    if origin is None:
        return ""
    escapes = (
        ""
        if origin.max_escapes is None
        else f"both rules pass at most {percent(origin.max_escapes)} of defects"
    )
    if origin.method == BY_HAND:
        return "these limits"
    if origin.method == BY_ESCAPES:
        return escapes
    rejects = f"at most {percent(origin.target)} of good parts"
    return f"{rejects}; {escapes}" if escapes else rejects
