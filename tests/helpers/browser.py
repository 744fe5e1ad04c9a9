"""A page in Chromium, where there is one: what it asked for, and what went wrong in it."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

_DRAWN = "html[data-drawn], html[data-shown]"
_PATIENCE_MS = 300_000  # a page is judged by what it shows, not by how busy the machine is
_NAMES = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """Opens one page. requested : every URL. problems : what the console and the page say."""

    def __init__(self, executable: str, url: str, scheme: str = "light") -> None:
        self.url = url
        self.requested: list[str] = []
        self.problems: list[str] = []
        self._executable = executable
        self._scheme = scheme

    def __enter__(self) -> Any:
        from playwright.sync_api import sync_playwright

        with ExitStack() as opening:  # a page that cannot be opened must not break later tests
            playwright = opening.enter_context(sync_playwright())
            chromium = playwright.chromium.launch(
                executable_path=self._executable, args=["--no-sandbox"], timeout=_PATIENCE_MS
            )
            opening.callback(chromium.close)
            page = chromium.new_page(
                viewport={"width": 1200, "height": 900}, color_scheme=self._scheme
            )
            page.set_default_timeout(_PATIENCE_MS)
            page.on("request", lambda request: self.requested.append(request.url))
            page.on("console", lambda said: self.problems.append(said.text))
            page.on("pageerror", lambda error: self.problems.append(str(error)))
            page.goto(self.url)
            page.wait_for_selector(_DRAWN, state="attached")
            self._opened = opening.pop_all()
        return page

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def browser_or_skip(page: Path | str, scheme: str = "light") -> Browser:
    """Return a browser for a file or an address; skip the test where there is none."""
    pytest.importorskip("playwright", reason="needs pip install 'edgenas[browser]'")
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        pytest.skip("needs Chromium: apt install chromium")
    return Browser(executable, page.as_uri() if isinstance(page, Path) else page, scheme)


def barriers(page: Any) -> list[str]:
    """Return what axe-core finds that keeps somebody from using the page, everything unfolded."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
