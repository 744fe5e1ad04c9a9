"""A drawn plot: the house style, deterministic SVG with hover texts, PNG; no display, no pyplot."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, MUTED, GRID = "#1c2733", "#5b6875", "#e3e7eb"
# Okabe & Ito (2008): told apart with every common colour blindness, and in grey
BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#8a949e"

_STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # a '$' in a name is a '$'
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
}
_PAGE_FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


class Plot:
    """A figure with one pair of axes and the hover text of each mark.

    name : prefixes every id of the SVG, so that several plots can stand in one page.
    """

    def __init__(self, name: str, width_in: float, height_in: float) -> None:
        self.name = name
        with _style(name):
            self.figure = Figure(figsize=(width_in, height_in))
            self.axes = self.figure.add_subplot()
        self._tips: list[str] = []

    @contextmanager
    def drawing(self) -> Iterator[Any]:
        """Give the axes to draw on, in the house style."""
        with _style(self.name):
            yield self.axes

    def tip(self, artist: Any, text: str) -> None:
        """Show `text` when the pointer rests on `artist`."""
        artist.set_gid(f"tip-{len(self._tips)}")
        self._tips.append(text)

    def svg(self) -> str:
        """Return the plot as one <svg> element: text stays text, the same input the same bytes."""
        stream = io.StringIO()
        with _style(self.name):
            unstated = {"Date": None, "Creator": None, "Format": None, "Type": None}
            self.figure.savefig(stream, format="svg", metadata=unstated)
        drawn = stream.getvalue()
        svg = drawn[drawn.index("<svg") :]
        svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
        svg = re.sub(r'(<svg\b[^>]*?) width="[^"]*"', r"\1", svg, count=1)
        svg = re.sub(r'(<svg\b[^>]*?) height="[^"]*"', r"\1", svg, count=1)
        svg = svg.replace("'DejaVu Sans'", _PAGE_FONT).replace(' version="1.1"', "")
        svg = re.sub(r'<g id="tip-(\d+)">', self._with_title, svg)
        return self._with_own_ids(svg)

    def png(self, dpi: int = 160) -> bytes:
        """Return the plot as PNG bytes."""
        stream = io.BytesIO()
        with _style(self.name):
            FigureCanvasAgg(self.figure)
            self.figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
        return stream.getvalue()

    def _with_title(self, match: re.Match[str]) -> str:
        index = int(match[1])
        return f'<g id="tip-{index}" class="tip"><title>{escape(self._tips[index])}</title>'

    def _with_own_ids(self, svg: str) -> str:
        svg = re.sub(r'\bid="([^"]+)"', rf'id="{self.name}-\1"', svg)
        svg = re.sub(r'href="#([^"]+)"', rf'href="#{self.name}-\1"', svg)
        return re.sub(r"url\(#([^)]+)\)", rf"url(#{self.name}-\1)", svg)


@contextmanager
def _style(salt: str) -> Iterator[None]:
    with rc_context({**_STYLE, "svg.hashsalt": salt}), warnings.catch_warnings():
        # only matplotlib's own font lacks the glyph; the text goes into the SVG as it is
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
