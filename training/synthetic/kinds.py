"""Which kinds of defects are painted, and what their classes are called."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from models.classes import class_problem
from models.errors import DatasetError, UsageError

Kind = Literal["scratch", "dent", "stain"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class SyntheticConfig:
    """Which defects are painted.

    Attributes:
        photos: how many painted photos the classifier learns from, all kinds together; 0 for none.
        kinds: which kinds, shared alike over the photos.
        classes: by kind, the class that the user named for it; others are found by `name_classes`.

    Raises:
        UsageError: when there are fewer photos than kinds.
    """

    photos: int = 0
    kinds: tuple[Kind, ...] = KINDS
    classes: tuple[tuple[Kind, str], ...] = ()

    def __post_init__(self) -> None:
        if 0 < self.photos < len(self.kinds):
            raise UsageError(
                f"--synthetic-defects {self.photos} is too few for {len(self.kinds)} kinds of defects.",
                "Paint 100 or so, or name fewer kinds with --synthetic-kinds.",
            )

    def summary(self) -> dict[str, Any]:
        """What the manifest keeps of it."""
        return {"photos": self.photos, "kinds": list(self.kinds), "classes": dict(self.classes)}


def parse_kinds(text: str) -> tuple[tuple[Kind, ...], tuple[tuple[Kind, str], ...]]:
    """Read `scratch,dent=bump`: the kinds, and the classes that were named for them.

    Raises:
        UsageError: for an unknown or repeated kind, and for what cannot be the name of a class.
    """
    kinds: list[Kind] = []
    named: list[tuple[Kind, str]] = []
    for item in text.split(","):
        word, equals, name = (piece.strip() for piece in item.partition("="))
        kind = next((known for known in KINDS if known == word), None)
        if kind is None or kind in kinds:
            problem = "is no kind of defect that can be painted" if kind is None else "is named twice"
            raise UsageError(
                f"--synthetic-kinds {text}: {word!r} {problem}.",
                f"Name some of {', '.join(KINDS)}, each with its class if you like: scratch=scored.",
            )
        kinds.append(kind)
        if equals:
            problem = class_problem(name)
            if problem:
                raise UsageError(f"--synthetic-kinds {text}: {problem}.", "Name the class after the defect.")
            named.append((kind, name))
    return tuple(kinds), tuple(named)


def name_classes(config: SyntheticConfig, classes: Iterable[str]) -> dict[Kind, str]:
    """The class of each kind that is painted.

    A painted scratch belongs to the class that the user named for it; else to the one defect class of the
    photos whose name begins with `scratch` in any case (`scratched`, `Scratches`); else to a class `scratch`.

    Args:
        classes: the defect classes of the photos.

    Raises:
        DatasetError: when several classes begin so.
    """
    named = dict(config.classes)
    given = sorted(classes)
    return {kind: named.get(kind) or _name_class(kind, given) for kind in config.kinds}


def _name_class(kind: Kind, given: list[str]) -> str:
    alike = [name for name in given if name.lower().startswith(kind)]
    if len(alike) > 1:
        raise DatasetError(
            f"Painted {kind} photos could belong to any of the classes {', '.join(alike)}.",
            f"Say which: --synthetic-kinds {kind}={alike[0]}, or leave the kind out.",
        )
    return alike[0] if alike else kind
