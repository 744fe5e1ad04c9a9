"""The scripts of a page: Vega as its wheel bundles it, and edgenas's own; nothing else may run."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from functools import lru_cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from edgenas.reporting.pages.vega import vega

# By these characters a browser could find an end of the script in its data.
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


PARTS = ("page.js", "told.js", "budget.js", "start.js")  # of edgenas's own, in their order
PACKED = "vega"  # the id of the element with Vega


@lru_cache(maxsize=1)
def scripts() -> tuple[str, ...]:
    """Return the scripts of every page, in their order."""
    folder = resources.files(__package__)
    parts = [folder.joinpath(name).read_text("utf-8") for name in PARTS]
    own = "\n".join(["(() => {", '"use strict";', *parts, "})();"])
    return vega(), own


@lru_cache(maxsize=1)
def policy() -> str:
    """Return the content security policy: the page's own scripts and styles, nothing is loaded."""
    hashes = " ".join(f"'sha256-{sha256(text)}'" for text in scripts())
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'"
    )


def sha256(text: str) -> str:
    """Return the hash by which a content security policy names a script."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@lru_cache(maxsize=1)
def script_tags() -> Markup:
    """Return the scripts as elements of a page: Vega deflated, which the other one unpacks."""
    bundle, own = scripts()
    packed = base64.b64encode(zlib.compress(bundle.encode(), 9)).decode()
    return Markup(
        f'<script type="application/octet-stream" id="{PACKED}">{packed}</script>\n'
        f"<script>{own}</script>"
    )


def data(kind: str, content: Any, name: str = "") -> Markup:
    """Return records as an element that holds data, which no browser runs."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, escaped in _ESCAPED.items():
        text = text.replace(character, escaped)
    element = '<script type="application/json" class="{}" data-name="{}">{}</script>'
    return Markup(element).format(kind, name, Markup(text))
