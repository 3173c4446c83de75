"""Which photos are kept, by part: all, the interesting ones and a sample of the others, or none."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from models.answer import Inspection
from models.decision import CLEAN
from models.manifest import NAME_PATTERN
from service.errors import SettingsError

_SEED = "glint"
_REMEDY = (
    "Set GLINT_ARCHIVE_PHOTOS to all, none, or defects:0.05 (defects and 5 % of the clean ones), "
    "and after commas what differs by part: defects:0.05,bracket=all,cap=none."
)


@dataclass(frozen=True)
class Rule:
    """What is kept of one part: the photos of defects and reviews, and a share 0..1 of the clean ones."""

    defects: bool
    clean_share: float

    def keeps(self, inspection: Inspection, review_share: float = 0.0) -> bool:
        """Whether this photo is kept: the same answer whenever it is asked.

        The share of the clean ones that people review is kept too, unless the part's photos are not wanted.
        """
        if is_clean(inspection):
            share = max(self.clean_share, review_share) if self.defects else self.clean_share
            return draw(inspection.id) < share
        return self.defects


@dataclass(frozen=True)
class PhotoPolicy:
    """A rule for every part, and for some parts another; `review_share` of the clean ones is reviewed."""

    default: Rule
    parts: Mapping[str, Rule] = field(default_factory=dict)
    review_share: float = 0.0

    def keeps(self, inspection: Inspection) -> bool:
        """Whether this photo is kept."""
        return self.parts.get(inspection.part, self.default).keeps(inspection, self.review_share)

    def samples(self, part: str) -> bool:
        """Whether clean parts of this kind can be in the sample that people review."""
        rule = self.parts.get(part, self.default)
        return rule.defects or rule.clean_share > 0


def is_clean(inspection: Inspection) -> bool:
    """Whether nobody will want to look at this photo again."""
    return inspection.verdict == CLEAN and not inspection.needs_review


def read_policy(text: str, review_share: float = 0.0) -> PhotoPolicy:
    """Read a policy such as `all` or `defects:0.05,bracket=all,cap=none`.

    Raises:
        SettingsError: naming the entry that cannot be used.
    """
    first, *others = [entry.strip() for entry in text.split(",")]
    parts = {}
    for entry in others:
        part, _, rule = entry.partition("=")
        if not re.fullmatch(NAME_PATTERN, part) or part in parts:
            raise SettingsError(f"The policy for photos has the entry {entry!r}.", _REMEDY)
        parts[part] = _read_rule(rule)
    return PhotoPolicy(_read_rule(first), parts, review_share)


def _read_rule(text: str) -> Rule:
    if text == "all":
        return Rule(defects=True, clean_share=1.0)
    if text == "none":
        return Rule(defects=False, clean_share=0.0)
    match = re.fullmatch(r"defects(?::(0(?:\.\d+)?|1(?:\.0+)?))?", text)
    if match is None:
        raise SettingsError(f"The policy for photos has the rule {text!r}.", _REMEDY)
    return Rule(defects=True, clean_share=float(match[1] or 0))


def draw(inspection_id: str) -> float:
    """A number in 0..1 that only the id decides, which the service makes: no camera can influence it."""
    digest = hashlib.sha256(f"{_SEED}:{inspection_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
