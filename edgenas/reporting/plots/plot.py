"""A plot: one Altair chart, drawn by the page, or SVG and PNG where nothing draws.

A chart's records are its only texts: no name of a board, class or file stands in an expression.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zlib
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair as alt

from edgenas.core.files.outputs import claim, claim_folder
from edgenas.core.files.run_folder import write_bytes
from edgenas.core.printable import printable

INK, MUTED, GRID, PAPER = "#1c2733", "#5b6875", "#e3e7eb", "#ffffff"
# Okabe & Ito (2008): told apart with every common colour blindness, and in grey
BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#8a949e"

SOFTWARE = "edgenas"  # of a PNG, by which its origin is known
_SVG = "http://www.w3.org/2000/svg"
_SIGNATURE_AND_HEADER = 8 + 25  # bytes of a PNG before its other chunks
_NOT_MARKS = ("axis", "legend", "title")
_LENGTHS = {"transform", "d", "x", "y", "x2", "y2", "width", "height"}
_DIGITS = re.compile(r"(\.\d\d)\d+")  # of a length in pixels, that nobody sees

_STYLE: dict[str, Any] = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "text": {"fontSize": 12, "color": INK},
    "axis": {
        "labelFontSize": 11.5,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "labelColor": INK,
        "titleColor": INK,
        "domainColor": MUTED,
        "tickColor": MUTED,
        "gridColor": GRID,
        "labelLimit": 260,
        "labelOverlap": True,
        "titleLimit": 640,
    },
    "legend": {
        "orient": "top",
        "title": None,
        "columns": 3,
        "columnPadding": 18,
        "rowPadding": 4,
        "offset": 26,
        "symbolLimit": 0,
        "labelFontSize": 11.5,
        "labelColor": INK,
        "labelLimit": 240,
        "symbolOpacity": 1,
    },
}


class Plot:
    """A chart. name : prefixes every id of the SVG, so that several can stand in one page."""

    def __init__(self, name: str, chart: alt.LayerChart) -> None:
        self.name, self.chart = name, chart

    @cached_property
    def specification(self) -> dict[str, Any]:
        """The Vega-Lite specification, every text in it printable.

        Altair validated its parts as they were made; tests validate the whole of each plot.
        A control character in a text ends the whole process: vl-convert aborts on it.
        """
        specification: dict[str, Any] = self.chart.to_dict(validate=False)
        return {**_printable(specification), "config": _STYLE, "padding": 6}

    def svg(self) -> str:
        """Return the plot as one <svg> element with hover texts; the same input, the same bytes."""
        root = ElementTree.fromstring(_drawn(json.dumps(self.specification)))
        del root.attrib["width"], root.attrib["height"]  # the page gives it its size
        for element in root.iter():
            for name in _LENGTHS.intersection(element.attrib):
                element.set(name, _DIGITS.sub(r"\1", element.attrib[name]))
            if "brush_" in element.get("class", ""):  # what cannot be drawn in a picture
                _hide(element)
            told, role = element.get("aria-label"), element.get("aria-roledescription")
            if told and element.get("role") == "graphics-symbol" and role not in _NOT_MARKS:
                element.set("class", "tip")
                del element.attrib["aria-label"], element.attrib["aria-roledescription"]
                title = ElementTree.Element(f"{{{_SVG}}}title")
                title.text = told
                element.insert(0, title)
        ElementTree.register_namespace("", _SVG)
        return self._with_own_ids(ElementTree.tostring(root, encoding="unicode"))

    def png(self, scale: float = 2.0) -> bytes:
        """Return the plot as PNG bytes on white."""
        import vl_convert

        white = {**self.specification, "config": {**_STYLE, "background": PAPER}}
        drawn: bytes = vl_convert.vegalite_to_png(white, scale=scale)
        at = _SIGNATURE_AND_HEADER
        return drawn[:at] + _chunk(b"tEXt", b"Software\0" + SOFTWARE.encode()) + drawn[at:]

    def small_png(self) -> bytes:
        """Return the plot as PNG bytes of 64 colours on white, a third as long."""
        from PIL import Image

        with Image.open(io.BytesIO(self.png(scale=1.5))) as drawn:
            paletted = drawn.convert("RGB").quantize(64, dither=Image.Dither.NONE)
        stream = io.BytesIO()
        paletted.save(stream, "PNG", optimize=True)
        return stream.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """Show the plot in a notebook."""
        return {"image/svg+xml": self.svg(), "text/plain": f"plot {self.name}"}

    def _with_own_ids(self, svg: str) -> str:
        """Return an SVG whose ids carry the plot's name; Vega numbers them on from plot to plot."""
        for number, old in enumerate(dict.fromkeys(re.findall(r'<[^>]*?\bid="([^"]+)"', svg))):
            svg = svg.replace(f'id="{old}"', f'id="{self.name}-{number}"')
            svg = svg.replace(f"url(#{old})", f"url(#{self.name}-{number})")
        return svg


@lru_cache(maxsize=64)
def _drawn(specification: str) -> str:
    """Return Vega's SVG of a specification. Pages that are written again share most plots."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(specification)
    return svg


def shade(share: float, full: str) -> str:
    """Return the colour of a share: paper at none, `full` at all."""
    ends = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (PAPER, full)]
    mixed = (round(low + share * (high - low)) for low, high in zip(*ends, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _printable(value: Any) -> Any:
    """Return JSON's `value` with all lines of text in it printable; keys are edgenas's own."""
    if isinstance(value, str):
        return "\n".join(map(printable, value.split("\n")))
    if isinstance(value, list):
        return [_printable(part) for part in value]
    if isinstance(value, dict):
        return {key: _printable(part) for key, part in value.items()}
    return value


def _hide(element: ElementTree.Element) -> None:
    """Keep an element of an SVG from being read out."""
    for name in ("role", "aria-roledescription"):
        element.attrib.pop(name, None)
    element.set("aria-hidden", "true")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def is_own_png(path: Path) -> bool:
    """Return whether `path` is a plot that edgenas wrote."""
    with path.open("rb") as stream:
        start = stream.read(4096)
    return start.startswith(b"\x89PNG\r\n") and b"tEXtSoftware\0" + SOFTWARE.encode() in start


def claim_plots(names: Iterable[str], folder: Path, *, overwrite: bool) -> dict[str, Path]:
    """Return where to write plots of these names in the folder that --png names; see `claim`."""
    claim_folder(folder, "--png")
    return {
        name: claim(folder / f"{name}.png", "--png", is_own_png, overwrite=overwrite)
        for name in names
    }


def write_plots(plots: Mapping[str, Plot], folder: Path, *, overwrite: bool) -> list[str]:
    """Write each plot as a PNG of its name into the folder that --png names; return the paths."""
    for name, path in claim_plots(plots, folder, overwrite=overwrite).items():
        write_bytes(path, plots[name].png())
    return [str(folder / f"{name}.png") for name in plots]
