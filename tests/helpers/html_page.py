"""A page of a report as a parser sees it, and texts that must stay texts in it."""

from __future__ import annotations

import base64
import hashlib
import zlib
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "hr", "input"}
N_SCRIPTS = 2  # Vega, which is packed, and edgenas's own
HOSTILE = "<script>alert(1)</script>\"'&$x_1$"


class Page(HTMLParser):
    """Ids, what is loaded and run, visible text, text of the first screen; the tags must nest."""

    first_heading = "Accuracy against latency"

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.scripts: list[str] = []  # what would run
        self.data: list[str] = []  # what scripts read
        self.policy = ""
        self._kind = ""
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []
        self.first_screen = self.text[: self.text.index(self.first_heading)]

    def only_own_scripts_run(self) -> bool:
        """Return whether exactly the page's two scripts may run, and nothing may be loaded."""
        hashes = {
            "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
            for text in self.scripts
        }
        allowed = {
            name: set(values) for name, *values in (part.split() for part in self.policy.split(";"))
        }
        return (
            len(self.scripts) == N_SCRIPTS
            and allowed["script-src"] == hashes
            and allowed["default-src"] == allowed["connect-src"] == {"'none'"}
        )

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)
        self._note(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["script"]:
            if self._kind == "application/octet-stream":
                data = zlib.decompress(base64.b64decode(data)).decode()
            (self.data if self._kind == "application/json" else self.scripts).append(data)
        elif self._open[-1:] not in (["style"], ["title"]):
            self.text += data

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "script":
            self._kind = known.get("type") or ""
        if known.get("http-equiv") == "Content-Security-Policy":
            self.policy = known.get("content") or ""
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                (self.links if tag == "a" else self.loaded).append(value or "")


def strings(content: object) -> str:
    """Return every text in a JSON document."""
    if isinstance(content, dict):
        return "\n".join(map(strings, content.values()))
    if isinstance(content, list):
        return "\n".join(map(strings, content))
    return content if isinstance(content, str) else ""
