"""What a class of defects may be called, so that every folder of photos says what it meant."""

import re

from models.decision import RESERVED_CLASSES
from models.manifest import NAME_PATTERN

# Folders and labels of these names, in any case, mean good parts.
CLEAN_NAMES = frozenset({"good", "ok", "clean", "normal", "free"})

# Files and folders that lie about everywhere and are no part of a data set.
CLUTTER = re.compile(
    r"(\..*|thumbs\.db|desktop\.ini|__macosx|readme.*|licen[sc]e.*|.*\.(txt|md))", re.IGNORECASE
)
# Class folders lie beside the folder of masks.
MASKS = "masks"


def class_problem(name: str) -> str:
    """Why `name` cannot be that of a defect class in a data set; empty if it can."""
    lower = name.lower()
    if lower in CLEAN_NAMES:
        return f"{name!r} means a good part"
    if lower in RESERVED_CLASSES or lower == MASKS:
        return f"{name!r} is reserved"
    if not re.fullmatch(NAME_PATTERN, name):
        return (
            f"{name[:64]!r} is not 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit"
        )
    if CLUTTER.fullmatch(name):
        return f"{name!r} would be passed over as no part of a data set"
    return ""
