"""What the models page shows of a part: its bundles side by side, the candidate, and who did what when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from models.intervals import Share
from service.activations.book import serving_since, version_before
from service.activations.entries import Activation
from service.errors import ServiceError
from service.registry import Registry
from service.shadow.comparison import Comparison, Flip
from service.shadow.shadows import Shadows, ShadowStatus
from service.station.figures import ReportFigures, figures_of
from service.versions import Version

SHOWN_BUNDLES = 5
_SHOWN_HISTORY = 12
_SHOWN_FLIPS = 8
_LOOKED_AT = 200


@dataclass(frozen=True)
class BundleColumn:
    """A bundle of a part; without `figures` it cannot be opened, and `problem` says why."""

    version: str
    active: bool
    shadowed: bool
    problem: str
    figures: ReportFigures | None
    same_photos: bool
    has_report: bool


@dataclass(frozen=True)
class ShadowCard:
    """The candidate and what it has shown; `comparison` is None while that cannot be asked."""

    status: ShadowStatus
    comparison: Comparison | None
    rejects: tuple[Share, Share] | None
    flips: Sequence[Flip]


@dataclass(frozen=True)
class PartCard:
    """All of a part.

    Attributes:
        problem: why the part is not served; empty if it is.
        active: the version that serves, and since when; None if none does, or that is not known.
        bundles: the newest first; those in use are among them, however old.
        hidden: versions of those that are left out.
        before: the version that a roll-back leads to; None without one.
        trouble: why the history or the comparison cannot be shown; empty if they can.
    """

    part: str
    problem: str
    active: str | None
    since: datetime | None
    bundles: Sequence[BundleColumn]
    hidden: Sequence[str]
    before: str | None
    shadow: ShadowCard | None
    history: Sequence[Activation]
    trouble: str


def cards_of(registry: Registry, shadows: Shadows) -> list[PartCard]:
    """A card for each part of which there is a bundle."""
    return [_card(registry, shadows, part) for part in sorted(registry.part_names)]


def _card(registry: Registry, shadows: Shadows, part: str) -> PartCard:
    status = registry.readiness().parts[part]
    active, troubles = status.version, []
    history: list[Activation] = []
    try:
        history = registry.book.of(part, _LOOKED_AT)
    except Exception as error:
        # Each kind of book fails with errors of its own; bundles can be looked at all the same.
        troubles.append(str(error))
    shadow = _shadow(shadows, part, active, troubles)
    versions: list[Version] = []
    try:
        versions = registry.versions(part)
    except ServiceError as error:
        troubles.append(str(error))
    on_disk = [version.name for version in versions if not version.problem]
    before = version_before([each for each in history if each.version in on_disk], active)
    before = before if before in on_disk else None
    used = {active, before, shadow.status.version if shadow else None}
    shown = [v for n, v in enumerate(versions) if n < SHOWN_BUNDLES or v.name in used]
    return PartCard(
        part=part,
        problem=status.reason,
        active=active,
        since=serving_since(history, active) if active else None,
        bundles=_columns(registry, part, shown, shadow),
        hidden=[version.name for version in versions if version not in shown],
        before=before,
        shadow=shadow,
        history=history[:_SHOWN_HISTORY],
        trouble=" ".join(dict.fromkeys(troubles)),
    )


def _shadow(shadows: Shadows, part: str, active: str | None, troubles: list[str]) -> ShadowCard | None:
    status = shadows.find(part)
    if status is None:
        return None
    try:
        compared = shadows.ledger.comparison(part, status.version, active or "")
        flips = shadows.ledger.flips(part, status.version, active or "", _SHOWN_FLIPS)
    except ServiceError as error:
        troubles.append(str(error))
        return ShadowCard(status, None, None, ())
    return ShadowCard(status, compared, (compared.active_rejects, compared.candidate_rejects), flips)


def _columns(
    registry: Registry, part: str, versions: Sequence[Version], shadow: ShadowCard | None
) -> list[BundleColumn]:
    loaded = registry.loaded.get(part)
    serving = loaded.inspector.bundle if loaded else None
    photos = serving.manifest.dataset.sha256 if serving else None
    columns = []
    for version in versions:
        manifest = version.manifest
        columns.append(
            BundleColumn(
                version=version.name,
                active=serving is not None and version.path == serving.path,
                shadowed=shadow is not None and shadow.status.version == version.name,
                problem=version.problem,
                figures=figures_of(manifest) if manifest else None,
                same_photos=photos is None or (manifest is not None and manifest.dataset.sha256 == photos),
                has_report=manifest is not None and "report.html" in manifest.files,
            )
        )
    return columns
