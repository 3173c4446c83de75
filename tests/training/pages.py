"""Looks into pages that training writes: whether they are well formed, and their plots."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

VOID = {"meta", "img", "br", "line", "rect", "circle", "polyline"}


class Balance(HTMLParser):
    """Keeps the elements that are open; fails on one that is closed out of turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def plots(page: str) -> list[ElementTree.Element]:
    """The page's plots, each a whole SVG."""
    found = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    return [ElementTree.fromstring(text) for text in found]
