"""The page of a dashboard: it shows what its server sends as text, and asks for nothing else."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

from markupsafe import Markup

from edgenas.reporting.pages import script
from edgenas.reporting.pages.report import environment, style

# Nothing outside the dashboard is reached; no other page shows it in a frame.
POLICY = (
    "default-src 'none'; script-src 'sha256-{}'; style-src 'unsafe-inline'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@lru_cache(maxsize=1)
def own_script() -> Markup:
    """Return the page's script."""
    return _file("dashboard.js")


def policy() -> str:
    """Return the content security policy of the page."""
    return POLICY.format(script.sha256(own_script()))


def render(folder: str) -> str:
    """Return the page as HTML. folder : the dashboard's, as its user named it."""
    template = environment().get_template("dashboard.html.j2")
    styles = style() + _file("dashboard.css")
    return template.render(folder=folder, style=styles, script=own_script()).lstrip()


def _file(name: str) -> Markup:
    return Markup(resources.files(__package__).joinpath(name).read_text("utf-8"))
