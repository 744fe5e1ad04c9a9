from __future__ import annotations

from html.parser import HTMLParser

import pytest
from reporting_sample import sample

from edgenas.reporting.page import render

SECTIONS = ("answer", "tradeoff", "networks", "choices", "predictors", "measurements", "environment")


class Page(HTMLParser):
    """Ids, sources and the nesting of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "srcset", "data", "action") and tag != "a":
                self.loaded.append(value or "")


@pytest.fixture(scope="module")
def html() -> str:
    return render(sample())


def test_page_has_every_section_once(html: str) -> None:
    page = Page(html)
    assert set(SECTIONS) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_page_loads_nothing(html: str) -> None:
    page = Page(html)
    assert all(value.startswith("#") for value in page.loaded)
    assert "script" not in page.tags
    assert "@import" not in html
