"""The station's texts, one TOML file a page, so that they can be translated without touching a template."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LANGUAGE = "en"
_FOLDER = Path(__file__).parent / "texts"


def load_texts(language: str = LANGUAGE) -> Mapping[str, Mapping[str, Any]]:
    """The texts by page and name: `texts["board"]["title"]`."""
    files = sorted((_FOLDER / language).glob("*.toml"))
    return {file.stem: tomllib.loads(file.read_text(encoding="utf-8")) for file in files}
