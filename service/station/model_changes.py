"""What a press on the models page would change, in the station's words, before anybody confirms it."""

from collections.abc import Mapping
from typing import Any

from service.station.figures import ReportFigures
from service.station.model_cards import PartCard

Changes = dict[str, dict[str, list[str]]]


def changes_of(card: PartCard, words: Mapping[str, Any], *, kept: bool) -> Changes:
    """What each version's `activate`, `shadow` and `end` would change.

    Args:
        card: of the part.
        words: the texts `models.confirm`.
        kept: whether a choice outlives a restart.
    """
    serving = next((each.figures for each in card.bundles if each.active), None)
    not_kept = [] if kept else [words["not_kept"]]
    found: Changes = {}
    for each in card.bundles:
        activation = _activation(card, each.version, words) + _figures(serving, each.figures, words)
        found[each.version] = {"activate": activation + not_kept, "shadow": [words["shadow_cost"]]}
    if card.shadow is not None:
        # Its bundle may be gone from the disk.
        found.setdefault(card.shadow.status.version, {"activate": []})["end"] = [words["end_keeps"]]
    return found


def _activation(card: PartCard, version: str, words: Mapping[str, Any]) -> list[str]:
    if card.active is None:
        return [words["change_first"].format(part=card.part, version=version)]
    said = [
        words["change_version"].format(part=card.part, version=version, active=card.active),
        words["no_drop"].format(active=card.active),
    ]
    if card.shadow is not None and card.shadow.status.version == version:
        said.append(words["shadow_ends"].format(version=version))
    return said


def _figures(
    before: ReportFigures | None, after: ReportFigures | None, words: Mapping[str, Any]
) -> list[str]:
    if before is None or after is None:
        return []
    said = []
    for rule in ("anomaly", "classifier"):
        limits = [_limit(getattr(each.limits, rule), words) for each in (before, after)]
        if limits[0] != limits[1]:
            said.append(words[f"change_{rule}"].format(before=limits[0], after=limits[1]))
    for name, more, less in (("added", after, before), ("removed", before, after)):
        if differing := [each for each in more.classes if each not in less.classes]:
            said.append(words[f"change_{name}"].format(classes=", ".join(differing)))
    return said


def _limit(value: float | None, words: Mapping[str, Any]) -> str:
    return str(words["never"]) if value is None else f"{value:.4g}"
